"""What every consumer of results is: screens, logs, messages, clips.

The pipeline calls, from one thread and in this order, `start` once, then `hop` and `status` as they come,
`end` once, and `close` always (also when the stream failed, and then without `end`). A sink that does
anything slow (network, disk, a busy terminal) queues it and returns: the next hop waits for nobody.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ..messages import HopRecord, Status, StreamEnd, StreamStart, TimedAudio, TimedFrame


class Sink(Protocol):
    """A consumer of results.

    Constructors check what can be checked before the stream starts (a directory that can't be written)
    and raise `OutputError`. Later troubles are the sink's own: it says so with a `Status` through the
    `report` callable it was built with, and goes on. An `OutputError` raised from a method ends the stream.
    """

    def start(self, start: StreamStart) -> None:
        """The stream begins."""

    def hop(self, record: HopRecord) -> None:
        """A hop has an answer; `record.settled` and `record.events` happened in that order."""

    def status(self, status: Status) -> None:
        """A device, a sink or the machine has something to say; also before the first hop."""

    def end(self, end: StreamEnd) -> None:
        """The stream is over; `end.last_settled` and `end.last_events` come before the totals."""

    def close(self) -> None:
        """Flush and release; safe to call twice."""


@runtime_checkable
class MediaSink(Protocol):
    """A sink that also wants the stream itself (a clip recorder).

    Where one is present sources fill `TimedFrame.original`. `media` is called from the reading thread,
    in order of delivery: it must not block.
    """

    def media(self, item: TimedFrame | TimedAudio) -> None:
        """One picture or block of sound."""
