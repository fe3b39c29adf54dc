"""What devices deliver is wrong in itself: no numbers, sound that clips, garbage pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from avel_live.realtime.core.clock import ManualClock
from avel_live.realtime.core.messages import EndOfStream, TimedAudio, TimedFrame
from avel_live.realtime.events import Decoder
from avel_live.realtime.sources.detectors import ClippingDetector, NumberGuard
from avel_live.realtime.sources.sounds import Resampler16k
from avel_live.realtime.sources.steady import Sound
from avel_live.realtime.stream.loop import Stream
from support.loop import NS, Collector, ScriptedSource, ToyEngine, a_start, steady

RATE = 16_000


def play(items: list[TimedFrame | TimedAudio], seconds: int) -> Collector:
    source, sink = ScriptedSource(items, live=False, end=EndOfStream(seconds * NS)), Collector()
    Stream(source, ToyEngine(), Decoder(), a_start(source), ManualClock()).run(sink)  # type: ignore[arg-type]
    return sink


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_silence_and_said_once(bad: float) -> None:
    items = steady(6)
    for n, item in enumerate(items):
        if isinstance(item, TimedAudio) and 2 * RATE <= item.position < 3 * RATE:
            broken = item.samples.copy()
            broken[::7] = bad
            items[n] = replace(item, samples=broken)
    got = play(items, 6)
    assert len(got.hops) == 6
    assert all(np.isfinite(hop.segment.audio).all() for hop in got.hops)
    assert all(np.isfinite(hop.scores.probabilities).all() for hop in got.hops)
    damaged = got.hops[2].segment.audio
    assert (damaged[::7][:200] == 0).any()
    assert np.count_nonzero(damaged) > 0.8 * RATE
    assert [(s.device, s.state) for s in got.statuses] == [("sound", "damaged"), ("sound", "running")]
    assert "2290 samples" in got.statuses[1].reason  # ten blocks of 1600, every seventh sample of each


def test_the_guard_leaves_whole_sound_alone() -> None:
    guard, sound = NumberGuard(), np.random.default_rng(0).normal(size=100).astype(np.float32)
    same, line = guard.clean(sound)
    assert same is sound
    assert line is None


def tone(gain: float, seconds: float = 1.0) -> np.ndarray:
    t = np.arange(int(seconds * RATE)) / RATE
    return np.clip(gain * np.sin(2 * np.pi * 440 * t), -1, 1).astype(np.float32)


def test_sound_that_clips_again_and_again_is_said_and_its_end_too() -> None:
    detector = ClippingDetector(RATE)
    said = [detector.look(tone(3.0)) for _ in range(12)]
    assert [bool(line) for line in said] == 5 * [False] + [True] + 6 * [False]
    assert "gain down" in str(said[5])
    quiet = [detector.look(tone(0.5)) for _ in range(12)]
    assert [bool(line) for line in quiet] == 9 * [False] + [True] + 2 * [False]


def test_one_slam_is_no_clipping_and_full_scale_is_not_either() -> None:
    detector = ClippingDetector(RATE)
    assert [detector.look(tone(3.0 if n == 4 else 0.99)) for n in range(30)] == 30 * [None]


def test_garbage_pictures_are_only_pictures() -> None:
    make = np.random.default_rng(0)
    items = [
        replace(item, image=make.integers(0, 256, item.image.shape, np.uint8))
        if isinstance(item, TimedFrame)
        else item
        for item in steady(4)
    ]
    got = play(items, 4)
    assert [hop.segment.index for hop in got.hops] == [0, 1, 2, 3]
    assert all(np.isfinite(hop.scores.probabilities).all() for hop in got.hops)


def test_one_sample_that_is_no_number_stays_one_sample() -> None:
    """It is silenced before the resampler, whose filter would spread it over hundreds."""
    samples = tone(0.5)[:16_000].repeat(3)  # one second at 48 kHz
    broken = samples.copy()
    broken[24_000] = np.nan
    resampled = []
    for sound in (samples, broken):
        resampler = Resampler16k()
        blocks = [*resampler.push(Sound(0, 48_000, sound)), *resampler.flush()]
        resampled.append(np.concatenate([block for _, block in blocks]))
        told = [(s.device, s.state) for s in resampler.told()]
    whole, mended = resampled
    assert np.isfinite(mended).all()
    assert np.count_nonzero(np.abs(whole - mended) > 0.01) < 40
    assert told == [("sound", "damaged")]
