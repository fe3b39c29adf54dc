"""One sink that stands for several, which may be exchanged while the stream runs (a reload)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack

from ..messages import HopRecord, Status, StreamEnd, StreamStart, TimedAudio, TimedFrame
from .base import MediaSink, Sink


class Switchboard:
    """Passes everything on to the outputs that are plugged in. `exchange` belongs on the loop's thread."""

    def __init__(self, outputs: Sequence[Sink]) -> None:
        self._outputs = tuple(outputs)
        self._media = tuple(o for o in outputs if isinstance(o, MediaSink))
        self._start: StreamStart | None = None
        self._leaving: list[threading.Thread] = []

    @property
    def outputs(self) -> tuple[Sink, ...]:
        """What is plugged in."""
        return self._outputs

    def exchange(self, old: Sequence[Sink], new: Sequence[Sink]) -> None:
        """Start `new`, put them in the place of `old`, and close those aside: flushing delays nobody."""
        if self._start is not None:
            for output in new:
                output.start(self._start)
        self._outputs = (*(o for o in self._outputs if o not in old), *new)
        self._media = tuple(o for o in self._outputs if isinstance(o, MediaSink))
        for output in old:
            thread = threading.Thread(target=output.close, name="sink-leaving", daemon=True)
            thread.start()
            self._leaving.append(thread)

    def start(self, start: StreamStart) -> None:
        """See `Sink.start`."""
        self._start = start
        for output in self._outputs:
            output.start(start)

    def hop(self, record: HopRecord) -> None:
        """See `Sink.hop`."""
        for output in self._outputs:
            output.hop(record)

    def status(self, status: Status) -> None:
        """See `Sink.status`."""
        for output in self._outputs:
            output.status(status)

    def end(self, end: StreamEnd) -> None:
        """See `Sink.end`."""
        for output in self._outputs:
            output.end(end)

    def media(self, item: TimedFrame | TimedAudio) -> None:
        """See `MediaSink.media`."""
        for output in self._media:
            output.media(item)

    def close(self) -> None:
        """Close every output, also when one of them raises."""
        with ExitStack() as stack:
            for output in reversed(self._outputs):
                stack.callback(output.close)
        for thread in self._leaving:
            thread.join(10)
