"""A recording decoded beforehand: so that what is measured is the pipeline, not the codec."""

from __future__ import annotations

from pathlib import Path

from ...core.clock import Clock
from ...core.messages import EndOfStream, SourceInfo
from ...sources import replay
from ...sources.base import Item, Source
from ...sources.picture import FrameConverter
from .meters import Stopwatch


class Tape(Source):
    """A source that plays items from memory as fast as they are taken."""

    def __init__(self, info: SourceInfo, items: list[Item]) -> None:
        self.info = info
        self._items = items
        self._at = 0

    def open(self) -> None:
        """Nothing to open."""

    def read(self, timeout_s: float) -> Item | None:
        """The next item."""
        item = self._items[self._at]
        self._at = min(self._at + 1, len(self._items) - 1)
        return item

    def close(self) -> None:
        """Nothing to close."""


def record(path: Path, clock: Clock, watch: Stopwatch, duration_s: float | None, frames: int) -> Tape:
    """Decode a recording; `decode` (with `resize` inside) is noted, one entry for each second of it.

    Raises:
        SourceError: it can't be opened.

    """
    source = replay.Replay(
        path, clock, replay.ReplayOptions(speed=None, duration_s=duration_s, frames=frames)
    )
    # The method itself is replaced: the resizing happens deep inside the decoding.
    original = FrameConverter.timed
    FrameConverter.timed = watch.timed("resize", original)  # type: ignore[method-assign]
    items: list[Item] = []
    try:
        read = watch.timed("decode", source.read)
        watch.timed("decode", source.open)()
        while not items or not isinstance(items[-1], EndOfStream):
            item = read(1.0)
            if item is not None:
                items.append(item)
    finally:
        FrameConverter.timed = original  # type: ignore[method-assign]
        source.close()
    return Tape(source.info, items)
