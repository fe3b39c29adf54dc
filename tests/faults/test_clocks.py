"""Somebody sets the clock of the machine while a stream runs."""

from __future__ import annotations

import time

import pytest
from avel_live.realtime.core.clock import SystemClock
from avel_live.realtime.core.messages import EndOfStream
from avel_live.realtime.events import Decoder
from avel_live.realtime.stream.loop import Stream
from support.loop import NS, Collector, ScriptedSource, ToyEngine, a_start, steady

YEAR_S = 365 * 86_400.0


@pytest.mark.parametrize("jump_s", [-YEAR_S, 3_600.0, YEAR_S])
def test_a_wall_clock_that_is_set_changes_no_instant(monkeypatch: pytest.MonkeyPatch, jump_s: float) -> None:
    """Every reading of the wall clock jumps to and fro by `jump_s`; seconds, events and latencies don't."""

    def play() -> Collector:
        source, sink = ScriptedSource(steady(6), live=False, end=EndOfStream(6 * NS)), Collector()
        Stream(source, ToyEngine(), Decoder(), a_start(source), SystemClock()).run(sink)  # type: ignore[arg-type]
        return sink

    before = play()
    readings, real_s, real_ns = [0], time.time, time.time_ns

    def jump() -> float:
        readings[0] += 1
        return jump_s * (readings[0] % 2)

    monkeypatch.setattr(time, "time", lambda: real_s() + jump())
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + round(jump() * NS))
    during = play()
    assert time.time() != pytest.approx(time.time(), abs=60)  # it does jump
    assert len(during.hops) == len(before.hops) == 6
    assert [(h.segment.start_ns, h.label, h.events) for h in during.hops] == [
        (h.segment.start_ns, h.label, h.events) for h in before.hops
    ]
    assert all(0 <= h.latency_ms < 60_000 for h in during.hops)
