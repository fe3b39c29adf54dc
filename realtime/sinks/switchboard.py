"""One sink that stands for several, which may be exchanged while the stream runs (a reload)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack

from ..messages import Hop, Status, StreamEnd, StreamStart, TimedAudio, TimedFrame
from .base import Sink, wants_media
from .presence import Presence


class Switchboard(Sink):
    """Passes everything on to the outputs that are plugged in. `exchange` belongs on the loop's thread."""

    def __init__(self, outputs: Sequence[Sink]) -> None:
        self._outputs = tuple(outputs)
        self._media = tuple(o for o in outputs if wants_media(o))
        self._start: StreamStart | None = None
        self._leaving: list[threading.Thread] = []
        self._presence = Presence()

    @property
    def outputs(self) -> tuple[Sink, ...]:
        """What is plugged in."""
        return self._outputs

    def exchange(self, old: Sequence[Sink], new: Sequence[Sink]) -> None:
        """Start `new`, put them in the place of `old`, and close those aside: flushing delays nobody.

        Newcomers hear which devices are away: that was said once, to those before them.
        """
        for output in new:
            if self._start is not None:
                output.start(self._start)
            for status in self._presence.all.values():
                output.status(status)
        self._outputs = (*(o for o in self._outputs if o not in old), *new)
        self._media = tuple(o for o in self._outputs if wants_media(o))
        for output in old:
            thread = threading.Thread(target=output.close, name="sink-leaving", daemon=True)
            thread.start()
            self._leaving.append(thread)

    def start(self, start: StreamStart) -> None:
        """Tell all, and remember it for those that come later."""
        self._start = start
        for output in self._outputs:
            output.start(start)

    def hop(self, record: Hop) -> None:
        """Tell all."""
        for output in self._outputs:
            output.hop(record)

    def status(self, status: Status) -> None:
        """Tell all."""
        self._presence.take(status)
        for output in self._outputs:
            output.status(status)

    def end(self, end: StreamEnd) -> None:
        """Tell all."""
        for output in self._outputs:
            output.end(end)

    def media(self, item: TimedFrame | TimedAudio) -> None:
        """Pass it on to those that want it."""
        for output in self._media:
            output.media(item)

    def close(self) -> None:
        """Close every output, also when one of them raises."""
        with ExitStack() as stack:
            for output in reversed(self._outputs):
                stack.callback(output.close)
        for thread in self._leaving:
            thread.join(10)
