"""Whether a file was cut off: only where its container says how many bytes there should be.

Durations in headers prove nothing: recorders that were killed, browsers and `ffmpeg -f segment` write wrong
ones. Sizes of boxes (ISO/IEC 14496-12), elements (RFC 8794) and chunks (RIFF) do, where they are written.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Final

_EBML: Final = b"\x1a\x45\xdf\xa3"
_SEGMENT: Final = b"\x18\x53\x80\x67"
_UNKNOWN_RIFF: Final = (0, 0xFFFF_FFFF)


def missing_bytes(path: Path) -> int:
    """How many bytes the container promises beyond the end of the file; 0 where it promises nothing."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF":
            length = int.from_bytes(head[4:8], "little")
            return 0 if length in _UNKNOWN_RIFF else max(0, length + 8 - size)
        if head[:4] == _EBML:
            return max(0, _segment_end(file, size) - size)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp"):
            return max(0, _boxes_end(file, size) - size)
    return 0


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Where the last box of the file ends."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0: to the end of the file
            return 0
        at += length
    return at


def _segment_end(file: BinaryIO, size: int) -> int:
    """Where the segment of a Matroska file ends; 0 where its size is unknown."""
    file.seek(4)
    length, _ = _number(file)
    if length > size:  # damaged; and there is no such place to go to
        return 0
    file.seek(file.tell() + length)
    if file.read(4) != _SEGMENT:
        return 0
    length, unknown = _number(file)
    return 0 if unknown else file.tell() + length


def _number(file: BinaryIO) -> tuple[int, bool]:
    """A variable-size integer (RFC 8794, section 4), and whether it is the reserved `unknown`."""
    first = file.read(1)
    if not first or first[0] == 0:
        return 0, True
    width = 9 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (0xFF >> width)]) + file.read(width - 1), "big")
    return value, value == (1 << 7 * width) - 1
