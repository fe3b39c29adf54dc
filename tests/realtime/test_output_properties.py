"""Outputs under random exceptions, delays and deaths at any call: every record is delivered or counted."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace

from avel_live.realtime.core.clock import SystemClock
from avel_live.realtime.core.messages import Hop, Status, StreamEnd, StreamStart
from avel_live.realtime.sinks.base import Sink
from avel_live.realtime.sinks.delivery import DeliveryQueue
from avel_live.realtime.sinks.room import Room
from avel_live.realtime.sinks.switchboard import Switchboard
from avel_live.realtime.sinks.thread import SinkThread
from avel_live.realtime.sinks.webhook import WebhookOptions, WebhookSink
from hypothesis import given, settings
from hypothesis import strategies as st
from support.about import Said, about
from support.event_flood import flood
from support.peers import Receiver
from support.stream import make_start, make_stream

START, HOPS, END = make_stream(24)


class Death(BaseException):
    """As what ends a thread: no `except Exception` catches it."""


FATES = st.sampled_from(["well", "well", "well", "slow", "odd", "memory", "death", "exit"])
ERRORS = {"odd": KeyError("label"), "memory": MemoryError(), "death": Death("gone"), "exit": SystemExit(3)}


def suffer(fate: str) -> None:
    """What happens to one call."""
    if fate == "slow":
        time.sleep(0.003)
    elif fate in ERRORS:
        raise ERRORS[fate]


class Suffering(Sink):
    """A sink whose calls meet their fates, one after another; the last fate is that of closing."""

    def __init__(self, fates: list[str]) -> None:
        self._fates = list(fates)
        self.got = list[object]()
        self.closed = 0

    def _next(self, what: object) -> None:
        suffer(self._fates.pop(0) if len(self._fates) > 1 else "well")
        self.got.append(what)

    def start(self, start: StreamStart) -> None:
        self._next("start")

    def hop(self, record: Hop) -> None:
        self._next(record.hop)

    def status(self, status: Status) -> None:
        self._next("status")

    def end(self, end: StreamEnd) -> None:
        self._next("end")

    def close(self) -> None:
        self.closed += 1
        suffer(self._fates[-1])


@settings(max_examples=20, deadline=None)
@given(
    fates=st.lists(FATES, min_size=1, max_size=40),
    capacity=st.integers(1, 30),
    lossless=st.booleans(),
    stop_at=st.integers(0, 40),
)
def test_a_sink_thread_delivers_or_counts(
    fates: list[str], capacity: int, lossless: bool, stop_at: int
) -> None:
    inner, said, stop, clock = Suffering(fates), Said(), threading.Event(), SystemClock()
    room = Room(0.5, stop, clock) if lossless else None
    thread = SinkThread(
        "log", inner, said, clock, capacity=capacity, deadline_s=20, lossless=lossless, room=room
    )
    thread.start(START)
    for number, record in enumerate(HOPS):
        if number == stop_at:
            stop.set()
        thread.hop(record)
        if number % 5 == 0:
            thread.status(Status("camera", "running", "", 0))
    thread.end(END)
    thread.close()
    thread.close()
    counts = thread.counts
    handed_over = 2 + len(HOPS) + len(HOPS[::5])
    assert counts.delivered == len(inner.got)
    assert counts.delivered + counts.dropped + counts.failed == handed_over
    assert inner.closed == 1
    order = [what for what in inner.got if isinstance(what, int)]
    assert order == sorted(set(order))
    bad = [fate for fate in fates[:-1] if fate in ERRORS]
    if counts.failed:
        assert "failing" in [s.state for s in said]
    if lossless and stop_at >= len(HOPS):
        assert counts.dropped == 0
        assert counts.failed == len(bad[:handed_over])
    if fates[-1] in ERRORS:
        assert said[-1].reason.startswith("closing: ")


@settings(max_examples=20, deadline=None)
@given(
    fates=st.lists(st.tuples(FATES, st.booleans()), max_size=60),
    capacity=st.integers(1, 20),
    threads=st.integers(1, 4),
    lossless=st.booleans(),
    stop_at=st.integers(0, 60),
)
def test_a_delivery_queue_does_each_job_once_or_counts_it(
    fates: list[tuple[str, bool]], capacity: int, threads: int, lossless: bool, stop_at: int
) -> None:
    begun, told, drops = Counter[int](), list[BaseException](), list[int]()
    stop, clock = threading.Event(), SystemClock()

    def job(number: int) -> bool:
        begun[number] += 1
        fate, good = fates[number]
        suffer(fate)
        return good

    queue: DeliveryQueue[int] = DeliveryQueue(
        "w",
        job,
        capacity=capacity,
        on_drop=drops.append,
        clock=clock,
        threads=threads,
        room=Room(0.5, stop, clock) if lossless else None,
        on_error=told.append,
    )
    for number in range(len(fates)):
        if number == stop_at:
            stop.set()
        queue.put(number)
    counts = queue.close(20)
    assert counts.waiting == 0
    assert counts.done + counts.failed + counts.dropped == len(fates)
    assert max(begun.values(), default=1) == 1
    assert sum(begun.values()) == counts.done + counts.failed
    assert len(told) == sum(fates[number][0] in ERRORS for number in begun)
    if lossless and stop_at >= len(fates):
        assert counts.dropped == 0
    if counts.dropped:
        assert drops[0] == 1


@settings(max_examples=12, deadline=None)
@given(st.dictionaries(st.sampled_from("abcd"), st.lists(FATES, min_size=1, max_size=40), min_size=1))
def test_outputs_on_the_loop_cost_each_other_nothing(fates: dict[str, list[str]]) -> None:
    ordinary = {name: ["odd" if f in ("death", "exit") else f for f in own] for name, own in fates.items()}
    sinks = {name: Suffering([*own[:-1], "well", "well"]) for name, own in ordinary.items()}
    said = Said()
    board = Switchboard(sinks, said)
    board.start(START)
    for record in HOPS:
        board.hop(record)
    board.end(END)
    board.close()
    everything = ["start", *range(len(HOPS)), "end"]
    for name, sink in sinks.items():
        missed = [k for k, fate in enumerate(ordinary[name][:-1]) if fate in ERRORS]
        assert sink.got == [what for k, what in enumerate(everything) if k not in missed]
        assert sink.closed == 1
        assert bool(missed and missed[0] < len(everything)) == any(s.device == name for s in said)


@settings(max_examples=4, deadline=None)
@given(
    answers=st.lists(
        st.sampled_from([204, 204, 500, 503, 400, 302, 999, (429, {"Retry-After": "²"}), (503, {"X": "ü"})]),
        max_size=12,
    ),
    events=st.integers(1, 12),
)
def test_a_webhook_delivers_or_counts_whatever_is_answered(answers: list[object], events: int) -> None:
    class NoWaits(SystemClock):
        def wait_until(self, t_ns: int, wake: threading.Event | None = None) -> bool:
            return False

    receiver, said = Receiver(), Said()
    receiver.answers = list(answers)  # type: ignore[arg-type]
    sink = WebhookSink(WebhookOptions(receiver.url, retries=1), about(said, NoWaits(), flush_s=30))
    sink.start(replace(make_start()))
    for record in flood(events, per_hop=1):
        sink.hop(record)
    sink.close()
    receiver.close()
    counts = sink.counts
    assert counts.done + counts.failed == events
    assert (counts.dropped, counts.waiting) == (0, 0)
    refused = [s for s in said if s.state == "failed"]
    assert len(refused) == counts.failed
