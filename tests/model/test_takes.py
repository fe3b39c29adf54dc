"""Takes: which seconds count as audible."""

import numpy as np
import pytest
from avel_live.model.labels import BACKGROUND
from avel_live.model.training.lite.audio_data import Sound, SoundBank
from avel_live.model.training.lite.takes import TakeMaker, audible_seconds

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
