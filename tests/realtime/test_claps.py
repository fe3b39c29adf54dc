"""Two claps of the hands are a mark; one, three, a row, voices, beeps and knocks are none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from avel_live.model.training.lite.audio_data import decode
from avel_live.realtime.commands.teach.claps import Claps
from avel_live.realtime.core.clock import NS_PER_S
from avel_live.realtime.core.messages import Segment
from support.shared import DATA, needs_data
from support.taught import RATE, clap, noise

Wave = np.ndarray


def second(number: int, audio: Wave, *, sound: bool = True) -> Segment:
    nothing = np.zeros((0, 224, 224, 3), np.uint8)
    start = number * NS_PER_S
    weights = np.zeros(0, np.float32)
    return Segment(number, start, start + NS_PER_S, nothing, weights, audio, float(sound), False, sound)


def heard(wave: Wave) -> list[float]:
    """Seconds at which pairs of claps are found, handed over second by second, with two of quiet after."""
    wave = np.concatenate([wave, noise(2 + (-len(wave) % RATE) / RATE, -70, 5)])
    claps, found = Claps(), list[float]()
    for k in range(len(wave) // RATE):
        found += [at / NS_PER_S for at in claps.heard(second(k, wave[k * RATE : (k + 1) * RATE]))]
    return found


def at(times_s: list[float], sound: Callable[[int], Wave], hush_dbfs: float = -55) -> Wave:
    """Six seconds of a room in which something sounds at those times."""
    wave = noise(6, hush_dbfs, 7)
    for k, time_s in enumerate(times_s):
        made = sound(k)
        first = round(time_s * RATE)
        wave[first : first + len(made)] += made[: len(wave) - first]
    return np.clip(wave, -1, 1)


def test_two_claps_are_found_in_any_room_at_any_loudness() -> None:
    found = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        first, apart = rng.uniform(1, 4), rng.uniform(0.2, 0.6)
        loud, room = 10 ** (rng.uniform(-20, -2) / 20), rng.uniform(0.15, 0.5)
        got = heard(
            at(
                [first, first + apart],
                lambda k, s=seed, loud=loud, room=room: clap(9 * s + k, loud, room),
                hush_dbfs=-rng.uniform(48, 70),
            )
        )
        assert len(got) <= 1
        found += bool(got) and abs(got[0] - first) < 0.02
    assert found >= 36


@pytest.mark.parametrize(
    "times_s",
    [[2.0], [2.0, 2.1], [2.0, 3.0], [2.0, 2.4, 2.8], [1 + 0.3 * k for k in range(12)]],
    ids=["one", "too near", "too far", "three", "a row"],
)
def test_other_numbers_of_claps_are_none(times_s: list[float]) -> None:
    assert heard(at(times_s, lambda k: clap(k))) == []


def beep(_: int) -> Wave:
    t = np.arange(RATE // 20) / RATE
    return (0.4 * np.sin(2 * np.pi * 2000 * t)).astype(np.float32)


def knock(seed: int) -> Wave:
    t = np.arange(RATE // 4) / RATE
    return (0.6 * np.sin(2 * np.pi * 180 * t + seed) * np.exp(-t / 0.02)).astype(np.float32)


def hiss(seed: int) -> Wave:
    return noise(0.3, -14, seed)


@pytest.mark.parametrize("sound", [beep, knock, hiss])
def test_what_is_narrow_or_low_or_lasts_is_no_clap(sound: Callable[[int], Wave]) -> None:
    assert heard(at([2.0, 2.4], sound)) == []


def test_where_sound_is_missing_no_clap_is_made_up_at_its_edges() -> None:
    wave, claps = at([2.5, 2.9], lambda k: clap(k)), Claps()
    found = []
    for k in range(6):
        found += claps.heard(second(k, wave[k * RATE : (k + 1) * RATE], sound=k != 2))
    assert found == []


@needs_data
@pytest.mark.parametrize("kind", ["Male_speech", "Bark", "Baby_cry"])
def test_voices_and_dogs_hardly_ever_clap_twice(kind: str) -> None:
    files = sorted((DATA / "audio" / kind).glob("*.ogg"))[::4][:20]
    waves = [np.concatenate([noise(0.5, -65, 1), decode(f).astype(np.float32) / 32768]) for f in files]
    assert len(waves) >= 5
    assert sum(len(heard(wave)) for wave in waves) <= 1
