"""A whole source as seconds, in the caller's thread: for tools that want segments and no answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..core.errors import SourceError
from ..core.messages import ClosedSegment, EndOfStream, Segment, Status
from ..sources.base import Source
from .cutter import Cutter

_READ_TIMEOUT_S: Final = 0.2


def segments(source: Source) -> Iterator[Segment]:
    """An open source, cut as the live stream cuts it; closes it.

    Raises:
        SourceError: a device or stream is lost for good.

    """
    info = source.info
    cutter = Cutter(live=info.live, video=bool(info.video), audio=bool(info.audio))
    try:
        while True:
            item = source.read(_READ_TIMEOUT_S)
            if isinstance(item, EndOfStream):
                cuts = cutter.finish(item.t_ns)
            elif isinstance(item, Status) and item.state == "failed":
                raise SourceError(f"{info.name}: {item.reason}")
            else:
                cuts = [] if item is None or isinstance(item, Status) else cutter.push(item)
                now_ns = source.stream_now_ns()
                if now_ns is not None:
                    cuts += cutter.advance(now_ns)
            for cut in cuts:
                if isinstance(cut, ClosedSegment):
                    yield cut.segment
            if isinstance(item, EndOfStream):
                return
    finally:
        source.close()
