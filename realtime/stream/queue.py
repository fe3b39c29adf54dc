"""What lies between the reader and the networks: bounded, and fair to what kind of source it is.

recording   a full mailbox makes the reader wait: nothing is lost
live        the reader never waits: one hop may be in flight and one waiting; when another closes,
            the waiting one is taken out with its pictures and counted as skipped. When a segment has
            closed before all of its pictures were taken, it is handed over at once, as late: its
            pictures are in it, and the worker may look at a few of them only
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace

from ..core.messages import ClosedSegment, EndOfStream, SelectedFrame, Status
from ..core.states import Severity, State

CAPACITY = 48
"""Messages a recording's reader may be ahead: pictures of three seconds at sixteen a second, 7 MB."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The reader died; the owner raises this again."""

    error: BaseException


Message = SelectedFrame | ClosedSegment | Status | EndOfStream | Failed


class SegmentQueue:
    """One reader puts, one worker takes."""

    def __init__(self, *, live: bool, capacity: int = CAPACITY) -> None:
        self._live = live
        self._capacity = capacity
        self._queue: deque[Message] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._begun = -1
        """The newest segment that the worker has begun with."""
        self.skipped = 0
        """Segments taken out because the worker was late."""

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, message: Message) -> None:
        """Append; a recording's reader waits for room, a live one makes room."""
        with self._changed:
            if self._live:
                if isinstance(message, ClosedSegment):
                    self._make_room()
            else:
                while len(self._queue) >= self._capacity and not self._closed:
                    self._changed.wait()
            if not self._closed:
                self._queue.append(message)
                self._changed.notify_all()

    def take(self, timeout_s: float) -> Message | None:
        """The oldest message; None when none came in time."""
        with self._changed:
            if not self._queue:
                self._changed.wait(timeout_s)
            if not self._queue:
                return None
            message = self._queue.popleft()
            if self._live and isinstance(message, SelectedFrame):
                message = self._closed_already(message)
            self._begun = max(self._begun, _key(message))
            self._changed.notify_all()
            return message

    def close(self) -> None:
        """Forget everything and release a waiting reader."""
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()

    def _closed_already(self, chosen: SelectedFrame) -> Message:
        """The picture; or its segment, if that waits closed already, in place of all pictures left."""
        for waiting in self._queue:
            if isinstance(waiting, ClosedSegment) and waiting.key == chosen.key:
                self._queue = deque(m for m in self._queue if _key(m) != chosen.key)
                return replace(waiting, late=True)
        return chosen

    def _make_room(self) -> None:
        """Take out what waits; what the worker has begun with is in flight and stays."""
        waiting = [m.key for m in self._queue if isinstance(m, ClosedSegment)]
        for key in waiting:
            if key > self._begun:
                self._queue = deque(m for m in self._queue if _key(m) != key)
                self.skipped += 1


def _key(message: Message) -> int:
    """The segment a message belongs to; -1 for none."""
    return message.key if isinstance(message, SelectedFrame | ClosedSegment) else -1


class StatusQueue:
    """What outputs and networks have to say, from any thread, on its way to everybody; keeps the newest 64.

    It is the `Report` that they are built with. The instant is filled in by the loop that takes them out.
    """

    def __init__(self) -> None:
        self._waiting: deque[Status] = deque(maxlen=64)

    def __call__(self, device: str, state: State, reason: str, severity: Severity | None = None) -> None:
        """Say something; never blocks."""
        if severity is None:
            self._waiting.append(Status(device, state, reason, 0))
        else:
            self._waiting.append(Status(device, state, reason, 0, severity))

    def take(self, t_ns: int) -> list[Status]:
        """What was said since the last call, as of stream time `t_ns`."""
        said = []
        while self._waiting:
            said.append(replace(self._waiting.popleft(), t_ns=t_ns))
        return said
