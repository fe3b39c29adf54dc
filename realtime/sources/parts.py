"""Files joined byte by byte in formats that state their own size: where each of them begins.

FFmpeg reads such a file as far as its header says (WAV, W64, AIFF, CAF, MP4, MOV, ASF, MXF, TTA, VOC) and
passes over the rest without a word; of joined FLAC it makes one stream with wrong times, at the joint of
WavPack and IVF it can't go on, and the tag in the middle of MP3 it takes for damage. Joined transport and
program streams, Ogg, Matroska, AVI and MP3 without tags are read whole (`pieces` puts their time stamps in
order); joined FLV is found while it is read (`opening.next_flv`).
"""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

_RIFF: Final = (b"RIFF", b"RF64", b"BW64")
_W64: Final = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_ASF: Final = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"
_FLAC: Final = b"fLaC"
_ID3: Final = b"ID3"
_TTA: Final = b"TTA1"
_VOC: Final = b"Creative Voice File\x1a"
_WAVPACK: Final = b"wvpk"
_IVF: Final = b"DKIF"
_MXF: Final = b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02"
"""The beginning of the key of a header partition (SMPTE ST 377-1, 7.1): a file has one, at its beginning."""
_HEAD: Final = 48
"""Bytes read at the beginning of a part."""


class Part(NamedTuple):
    """One of the files: bytes [start, end)."""

    start: int
    end: int


def parts_of(path: Path) -> list[Part]:
    """The files that were joined to one; empty where it is a single one, or its format states no size."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD)
        form = next((form for form in _FORMS if form.begins(head)), None)
        if form is None:
            return []
        starts = [0]
        for start in form.further(file, size):
            file.seek(start)
            if form.begins(file.read(_HEAD)):
                starts.append(start)
    return [Part(*span) for span in zip(starts, [*starts[1:], size], strict=True)] if starts[1:] else []


class _Form(NamedTuple):
    begins: Callable[[bytes], bool]
    """Whether these bytes begin a file of this format."""
    further: Callable[[BinaryIO, int], Iterator[int]]
    """Where further ones may begin, given the size of the file; in order."""


def _chained(length: Callable[[bytes], int]) -> Callable[[BinaryIO, int], Iterator[int]]:
    """One file behind another; `length` of a file by its head, 0 where it is not known."""

    def further(file: BinaryIO, size: int) -> Iterator[int]:
        at = 0
        while at + _HEAD <= size:
            file.seek(at)
            own = length(file.read(_HEAD))
            at += own
            if own < _HEAD or at + _HEAD > size:
                return
            yield at

    return further


def _boxes(
    step: Callable[[bytes], tuple[bytes, int]], first: bytes
) -> Callable[[BinaryIO, int], Iterator[int]]:
    """One box after another; a file begins with a box named `first`.

    Args:
        step: name and length of a box by its first 24 bytes; 0 where it is not known.
        first: name of the box that a file begins with.

    """

    def further(file: BinaryIO, size: int) -> Iterator[int]:
        at = 0
        while at + 8 <= size:
            file.seek(at)
            name, length = step(file.read(24))
            if name == first and at:
                yield at
            if length < 8:
                return
            at += length

    return further


def _marks(mark: bytes) -> Callable[[BinaryIO, int], Iterator[int]]:
    """Wherever the mark stands, in formats of sound that say nowhere how long they are."""

    def further(file: BinaryIO, size: int) -> Iterator[int]:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            at = view.find(mark, len(mark))
            while at >= 0:
                yield at
                at = view.find(mark, at + len(mark))

    return further


def _id3_marks(file: BinaryIO, size: int) -> Iterator[int]:
    """Tags behind which a frame of MPEG sound begins."""
    for at in _marks(_ID3)(file, size):
        file.seek(at)
        if _is_id3(head := file.read(10)):
            file.seek(at + 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]))
            frame = file.read(2)
            if len(frame) == 2 and frame[0] == 0xFF and frame[1] & 0xE0 == 0xE0:
                yield at


def _is_id3(head: bytes) -> bool:
    """The header of an ID3v2 tag (id3.org, 3.1): version 2 to 4, a size in bytes below 128."""
    return len(head) >= 10 and head[:3] == _ID3 and head[3] in (2, 3, 4) and max(head[6:10]) < 0x80


def _is_flac(head: bytes) -> bool:
    """The mark, and a block STREAMINFO of 34 bytes (RFC 9639, 8.1)."""
    return head[:4] == _FLAC and head[4:5] in (b"\x00", b"\x80") and head[5:8] == b"\x00\x00\x22"


def _is_tta(head: bytes) -> bool:
    """The mark, and a header of 18 bytes whose check sum stands behind it (TTA1)."""
    return head[:4] == _TTA and zlib.crc32(head[:18]) == int.from_bytes(head[18:22], "little")


def _is_wavpack(head: bytes) -> bool:
    """The first of the blocks that hold the first sample (WavPack 4 and 5); tags may stand before it."""
    first, flags = int.from_bytes(head[16:20], "little"), int.from_bytes(head[24:28], "little")
    return head[:4] == _WAVPACK and head[9:10] == b"\x04" and first == 0 and bool(flags & 0x800)


def _ivf_frame(head: bytes) -> tuple[bytes, int]:
    length = int.from_bytes(head[6:8] if head[:4] == _IVF else head[:4], "little")
    return head[:4], length if head[:4] == _IVF else 12 + length


def _klv(head: bytes) -> tuple[bytes, int]:
    """Key and length of what MXF files consist of (SMPTE ST 336): 16 bytes, BER length, value."""
    if head[:4] != _MXF[:4]:
        return b"", 0
    length, more = head[16], 0
    if length & 0x80:
        more = min(length & 0x7F, 7)
        length = int.from_bytes(head[17 : 17 + more], "big")
    return head[: len(_MXF)], 17 + more + length


def _is_wave(head: bytes) -> bool:
    return head[:4] in _RIFF and head[8:12] == b"WAVE"


def _wave_length(head: bytes) -> int:
    length = int.from_bytes(head[4:8], "little")
    if head[:4] != b"RIFF" and head[12:16] == b"ds64":
        length = int.from_bytes(head[20:28], "little")
    elif length == 0xFFFF_FFFF:
        return 0
    return 8 + length + length % 2


def _aiff_length(head: bytes) -> int:
    length = int.from_bytes(head[4:8], "big")
    return 8 + length + length % 2


def _w64_length(head: bytes) -> int:
    return -(-int.from_bytes(head[16:24], "little") // 8) * 8


def _mp4_box(head: bytes) -> tuple[bytes, int]:
    length = int.from_bytes(head[:4], "big")
    return head[4:8], int.from_bytes(head[8:16], "big") if length == 1 else length


def _caf_chunk(head: bytes) -> tuple[bytes, int]:
    if head[:4] == b"caff":
        return b"caff", 8
    length = int.from_bytes(head[4:12], "big", signed=True)
    return head[:4], 12 + length if length >= 0 else 0


def _asf_object(head: bytes) -> tuple[bytes, int]:
    return head[:16], int.from_bytes(head[16:24], "little")


_FORMS: Final = (
    _Form(_is_wave, _chained(_wave_length)),
    _Form(lambda head: head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"), _chained(_aiff_length)),
    _Form(lambda head: head[:16] == _W64, _chained(_w64_length)),
    _Form(lambda head: head[4:8] == b"ftyp", _boxes(_mp4_box, b"ftyp")),
    _Form(lambda head: head[:4] == b"caff", _boxes(_caf_chunk, b"caff")),
    _Form(lambda head: head[:16] == _ASF, _boxes(_asf_object, _ASF)),
    _Form(_is_flac, _marks(_FLAC)),
    _Form(_is_id3, _id3_marks),
    _Form(_is_tta, _marks(_TTA)),
    _Form(lambda head: head[:20] == _VOC, _marks(_VOC)),
    _Form(_is_wavpack, _marks(_WAVPACK)),
    _Form(lambda head: head[:4] == _IVF and head[6:8] == b"\x20\x00", _boxes(_ivf_frame, _IVF)),
    _Form(lambda head: head[:14] == _MXF, _boxes(_klv, _MXF)),
)
