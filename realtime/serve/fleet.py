"""The streams that run, by name: begun, changed, ended."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..config.streams import StreamConfig
from ..core.clock import NS_PER_S
from ..core.errors import UsageError
from ..sinks.watch import Bell, Watch
from .stream import House, OneStream

_GONE_S: Final = 10.0
"""How long whoever ends streams waits for them: the next ones may want their devices."""


class Fleet:
    """All streams of one program.

    Args:
        house: what they share.
        bell: told what happens to each.
        stopped: set when all is to end; nothing is begun then.
        gone: called with the name of every stream that was removed.

    """

    def __init__(
        self, house: House, bell: Bell, stopped: threading.Event, gone: Callable[[str], None]
    ) -> None:
        self._house, self._bell, self._stopped, self._gone = house, bell, stopped, gone
        self._streams: dict[str, OneStream] = {}
        self._folders = set[Path]()

    def __contains__(self, name: str) -> bool:
        return name in self._streams

    def all(self) -> tuple[OneStream, ...]:
        """Every stream, also those that are over; in the order of their beginning."""
        return tuple(self._streams.copy().values())

    def named(self, name: str) -> OneStream:
        """One of them.

        Raises:
            UsageError: no such stream.

        """
        if (stream := self._streams.get(name)) is None:
            known = ", ".join(self._streams) or "none"
            raise UsageError(f"no stream is called {name!r}; there are: {known}")
        return stream

    @property
    def over(self) -> bool:
        """Whether there were any, and all have ended by themselves."""
        return bool(self._streams) and not any(stream.alive for stream in self.all())

    def folders(self) -> set[Path]:
        """Where clips lie, also those of streams that are gone by now."""
        configs = [stream.wanted.config for stream in self.all()]
        self._folders |= {config.clips.dir for config in configs if config.clips.dir is not None}
        return self._folders

    def begin(self, wanted: StreamConfig) -> None:
        """Start a stream, in place of one of its name that is over."""
        if self._stopped.is_set():
            return
        stream = OneStream(wanted, self._house, Watch(wanted.name, self._bell))
        self._streams[wanted.name] = stream
        stream.start()

    def change(self, present: OneStream, wanted: StreamConfig) -> str:
        """Go on by another configuration, and say how."""
        if present.alive:
            return present.change(wanted)
        self.begin(wanted)  # it was over, or had failed: perhaps for the reason that is mended now
        return "begun anew"

    def end(self, streams: list[OneStream]) -> None:
        """End some of them, and wait for that."""
        self.folders()  # of those that go, too
        for stream in streams:
            stream.stop()
        clock = self._house.clock
        until_ns = clock.now_ns() + round(_GONE_S * NS_PER_S)
        for stream in streams:
            stream.join(max(0.0, (until_ns - clock.now_ns()) / NS_PER_S))
            self._streams.pop(stream.name, None)
            self._bell.ring({"type": "stream", "stream": stream.name, "state": "removed", "reason": ""})
            self._gone(stream.name)
