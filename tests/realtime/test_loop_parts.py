"""The small parts of the loop: ring, features, mailbox, effort, latency."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
from avel_live.model.profiles import LITE
from avel_live.realtime.core.messages import ClosedSegment, Segment, SegmentFeatures, SelectedFrame
from avel_live.realtime.stream.budget import PATIENCE, FrameBudget
from avel_live.realtime.stream.features import GROUP, FeatureBuilder, missing, segment_features
from avel_live.realtime.stream.latency import Latencies
from avel_live.realtime.stream.queue import SegmentQueue
from avel_live.realtime.stream.window import FeatureRing
from hypothesis import given
from hypothesis import strategies as st
from support.loop import NS, ToyEngine

PICTURE = np.zeros((224, 224, 3), np.uint8)


def a_segment(index: int = 0, values: tuple[int, ...] = (), weights: tuple[float, ...] = ()) -> Segment:
    frames = np.stack([np.full((224, 224, 3), v, np.uint8) for v in values]) if values else PICTURE[None][:0]
    return Segment(
        index, index * NS, (index + 1) * NS, frames, np.array(weights, np.float32),
        np.full(16_000, 0.5, np.float32), 1.0, bool(values), True,
    )  # fmt: skip


def features(index: int) -> SegmentFeatures:
    empty = missing(index, LITE)
    return SegmentFeatures(index, empty.visual, empty.audio + index, True, True)


# Features -----------------------------------------------------------------------------------------


def test_features_are_the_weighted_mean_of_the_pictures() -> None:
    got = segment_features(ToyEngine(), a_segment(0, (10, 20, 40), (0.5, 0.25, 0.25)))
    np.testing.assert_allclose(got.visual, 20.0, rtol=1e-6)
    np.testing.assert_allclose(got.audio, 0.5, rtol=1e-6)
    assert got.has_video
    assert got.has_audio


@given(st.lists(st.integers(0, 255), min_size=1, max_size=16), st.data())
def test_pictures_one_by_one_or_all_at_once_are_the_same(values: list[int], data: st.DataObject) -> None:
    """Chunked equals whole, to the bit, and in the same groups."""
    weights = tuple(1 / len(values) for _ in values)
    segment = a_segment(3, tuple(values), weights)
    whole, engine = ToyEngine(), ToyEngine()
    builder = FeatureBuilder(engine)
    for image in segment.frames[: data.draw(st.integers(0, len(values)))]:
        builder.add(image)
    assert np.array_equal(builder.finish(segment).visual, segment_features(whole, segment).visual)
    assert engine.visual_calls == whole.visual_calls
    assert max(engine.visual_calls) <= GROUP


def test_what_is_missing_is_zero_and_costs_nothing() -> None:
    engine = ToyEngine()
    silent = a_segment(0)
    got = segment_features(
        engine, Segment(0, 0, NS, silent.frames, silent.frame_weights, silent.audio, 0.0, False, False)
    )
    assert not got.has_video
    assert not got.has_audio
    assert not got.visual.any()
    assert not got.audio.any()
    assert engine.visual_calls == []
    assert engine.audio_calls == 0


# Ring ---------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 14), max_size=30))
def test_the_ring_is_the_last_ten_seconds(steps: list[int]) -> None:
    ring = FeatureRing(LITE)
    pushed: list[int] = []
    index = -1
    for step in steps:
        index += step
        ring.push(features(index))
        pushed.append(index)
        _, audio, has_video, has_audio = ring.window()
        indices = range(ring.first_index, ring.first_index + len(ring))
        assert len(ring) <= 10
        assert indices[-1] == index
        assert has_video.tolist() == has_audio.tolist() == [i in pushed for i in indices]
        assert audio[:, 0].tolist() == [i if i in pushed else 0 for i in indices]


def test_the_ring_refuses_the_past() -> None:
    ring = FeatureRing(LITE)
    ring.push(features(5))
    with pytest.raises(ValueError, match="segment 5 after 5"):
        ring.push(features(5))


# Queue ------------------------------------------------------------------------------------------


def closed(key: int) -> ClosedSegment:
    return ClosedSegment(key, a_segment(key))


def test_a_live_mailbox_keeps_what_is_in_flight_and_the_newest() -> None:
    box = SegmentQueue(live=True)
    for key in range(5):
        for _ in range(16):
            box.put(SelectedFrame(key, PICTURE))
        if key == 0:
            taken = box.take(0)  # the worker begins with 0
            assert isinstance(taken, SelectedFrame)
        box.put(closed(key))
    keys = []
    while (message := box.take(0)) is not None:
        if isinstance(message, ClosedSegment):
            keys.append(message.key)
    assert keys == [0, 4]
    assert box.skipped == 3


@given(st.lists(st.sampled_from(["put", "take", "close"]), max_size=200))
def test_a_live_mailbox_is_bounded_and_never_blocks(moves: list[str]) -> None:
    box = SegmentQueue(live=True)
    key = 0
    closed_keys: list[int] = []
    for move in moves:
        if move == "put":
            box.put(SelectedFrame(key, PICTURE))
        elif move == "close":
            box.put(closed(key))
            key += 1
        elif isinstance(message := box.take(0), ClosedSegment):
            closed_keys.append(message.key)
        stamped = [m for m in box._queue if isinstance(m, ClosedSegment)]
        assert len(stamped) <= 2
    while (message := box.take(0)) is not None:
        if isinstance(message, ClosedSegment):
            closed_keys.append(message.key)
    assert closed_keys == sorted(set(closed_keys))
    assert len(closed_keys) + box.skipped == key


def test_a_segment_that_closed_before_its_pictures_were_taken_comes_at_once_and_late() -> None:
    box = SegmentQueue(live=True)
    for _ in range(3):
        box.put(SelectedFrame(0, PICTURE))
    assert isinstance(box.take(0), SelectedFrame)
    box.put(closed(0))
    box.put(SelectedFrame(1, PICTURE))
    message = box.take(0)
    assert isinstance(message, ClosedSegment)
    assert message.late
    assert isinstance(box.take(0), SelectedFrame)
    box.put(closed(1))
    message = box.take(0)
    assert isinstance(message, ClosedSegment)
    assert not message.late


@pytest.mark.parametrize("added", [0, 3, 5, 13])
def test_a_late_segment_keeps_what_was_added_and_a_few_more(added: int) -> None:
    builder = FeatureBuilder(ToyEngine())
    segment = a_segment(0, tuple(range(16)), (1 / 16,) * 16)
    for image in segment.frames[:added]:
        builder.add(image)
    thin = builder.thin(segment)
    numbers = thin.frames[:, 0, 0, 0]
    assert list(numbers[:added]) == list(range(added))
    assert len(numbers) == min(16, added + GROUP)
    assert (np.diff(numbers.astype(int)) > 0).all()
    assert thin.frame_weights.sum() == pytest.approx(1.0)
    assert builder.finish(thin).visual.mean() == pytest.approx(numbers.mean())


def test_a_recording_waits_for_room() -> None:
    box = SegmentQueue(live=False, capacity=2)
    done = threading.Event()

    def fill() -> None:
        for key in range(6):
            box.put(closed(key))
        done.set()

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    assert not done.wait(0.1)
    assert len(box) == 2
    got = [box.take(10) for _ in range(6)]
    assert [m.key for m in got if isinstance(m, ClosedSegment)] == list(range(6))
    assert done.wait(10)
    assert box.skipped == 0
    thread.join(10)


def test_closing_releases_a_waiting_reader() -> None:
    box = SegmentQueue(live=False, capacity=1)
    box.put(closed(0))
    thread = threading.Thread(target=lambda: box.put(closed(1)), daemon=True)
    thread.start()
    box.close()
    thread.join(10)
    assert not thread.is_alive()
    assert box.take(0) is None


# FrameBudget and latency -------------------------------------------------------------------------------


def test_effort_falls_when_the_machine_is_late_and_rises_again() -> None:
    effort, busy, now = FrameBudget(4, adaptive=True), 0, 0
    levels = []
    for load in [0.5] * 5 + [1.5] * 12 + [0.1] * (PATIENCE * 5):
        busy, now = busy + round(load * NS), now + NS
        effort.after_hop(busy, now)
        levels.append(effort.frames_per_segment)
    assert levels[4] == 4
    assert min(levels) == 1
    assert levels[-1] == 4
    assert all(a == b or a in (2 * b, b / 2) for a, b in itertools.pairwise(levels))


def test_effort_stays_where_it_was_set() -> None:
    effort = FrameBudget(8, adaptive=False)
    assert all(effort.after_hop(k * 2 * NS, k * NS) is None for k in range(20))
    assert effort.frames_per_segment == 8


@given(st.lists(st.floats(0.02, 100_000), min_size=1, max_size=300), st.sampled_from([50, 95, 99]))
def test_percentiles_are_right_to_two_percent(values: list[float], p: int) -> None:
    latencies = Latencies()
    for value in values:
        latencies.add(value)
    exact = sorted(values)[max(0, int(np.ceil(len(values) * p / 100)) - 1)]
    assert exact * 0.999 <= latencies.percentile(p) <= exact * 1.0201


def test_no_latency_without_hops() -> None:
    assert Latencies().summary() == {}
    assert Latencies().percentile(50) == 0.0
