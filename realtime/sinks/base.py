"""What every consumer of results is: screens, logs, messages, clips.

The loop calls, from one thread and in this order, `start` once, then `hop` and `status` as they come, `end`
once, and `close` always (also when the stream failed, and then without `end`). A sink that does anything
slow (network, disk, a busy terminal) queues it and returns: the next hop waits for nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from ..core.clock import Clock, wall_clock_s
from ..core.options import Options
from ..core.states import Severity, State
from .room import Room, patient

if TYPE_CHECKING:
    from ..core.messages import Event, Hop, Status, StreamEnd, StreamStart, TimedAudio, TimedFrame

RECORDING_FLUSH_S: Final = 30.0
"""How long the end of a recording waits for outputs that are behind; the rest is counted and reported.
A live stream ends sooner, and so does a recording that is stopped: whoever stops it wants it to stop."""
OUTPUT_WAIT_S: Final = 300.0
"""How long a recording waits for an output that takes nothing; what that misses is counted and reported."""


class Sink:
    """A consumer of results: a subclass overrides what it wants to hear of, nothing else.

    Constructors check what can be checked before the stream starts (a directory that can't be written)
    and raise `OutputError`. Later troubles are the sink's own: it reports them and goes on. What a method
    raises ends the stream and reaches whoever runs it.
    """

    events_only: ClassVar[bool] = False
    """Set by a sink that reads nothing of a hop but its events: other hops are not even queued for it."""

    def start(self, start: StreamStart) -> None:
        """The stream begins."""

    def resume(self, ongoing: Ongoing) -> None:
        """Right after `start`, where the output is plugged into a stream that runs already (a reload)."""

    def hand_over(self, successor: Sink) -> None:
        """Right before `close`, where `successor` goes on in this one's place (a reload)."""

    def hop(self, record: Hop) -> None:
        """A hop has an answer; `record.settled` and `record.events` happened in that order."""

    def status(self, status: Status) -> None:
        """A device, a sink or the machine has something to say; also before the first hop."""

    def end(self, end: StreamEnd) -> None:
        """The stream is over; `end.last_settled` and `end.last_events` come before the totals."""

    def media(self, item: TimedFrame | TimedAudio) -> None:
        """One picture or block of sound, in order of delivery, from the reading thread: it must not block.

        Only a sink that overrides this is called. `TimedFrame.original` is filled where the source was told
        to keep originals (a folder for clips is configured).
        """

    def tell_clips(self, tell: Callable[[Clip], None]) -> None:
        """Where a sink that writes clips of events is to say so; called when it is plugged in."""

    def clip_written(self, clip: Clip) -> None:
        """Another output wrote a clip; said from a thread of its own, also after `end`."""

    def close(self) -> None:
        """Flush and release; safe to call twice."""


def wants_media(sink: Sink) -> bool:
    """Whether a sink overrides `media`."""
    return type(sink).media is not Sink.media


def words(error: BaseException) -> str:
    """What an error says, on one line; what it is where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


@dataclass(frozen=True)
class Clip:
    """A file that shows events; seconds of the stream."""

    path: Path
    thumbnail: Path | None
    start_s: float
    end_s: float
    events: tuple[int, ...]
    """Their ids."""


class Report(Protocol):
    """Where troubles go. Callable from any thread; never blocks."""

    def __call__(self, device: str, state: State, reason: str, severity: Severity | None = None) -> None:
        """Say that `device` is in `state`; without a severity it is the usual one of the state."""


@dataclass(frozen=True)
class Ongoing:
    """What a stream is in the middle of, for an output that is plugged in while it runs."""

    events: tuple[Event, ...] = ()
    """Open events, as they were said last."""


@dataclass(frozen=True)
class Predecessor:
    """What a new output takes the place of; both are there until the new one has proved good."""

    sink: Sink
    gone: threading.Event
    """Set when `sink` is closed and flushed: who writes where it wrote waits for that."""


@dataclass(frozen=True)
class About:
    """What an output has to know of the stream that it is built for."""

    name: str
    """What the stream is called."""
    live: bool
    report: Report
    clock: Clock
    wall_s: Callable[[], float] = wall_clock_s
    """The time of day, Unix seconds."""
    patience_s: float | None = None
    """How long the end may wait for this output; None leaves it to `flush_s`."""
    wait_s: float = OUTPUT_WAIT_S
    """How long a recording may wait for this output while it goes on."""
    stop: threading.Event | None = None
    """Set when the stream is asked to end: nothing waits for long any more."""
    page: Callable[[Any, About], Sink] | None = None
    """What makes the page of its `WebOptions`; it stands a floor above the outputs."""
    replaces: Predecessor | None = None
    """In a reload: the output of the same kind that leaves when all new ones are there."""

    several: bool = False
    """Whether the program has other streams, too: records then carry the stream's name."""

    @property
    def lossless(self) -> bool:
        """Whether to wait for room rather than drop: a recording waits for its reader anyway."""
        return not self.live

    def room(self) -> Room | None:
        """How to wait for room in a queue; None where nothing ever waits."""
        return Room(self.wait_s, self.stop, self.clock) if self.lossless else None

    def flush_s(self, live_s: float) -> float:
        """How long the end waits for what is queued: `live_s` for a live stream, longer for a recording."""
        if self.patience_s is not None:
            return self.patience_s
        stopped = self.stop is not None and self.stop.is_set()
        return live_s if self.live or stopped else RECORDING_FLUSH_S

    def flush(self, done: Callable[[float], bool], live_s: float) -> bool:
        """Wait for `done` (as `Event.wait`) at the end, for `flush_s(live_s)`; whether it came in time."""
        return patient(done, lambda: self.flush_s(live_s))


@dataclass(frozen=True)
class SinkOptions(Options):
    """Options of an output; they build it. A field of this type in the configuration registers the output."""

    def build(self, about: About) -> Sink | None:
        """The output, running; None where these options ask for none.

        Raises:
            UsageError: an address, command or budget that makes no sense.
            OutputError: a folder that can't be written, a taken port, a missing package or program.

        """
        raise NotImplementedError
