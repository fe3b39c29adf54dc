"""Takes: which seconds count as audible."""

import numpy as np
import pytest
import torch
from avel_live.model.backbones.audio_cnn import AudioCNN
from avel_live.model.backbones.audio_evidence import AudioEvidence
from avel_live.model.backbones.voices import Voices
from avel_live.model.labels import BACKGROUND
from avel_live.model.training.lite.audio_data import Sound, SoundBank
from avel_live.model.training.lite.hearing import KNOWN, hear, hear_known
from avel_live.model.training.lite.takes import TakeMaker, Takes, audible_seconds

RATE = 16_000


def tone(*spans: tuple[float, float, float]) -> np.ndarray:
    """A tone of that amplitude from one second to another."""
    wave = np.sin(np.arange(10 * RATE) * 0.3).astype(np.float32)
    gain = np.zeros(10 * RATE, np.float32)
    for first, last, amplitude in spans:
        gain[int(first * RATE) : int(last * RATE)] = amplitude
    return wave * gain


@pytest.mark.parametrize(
    ("spans", "bed", "seconds"),
    [
        ([(2.0, 5.0, 0.5)], 0.0, [2, 3, 4]),
        ([(1.1, 1.4, 0.5), (6.3, 6.6, 0.5)], 0.0, [1, 6]),  # a bark and another
        ([(1.0, 2.0, 0.5), (5.0, 6.0, 0.05)], 0.0, [1]),  # 20 dB below its loudest: an echo
        ([(1.0, 2.0, 0.5), (5.0, 6.0, 0.2)], 0.0, [1, 5]),
        ([(0.0, 3.05, 0.5)], 0.0, [0, 1, 2]),  # the tail in the fourth second is no event
        ([(1.0, 2.0, 0.5), (5.0, 6.0, 0.2)], 0.4, [1]),  # buried
        ([], 0.0, []),
    ],
)
def test_a_second_is_audible_where_its_tenths_are(
    spans: list[tuple[float, float, float]], bed: float, seconds: list[int]
) -> None:
    heard = audible_seconds(tone(*spans), tone((0.0, 10.0, bed)))
    assert np.flatnonzero(heard).tolist() == seconds


def test_events_stop_and_go_on() -> None:
    rng = np.random.default_rng(0)
    steady = rng.normal(0, 3_000, 12 * RATE).astype(np.int16)  # a recording without a pause
    sounds = tuple(
        Sound(str(label), label, "a", "a", "CC0", True, "", k * len(steady), len(steady))
        for k, label in enumerate((2, BACKGROUND))
    )
    bank = SoundBank(sounds, np.concatenate([steady, steady // 100]))
    takes = TakeMaker(bank, [0, 1], [], seed=1).make({2: 40})
    between = (
        np.logical_or.accumulate(takes.audible, 1)
        & np.logical_or.accumulate(takes.audible[:, ::-1], 1)[:, ::-1]
    )
    pauses = (between & ~takes.audible).any(1)
    assert 0.1 < pauses.mean() < 0.6
    again = TakeMaker(bank, [0, 1], [], seed=1).make({2: 40})
    np.testing.assert_array_equal(takes.patches, again.patches)


class Ear(torch.nn.Module):
    """Hears the level of a patch, times a number of its own."""

    voices = None

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return patches.mean((1, 2))[:, None] * self.gain


def test_takes_are_heard_as_at_work() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    count = 6
    kind = np.array([1, BACKGROUND, 2, 2, BACKGROUND, 5])
    beneath = np.array([BACKGROUND, BACKGROUND, 5, BACKGROUND, BACKGROUND, BACKGROUND])
    near = np.array([BACKGROUND, BACKGROUND, BACKGROUND, BACKGROUND, 2, BACKGROUND])
    patches = rng.normal(-3, 1, (count, 10, 96, 64)).astype(np.float16)
    off = np.zeros((count, 10), np.bool_)
    takes = Takes(patches, kind, ~off, beneath, off, near)
    ear, voices = AudioCNN().eval(), Voices().eval()
    whole = AudioEvidence(ear, voices=voices, doubting=True).eval()
    without = AudioEvidence(ear, doubting=True).eval()
    pool = hear(takes, whole)
    for row in range(count):
        asked = whole if row in (0, 2, 5) else without
        wanted = asked(torch.from_numpy(patches[row].astype(np.float32))).detach().numpy()
        np.testing.assert_allclose(pool.evidence[row], wanted, atol=2e-3)
    np.testing.assert_array_equal(pool.kind, kind)


def test_some_takes_of_events_are_heard_by_the_ear_at_work() -> None:
    count = 30
    kind = np.where(np.arange(count) < 20, 2, BACKGROUND)
    patches = np.repeat(np.arange(1, count + 1), 10 * 96 * 64).reshape(count, 10, 96, 64).astype(np.float16)
    off = np.zeros((count, 10), np.bool_)
    takes = Takes(patches, kind, ~off, np.full(count, BACKGROUND), off, np.full(count, BACKGROUND))
    held, at_work = Ear(1.0), Ear(2.0)
    pool = hear_known(takes, hear(takes, held), at_work)  # type: ignore[arg-type]
    anew = pool.evidence[:, 0, 0] == 2 * np.arange(1, count + 1)
    assert anew.sum() == pytest.approx(20 / KNOWN, abs=1)
    assert not anew[kind == BACKGROUND].any()
    np.testing.assert_array_equal(pool.evidence[~anew], hear(takes, held).evidence[~anew])  # type: ignore[arg-type]
    np.testing.assert_array_equal(pool.audible, takes.audible)
