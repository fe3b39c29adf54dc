"""One sink that stands for several, which may be exchanged while the stream runs (a reload)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from .base import Clip, Ongoing, Report, Sink, wants_media, words
from .presence import Presence

if TYPE_CHECKING:
    from ..core.messages import Event, Hop, Status, StreamEnd, StreamStart, TimedAudio, TimedFrame

_LEAVE_S: Final = 10.0
"""How much longer than its own time an output that was exchanged may hold up the end."""

Outputs = Mapping[str, Sink] | Sequence[Sink]
"""By name, or without names."""


def _named(outputs: Outputs) -> dict[str, Sink]:
    if isinstance(outputs, Mapping):
        return dict(outputs)
    return {f"{type(output).__name__} {id(output):x}": output for output in outputs}


class Switchboard(Sink):
    """Passes everything on to the outputs that are plugged in. `exchange` belongs on the loop's thread.

    Args:
        outputs: what is plugged in, by name.
        report: told what an output raises, once until it works again; the others and the stream go on.
            Without it what is raised goes through to the caller.

    """

    def __init__(self, outputs: Outputs, report: Report | None = None) -> None:
        self._outputs = _named(outputs)
        self._report = report
        self._failing: set[tuple[str, str]] = set()
        """Output and call, of what raised when it was last called."""
        self._media = self._wanting()
        self._start: StreamStart | None = None
        self._open: dict[int, Event] = {}
        self._leaving: list[threading.Thread] = []
        self._presence = Presence()
        for output in self._outputs.values():
            output.tell_clips(self.clip_written)

    @property
    def outputs(self) -> tuple[Sink, ...]:
        """What is plugged in."""
        return tuple(self._outputs.values())

    def exchange(self, old: Outputs, new: Outputs, gone: Mapping[str, threading.Event] | None = None) -> None:
        """Put `new` in the place of `old`, by name: all of it or nothing.

        The new ones are started, and told what is going on and which devices are away, before an old one
        leaves; those are closed aside, so that flushing delays nobody, and their events in `gone` set then.

        Raises:
            Exception: what a new output raised; all new ones are closed, and the old ones still plugged in.

        """
        leaving, coming = _named(old), _named(new)
        try:
            for output in coming.values():
                output.tell_clips(self.clip_written)
                if self._start is not None:
                    output.start(self._start)
                    output.resume(Ongoing(tuple(self._open.values())))
                for status in self._presence.all.values():
                    output.status(status)
        except BaseException:
            for output in coming.values():
                self._aside(output, threading.Event())
            raise
        kept = {name: one for name, one in self._outputs.items() if one not in leaving.values()}
        self._outputs = {**kept, **coming}
        self._failing = {call for call in self._failing if call[0] in kept}
        self._media = self._wanting()
        for name, output in leaving.items():
            if (successor := coming.get(name)) is not None:
                output.hand_over(successor)
            self._aside(output, (gone or {}).get(name) or threading.Event())

    def start(self, start: StreamStart) -> None:
        """Tell all, and remember it for those that come later."""
        self._start = start
        self._tell("start", lambda output: output.start(start))

    def hop(self, record: Hop) -> None:
        """Tell all."""
        for event in record.events:
            self._open.pop(event.id, None)
            if event.kind in ("start", "update"):
                self._open[event.id] = event
        self._tell("hop", lambda output: output.hop(record))

    def status(self, status: Status) -> None:
        """Tell all."""
        self._presence.take(status)
        self._tell("status", lambda output: output.status(status))

    def end(self, end: StreamEnd) -> None:
        """Tell all."""
        self._tell("end", lambda output: output.end(end))

    def media(self, item: TimedFrame | TimedAudio) -> None:
        """Pass it on to those that want it."""
        for name, output in self._media.items():
            self._guarded((name, "media"), output, lambda output: output.media(item))

    def clip_written(self, clip: Clip) -> None:
        """Tell all, from the thread of whoever wrote it."""
        for name, output in self._outputs.items():
            self._guarded((name, "clip"), output, lambda output: output.clip_written(clip))

    def close(self) -> None:
        """Close every output, all at once: together they take as long as the slowest.

        What one raises is raised when all are closed.
        """
        errors: list[BaseException] = []

        def shut(output: Sink) -> None:
            try:
                output.close()
            except BaseException as error:
                errors.append(error)

        closing = [threading.Thread(target=shut, args=(one,), daemon=True) for one in self._outputs.values()]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()
        for thread in self._leaving:
            thread.join(_LEAVE_S)
        if errors:
            raise errors[0]

    def _aside(self, output: Sink, gone: threading.Event) -> None:
        """Close an output in a thread of its own."""

        def shut() -> None:
            try:
                output.close()
            except BaseException as error:
                if self._report is not None:
                    self._report("configuration", "failing", f"closing an output: {words(error)}")
            finally:
                gone.set()

        self._leaving = [thread for thread in self._leaving if thread.is_alive()]
        thread = threading.Thread(target=shut, name="sink-leaving", daemon=True)
        thread.start()
        self._leaving.append(thread)

    def _wanting(self) -> dict[str, Sink]:
        return {name: output for name, output in self._outputs.items() if wants_media(output)}

    def _tell(self, call: str, what: Callable[[Sink], None]) -> None:
        for name, output in self._outputs.items():
            self._guarded((name, call), output, what)

    def _guarded(self, call: tuple[str, str], output: Sink, what: Callable[[Sink], None]) -> None:
        if self._report is None:
            what(output)
            return
        try:
            what(output)
        except Exception as error:  # a fault of one output is no reason to end a stream that others wait for
            if call not in self._failing:
                self._failing.add(call)
                self._report(call[0], "failing", words(error))
        else:
            if call in self._failing:
                self._failing.discard(call)
                self._report(call[0], "running", "works again")
