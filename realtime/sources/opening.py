"""Opening a file with FFmpeg, whatever its name; and the parts of one that FFmpeg reads as one only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .parts import Part

if TYPE_CHECKING:
    from av.codec.hwaccel import HWAccel
    from av.container import InputContainer

_FLV: Final = b"FLV\x01"


def open_container(path: Path, part: Part | None = None, accel: HWAccel | None = None) -> InputContainer:
    """A recording, opened to read; names in it that are not valid UTF-8 are no reason to refuse it.

    Args:
        path: file.
        part: which of its bytes are read; None reads all.
        accel: what decodes its pictures (`hardware`); None = the CPU.

    """
    import av

    name = os.path.abspath(path)  # `12:30:00.mp4` alone would be a protocol named 12
    if part is not None:
        name = f"subfile,,start,{part.start},end,{part.end},,:{name}"
    try:
        return av.open(name, metadata_errors="replace", hwaccel=accel)
    except TypeError:  # PyAV 19 knows no such option
        return av.open(name, hwaccel=accel)


def open_pipe(pipe: Any, accel: HWAccel | None = None) -> InputContainer:
    """The same of something with a method `read`."""
    import av

    container: InputContainer
    try:
        container = av.open(pipe, metadata_errors="replace", hwaccel=accel)
    except TypeError:  # as above
        container = av.open(pipe, hwaccel=accel)
    return container


def next_flv(path: Path, tag: int) -> int:
    """Where a further FLV file begins behind the tag at byte `tag`; 0 where none does.

    FFmpeg takes its header for a tag of absurd size, and ends there.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        while tag + 15 <= size:
            file.seek(tag)
            head = file.read(11)
            if head[:4] == _FLV:
                return tag
            tag += 11 + int.from_bytes(head[1:4], "big") + 4
    return 0
