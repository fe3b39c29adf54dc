"""A thread and a bounded queue around a sink: whatever the sink does, the loop is not delayed.

    threaded = SinkThread("log", sink, report, clock)      # is itself a Sink

Calls only append to the queue. When it is full the oldest hop that carries no news (no event, no settled
second) goes first, then the oldest hop that does, and every drop is counted and reported. A sink that
raises (anything: a thread that died would take all later records with it) is reported once, keeps getting
the records that follow, and is reported again when it recovers.
At the end the queue is flushed, up to a deadline.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ..core.clock import NS_PER_S, Clock
from ..core.states import CONFIGURATION, State
from .base import Report, Sink, words
from .room import Room, over, patient

if TYPE_CHECKING:
    from ..core.messages import Hop, Status, StreamEnd, StreamStart

_REPORT_EVERY_NS = 60 * NS_PER_S

_LOOK_S = 0.1

_NOTHING_NEW, _NEWS, _FRAME = range(3)
"""What a record is worth when one has to go: a hop without news first, then a hop, then all else."""


@dataclass(frozen=True, slots=True)
class ThreadCounts:
    """What became of the records handed to one sink."""

    delivered: int
    dropped: int
    """Given up because the queue was full, or not flushed before the deadline."""
    failed: int
    """The sink raised on them."""


def without_media(record: Hop) -> Hop:
    """The record without its pictures and sound (2.4 MB a hop); the small preview stays.

    The arrays keep their shapes (records count the pictures) but are one zero, repeated.
    """
    import numpy as np

    segment = record.segment
    frames = np.broadcast_to(np.uint8(0), segment.frames.shape)
    audio = np.broadcast_to(np.float32(0), segment.audio.shape)
    return replace(record, segment=replace(segment, frames=frames, audio=audio))


class SinkThread(Sink):
    """Runs `sink` in a thread of its own. Memory: at most `capacity` records without media.

    Args:
        name: of the sink, in its reports.
        sink: what to run.
        report: is told of drops, failures and recoveries.
        clock: for the pace of the reports.
        capacity: records that may wait.
        deadline_s: how long `close` lets the sink finish.
        lossless: wait for room instead of dropping. For recordings, which wait for their reader: a replay
            as fast as the machine can must not leave holes in a log.

    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        report: Report,
        clock: Clock,
        *,
        capacity: int = 256,
        deadline_s: float | Callable[[], float] = 5.0,
        lossless: bool = False,
        room: Room | None = None,
        after: Callable[[float], bool] | None = None,
    ) -> None:
        self.name = name
        self._sink = sink
        self._report_to = report
        self._capacity = max(1, capacity)
        self._deadline_s = deadline_s if callable(deadline_s) else lambda: deadline_s
        self._room = room or (Room(math.inf, None, clock) if lossless else None)
        self._clock = clock
        self._queue: deque[tuple[Callable[[], None], int]] = deque()
        self._changed = threading.Condition()
        self._after = after
        self._closing = False
        self._abandoned = False
        self._delivered = self._dropped = self._failed = 0
        self._dropped_told = 0
        self._told_ns: int | None = None
        self._failing = False
        # A daemon: a sink that hangs for good must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name=f"sink-{name}", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> ThreadCounts:
        """What was delivered, dropped and failed so far."""
        with self._changed:
            return ThreadCounts(self._delivered, self._dropped, self._failed)

    @property
    def waiting(self) -> int:
        """Records in the queue."""
        with self._changed:
            return len(self._queue)

    def start(self, start: StreamStart) -> None:
        """Queue the beginning."""
        self._put(partial(self._sink.start, start))

    def hop(self, record: Hop) -> None:
        """Queue one hop, without its media."""
        if record.events or not self._sink.events_only:
            self._put(
                partial(self._sink.hop, without_media(record)),
                _NEWS if record.events or record.settled else _NOTHING_NEW,
            )

    def status(self, status: Status) -> None:
        """Queue one status; those who want events alone hear of reloads."""
        if status.device == CONFIGURATION or not self._sink.events_only:
            self._put(partial(self._sink.status, status))

    def end(self, end: StreamEnd) -> None:
        """Queue the end."""
        self._put(partial(self._sink.end, end))

    def close(self) -> None:
        """Flush what is queued, at most `deadline_s`, and close the sink; safe to call twice."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if patient(over(self._thread), self._deadline_s):
            return
        with self._changed:
            if self._abandoned:
                return
            self._abandoned = True
            lost = len(self._queue)
            self._dropped += lost
            self._queue.clear()
        self._tell("failed", f"did not finish within {self._deadline_s():g} s; {lost} records not delivered")

    # The caller's side ----------------------------------------------------------------------------

    def _put(self, deliver: Callable[[], None], worth: int = _FRAME) -> None:
        tell = 0
        with self._changed:
            if self._room is not None:
                self._room.wait(self._changed, lambda: self._closing or len(self._queue) < self._capacity)
            if self._closing:
                return
            if len(self._queue) >= self._capacity:
                self._drop_one()
                now_ns = self._clock.now_ns()
                if self._told_ns is None or now_ns - self._told_ns >= _REPORT_EVERY_NS:
                    self._told_ns = now_ns
                    tell, self._dropped_told = self._dropped - self._dropped_told, self._dropped
            self._queue.append((deliver, worth))
            self._changed.notify_all()
        if tell:
            self._tell("overrun", f"too slow: {tell} records dropped ({self._dropped_told} so far)")

    def _drop_one(self) -> None:
        cheapest = min(worth for _, worth in self._queue)
        first = next(i for i, (_, worth) in enumerate(self._queue) if worth == cheapest)
        del self._queue[first]
        self._dropped += 1

    # The sink's side ------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._after is not None and not self._after(_LOOK_S):
            if self._closing and not self._queue:
                break
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    self._changed.wait()
                if self._abandoned or not self._queue:
                    break
                deliver, _ = self._queue.popleft()
                self._changed.notify_all()
            self._deliver(deliver)
        try:
            self._sink.close()
        except BaseException as error:
            self._tell("failing", f"closing: {words(error)}")

    def _deliver(self, deliver: Callable[[], None]) -> None:
        try:
            deliver()
        except BaseException as error:  # whatever a sink raises stays with the sink
            with self._changed:
                self._failed += 1
            if not self._failing:
                self._failing = True
                self._tell("failing", words(error))
        else:
            with self._changed:
                self._delivered += 1
            if self._failing:
                self._failing = False
                self._tell("running", f"works again; {self.counts.failed} records failed so far")

    def _tell(self, state: State, reason: str) -> None:
        self._report_to(self.name, state, reason)
