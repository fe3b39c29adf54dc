"""Pictures are computed where they show something new; what is carried over is bounded, and deterministic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from avel_live.realtime.core.clock import ManualClock
from avel_live.realtime.core.messages import EndOfStream, Hop, TimedAudio, TimedFrame
from avel_live.realtime.events import Decoder
from avel_live.realtime.session.push import Localizer
from avel_live.realtime.stream.keyframes import (
    BLOCKS,
    MAX_AGE_NS,
    REST_NS,
    STEADY,
    THRESHOLD,
    KeyFrames,
    change,
    says_the_same,
    small_luma,
)
from avel_live.realtime.stream.loop import Stream, StreamOptions
from support.loop import NS, Collector, ScriptedSource, ToyEngine, a_start

FPS = 16
SCENE = np.random.default_rng(7).integers(30, 220, (BLOCKS, BLOCKS, 3)).astype(np.uint8)


def still(noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """The same scene, with a sensor's noise on it."""
    image = SCENE.repeat(224 // BLOCKS, 0).repeat(224 // BLOCKS, 1).astype(np.float32)
    if noise:
        image += np.random.default_rng(seed).normal(0, noise, image.shape)
    return image.clip(0, 255).astype(np.uint8)


def a_scene(seconds: int, image_at: object) -> list[TimedFrame | TimedAudio]:
    """Pictures `image_at(k)`, sixteen a second, with sound."""
    frames = [TimedFrame(k * NS // FPS, image_at(k)) for k in range(seconds * FPS)]  # type: ignore[operator]
    sound = [TimedAudio(k * 16_000, np.full(16_000, 0.1, np.float32)) for k in range(seconds)]
    items: list[TimedFrame | TimedAudio] = [*frames, *sound]
    return sorted(items, key=lambda i: i.t_ns if isinstance(i, TimedFrame) else i.position * NS // 16_000)


def hops_of(items: Sequence[object], engine: ToyEngine, **options: object) -> list[Hop]:
    end = EndOfStream(sum(isinstance(item, TimedAudio) for item in items) * NS)
    source = ScriptedSource(list(items), live=False, end=end)  # type: ignore[arg-type]
    o = StreamOptions(**options)  # type: ignore[arg-type]
    sink = Collector()
    Stream(source, engine, Decoder(), a_start(source, o.hop_s), ManualClock(), o).run(sink)
    return sink.hops


def test_a_camera_on_a_tripod_costs_one_picture_in_five_seconds() -> None:
    engine = ToyEngine()
    hops = hops_of(a_scene(12, lambda k: still(12.0, seed=k)), engine)
    assert len(hops) == 12
    assert engine.visual_calls == [1, 1, 1]  # at 0, 5 and 10 s


def test_a_change_is_computed_where_it_is_chosen_and_counts_by_its_share_of_time() -> None:
    engine = ToyEngine()
    dark, bright = np.full((224, 224, 3), 40, np.uint8), np.full((224, 224, 3), 200, np.uint8)
    (hop,) = hops_of(a_scene(1, lambda k: dark if k < 12 else bright), engine)
    assert engine.visual_calls == [1, 1]
    assert len(hop.segment.frames) == 4
    # The toy's features are the brightness: three quarters of one and a quarter of the other.
    assert hop.scores.logits.shape[0] == 1
    keys = KeyFrames(ToyEngine())
    grids = [keys.grid(t, image) for t, image in zip(hop.segment.frame_ns, hop.segment.frames, strict=True)]
    mean = sum(w * g.mean() for w, g in zip(hop.segment.frame_weights, grids, strict=True))
    assert mean == pytest.approx(0.75 * grids[0].mean() + 0.25 * grids[3].mean())


def test_a_small_thing_that_moves_is_new_and_noise_is_not() -> None:
    thing = still()
    thing[100:120, 60:80] = 255 - thing[100:120, 60:80]  # 20×20 of 224×224
    assert change(small_luma(still()), small_luma(thing)) > THRESHOLD
    for seed in range(20):
        assert change(small_luma(still(15.0, seed)), small_luma(still(15.0, seed + 100))) < THRESHOLD


@pytest.mark.parametrize("most", [1, 2, 4, 8, 16])
def test_never_more_than_asked_for_and_at_least_one_to_begin_with(most: int) -> None:
    engine = ToyEngine()
    flicker = [np.full((224, 224, 3), 250 * (k % 2) + k % 5, np.uint8) for k in range(7)]
    hops_of(a_scene(3, lambda k: flicker[k % 7]), engine, frames_per_segment=most)
    assert 1 <= len(engine.visual_calls) <= 3 * most


def test_every_is_sixteen_by_time_changed_or_not() -> None:
    engine = ToyEngine()
    hops_of(a_scene(3, lambda k: still()), engine, frames_per_segment=16, by_change=False)
    assert sum(engine.visual_calls) == 3 * 16


def test_pictures_of_overlapping_segments_are_computed_once() -> None:
    whole, halves = ToyEngine(), ToyEngine()
    scene = a_scene(6, lambda k: np.full((224, 224, 3), (37 * k) % 251, np.uint8))
    one = hops_of(scene, whole)
    other = [hop for hop in hops_of(scene, halves, hop_s=0.5) if hop.segment.start_ns % NS == 0]
    assert len(whole.visual_calls) == len(halves.visual_calls) == 6 * 4
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.scores.logits, b.scores.logits)


def test_a_key_picture_is_no_older_than_said() -> None:
    engine = ToyEngine()
    keys = KeyFrames(engine)
    first = keys.grid(0, still())
    assert keys.grid(MAX_AGE_NS - 1, still()) is first
    assert keys.grid(MAX_AGE_NS, still()) is not first
    assert keys.computed == 2


def bright(level: int) -> np.ndarray:
    """A picture whose features, by the toy, are its brightness."""
    return np.full((224, 224, 3), level, np.uint8)


def test_sparing_what_moves_and_says_the_same_costs_every_other_picture() -> None:
    # Thirteen levels at least, and a seventh at most: new to `change`, and it says the same.
    scene = a_scene(6, lambda k: bright((200, 213, 226)[k // 4 % 3]))
    every, sparing = ToyEngine(), ToyEngine()
    hops_of(scene, every)
    hops = hops_of(scene, sparing, sparing=True)
    assert len(every.visual_calls) == 6 * 4
    assert len(sparing.visual_calls) == 1 + 6 * 4 // 2  # the first two are compared
    assert all(len(hop.segment.frames) == 4 for hop in hops)


def test_sparing_a_picture_that_says_something_else_ends_it_at_once() -> None:
    engine = ToyEngine()
    keys = KeyFrames(engine, rest_ns=REST_NS)
    levels = [100, 180, 200, 40, 42, 90, 40]
    said = [float(keys.grid(k * NS // 4, bright(level)).mean()) for k, level in enumerate(levels)]
    # 180 is no 100, so 200 is computed; that says what 180 said, so 40 has to wait for its next picture; that
    # one says something else, so 90 is computed, and 40.
    assert said == [100, 180, 200, 200, 42, 90, 40]
    assert keys.computed == 6


def test_what_says_the_same_is_told_by_shares() -> None:
    one = np.full((7, 7, 4), 0.5, np.float32)
    assert says_the_same(one, one * (1 + 0.9 * STEADY))
    assert not says_the_same(one, one * (1 + 1.1 * STEADY))
    nothing = np.zeros_like(one)
    assert says_the_same(nothing, nothing)
    assert not says_the_same(nothing, one)


def test_pushed_seconds_carry_over_as_streamed_ones_do() -> None:
    images = [still(8.0, seed=k) if k < 40 else np.full((224, 224, 3), k, np.uint8) for k in range(6 * FPS)]
    streamed, pushed = ToyEngine(), ToyEngine()
    hops = hops_of(a_scene(6, lambda k: images[k]), streamed, sparing=True)
    localizer = Localizer(pushed, calibration="none")  # type: ignore[arg-type]
    for second, hop in enumerate(hops):
        mine = localizer.push(images[second * FPS : (second + 1) * FPS], np.full(16_000, 0.1, np.float32))
        np.testing.assert_array_equal(mine.scores.logits, hop.scores.logits)
    assert streamed.visual_calls == pushed.visual_calls
