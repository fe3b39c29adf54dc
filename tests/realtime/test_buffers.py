"""The hand-over: bounded, oldest first out, every drop counted with its cause, an alarm past ten per cent."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
from avel_live.realtime.core.clock import ManualClock, SystemClock
from avel_live.realtime.core.messages import EndOfStream, Status, TimedAudio, TimedFrame
from avel_live.realtime.sources.buffers import BufferOptions, DropMeter, LiveBuffer
from hypothesis import given
from hypothesis import strategies as st

IMAGE = np.zeros((224, 224, 3), np.uint8)


def frame(t_s: float) -> TimedFrame:
    return TimedFrame(round(t_s * 1e9), IMAGE)


def sound(t_s: float, seconds: float = 0.1) -> TimedAudio:
    return TimedAudio(round(t_s * 16_000), np.zeros(round(seconds * 16_000), np.float32))


def test_order_is_kept_and_the_end_is_for_ever() -> None:
    buffer = LiveBuffer(ManualClock())
    items = [frame(0), sound(0), Status("camera", "running", "x", 0), frame(0.1)]
    for item in items:
        buffer.put(item)
    end = EndOfStream(5, "closed")
    buffer.end(end)
    buffer.put(frame(1))
    assert [buffer.get(0) for _ in range(6)] == [*items, end, end]


def test_waiting_pictures_are_bounded_by_all_that_they_hold() -> None:
    """The picture at its own size, which clips ask for, is thirty times as large as what the networks see."""
    options = BufferOptions(max_bytes=20 * 2**20)
    buffer = LiveBuffer(ManualClock(), options)
    large = np.zeros((1080, 1920, 3), np.uint8)
    for k in range(20):
        buffer.put(replace(frame(k / 16), preview=np.zeros((90, 160, 3), np.uint8), original=large))
    waiting = []
    while (item := buffer.get(0)) is not None:
        waiting.append(item)
    assert [round(item.t_ns / 1e9 * 16) for item in waiting if isinstance(item, TimedFrame)] == [17, 18, 19]
    assert buffer.meter.dropped == 17
    assert buffer._bytes == 0


@given(st.lists(st.tuples(st.sampled_from(["frame", "sound", "get"]), st.floats(0, 0.5)), max_size=300))
def test_nothing_is_unbounded_and_nothing_vanishes_uncounted(steps: list[tuple[str, float]]) -> None:
    clock = ManualClock()
    options = BufferOptions(max_age_s=2.0, max_frames=10, max_audio_s=1.0)
    buffer = LiveBuffer(clock, options)
    put = got = 0
    last = {TimedFrame: -1.0, TimedAudio: -1.0}
    for kind, step in steps:
        clock.advance(step)
        now = clock.now_ns() / 1e9
        if kind == "get":
            item = buffer.get(0)
            if item is None or isinstance(item, Status):
                continue
            got += 1
            age_base = item.t_ns / 1e9 if isinstance(item, TimedFrame) else item.position / 16_000
            assert now - age_base <= options.max_age_s + 1e-3
            assert age_base >= last[type(item)]  # type: ignore[index]
            last[type(item)] = age_base  # type: ignore[index]
        else:
            buffer.put(frame(now) if kind == "frame" else sound(now))
            put += 1
    assert buffer._frames <= options.max_frames
    assert buffer._samples <= options.max_audio_s * 16_000
    waiting = sum(not isinstance(i, Status) for _, i in buffer._items)
    assert put == got + waiting + buffer.meter.dropped
    assert sum(buffer.meter.causes.values()) == buffer.meter.dropped


def test_a_late_reader_loses_pictures_before_sound() -> None:
    clock = ManualClock()
    buffer = LiveBuffer(clock, BufferOptions(max_age_s=100.0, max_frames=5))
    for k in range(30):
        clock.advance(0.04)
        buffer.put(frame(k * 0.04))
        buffer.put(sound(k * 0.04, 0.04))
    kinds = []
    while (item := buffer.get(0)) is not None:
        kinds.append(type(item))
    assert kinds.count(TimedFrame) == 5
    assert kinds.count(TimedAudio) == 30
    assert buffer.meter.causes == {"too many pictures waiting": 25}


def test_the_alarm_comes_past_ten_per_cent_and_goes_again() -> None:
    meter = DropMeter(0.10, 10.0)
    lines = []
    for second in range(60):
        for k in range(100):
            if second < 25 and k % 5 == 0:
                meter.drop("reader late")
            else:
                meter.keep()
        lines.append(meter.look(second * 1_000_000_000))
    said = [line for line in lines if line]
    assert said[0] == "overloaded: 20% dropped in 10 s (reader late)"
    assert said[-1] == "no longer overloaded"
    assert meter.dropped == 500


def test_five_per_cent_are_no_alarm() -> None:
    meter = DropMeter(0.10, 10.0)
    for second in range(60):
        meter.drop("reader late", 5)
        for _ in range(95):
            meter.keep()
        assert meter.look(second * 1_000_000_000) is None


def test_a_waiting_reader_is_woken_by_data_and_by_the_end() -> None:
    buffer = LiveBuffer(SystemClock())
    for item in (frame(0), None):
        begun = time.monotonic()
        action = (lambda: buffer.put(item)) if item else (lambda: buffer.end(EndOfStream(0)))  # noqa: B023
        threading.Timer(0.05, action).start()
        assert buffer.get(20.0) is not None
        assert time.monotonic() - begun < 10.0
