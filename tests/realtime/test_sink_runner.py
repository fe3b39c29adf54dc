"""A sink in a thread of its own: slow, raising and hanging sinks never reach the loop."""

from __future__ import annotations

import threading

from avel_live.realtime.core.clock import ManualClock, SystemClock
from avel_live.realtime.core.messages import Hop, Status, StreamEnd, StreamStart
from avel_live.realtime.sinks.base import Sink
from avel_live.realtime.sinks.thread import SinkThread
from support.about import Said
from support.stream import make_stream

WAIT_S = 30.0  # generous: only a failing test waits this long


class Recorder(Sink):
    """Keeps what it was given; `gate` holds it up, `broken` makes it raise."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.gate.set()
        self.broken = False

    def _take(self, kind: str, item: object) -> None:
        self.entered.set()
        assert self.gate.wait(WAIT_S)
        if self.broken:
            raise OSError("connection refused")
        self.calls.append((kind, item))

    def start(self, start: StreamStart) -> None:
        self._take("start", start)

    def hop(self, record: Hop) -> None:
        self._take("hop", record)

    def status(self, status: Status) -> None:
        self._take("status", status)

    def end(self, end: StreamEnd) -> None:
        self._take("end", end)

    def close(self) -> None:
        self.calls.append(("close", None))


def feed(sink: Sink, hops: int = 12) -> None:
    start, records, end = make_stream(hops)
    sink.start(start)
    for record in records:
        sink.hop(record)
    sink.end(end)


def test_everything_arrives_in_order_and_without_media() -> None:
    inner, told = Recorder(), Said()
    runner = SinkThread("log", inner, told, SystemClock(), deadline_s=WAIT_S)
    feed(runner)
    runner.close()
    runner.close()
    assert [kind for kind, _ in inner.calls] == ["start", *["hop"] * 12, "end", "close"]
    records = [item for _, item in inner.calls if isinstance(item, Hop)]
    assert [record.hop for record in records] == list(range(12))
    assert all(len(record.segment.frames) == 16 for record in records)  # still counted
    assert all(record.segment.frames.strides == (0, 0, 0, 0) for record in records)  # but not kept
    assert all(record.segment.preview is not None for record in records)
    assert told == []
    assert runner.counts.delivered == 14


def test_a_slow_sink_drops_hops_without_news_first_and_says_so() -> None:
    inner, told = Recorder(), Said()
    inner.gate.clear()
    clock = ManualClock()
    runner = SinkThread("mqtt", inner, told, clock, capacity=16, deadline_s=WAIT_S)
    start, records, end = make_stream(25)
    quiet = [r for r in records if not r.events]
    news = [r for r in records if r.events]
    assert news
    assert quiet
    runner.start(start)
    assert inner.entered.wait(WAIT_S)
    for record in records:  # returns at once although nothing is delivered
        runner.hop(record)
    clock.advance(61)
    runner.hop(records[-1])
    runner.end(end)
    assert runner.waiting == 16
    inner.gate.set()
    runner.close()
    kept = [item for _, item in inner.calls if isinstance(item, Hop)]
    dropped = 26 - len(kept)
    assert dropped == runner.counts.dropped == 11
    assert [kind for kind, _ in inner.calls][-2:] == ["end", "close"]
    assert [s.state for s in told] == ["overrun", "overrun"]
    assert "1 records dropped" in told[0].reason


def test_hops_with_events_outlive_hops_without() -> None:
    inner = Recorder()
    inner.gate.clear()
    runner = SinkThread("mqtt", inner, Said(), SystemClock(), capacity=10, deadline_s=WAIT_S)
    _, records, _ = make_stream(25)
    # Only what carries neither an event nor a settled second is without news: the first two seconds.
    runner.status(Status("machine", "busy", "", 0))
    assert inner.entered.wait(WAIT_S)
    for record in records[:11]:
        runner.hop(record)
    inner.gate.set()
    runner.close()
    kept = [item.hop for _, item in inner.calls if isinstance(item, Hop)]
    assert kept == list(range(1, 11))


def test_a_broken_sink_is_reported_once_and_again_when_it_recovers() -> None:
    inner, told = Recorder(), Said()
    inner.broken = True
    runner = SinkThread("webhook", inner, told, SystemClock(), deadline_s=WAIT_S)
    _, records, _ = make_stream(6)
    for record in records[:4]:
        runner.hop(record)
    while runner.waiting or runner.counts.failed < 4:
        threading.Event().wait(0.005)
    inner.broken = False
    runner.hop(records[4])
    runner.hop(records[5])
    runner.close()
    assert [(s.device, s.state) for s in told] == [("webhook", "failing"), ("webhook", "running")]
    assert "connection refused" in told[0].reason
    assert (runner.counts.failed, runner.counts.delivered) == (4, 2)


def test_a_hanging_sink_cannot_hold_up_the_end() -> None:
    inner, told = Recorder(), Said()
    inner.gate.clear()
    runner = SinkThread("exec", inner, told, SystemClock(), deadline_s=0.05)
    feed(runner, 5)
    assert inner.entered.wait(WAIT_S)
    runner.close()
    assert told[-1].state == "failed"
    assert "6 records not delivered" in told[-1].reason
    assert runner.counts.dropped == 6
    inner.gate.set()


def test_a_recording_waits_for_a_slow_sink() -> None:
    inner, told = Recorder(), Said()
    runner = SinkThread("log", inner, told, SystemClock(), capacity=2, deadline_s=WAIT_S, lossless=True)
    feed(runner, 200)
    runner.close()
    records = [item for _, item in inner.calls if isinstance(item, Hop)]
    assert [record.hop for record in records] == list(range(200))
    assert told == []
    assert runner.counts.dropped == 0
