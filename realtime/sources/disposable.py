"""Pictures that need not even be decoded: no other one is made from them, and others stand close by.

H.264 marks a picture that no other refers to with `nal_ref_idc` 0 (ISO/IEC 14496-10, 7.4.1), HEVC by an even
type below 16 of its NAL units (ISO/IEC 23008-2, table 7-1). Where a few pictures a second are looked at and
enough of the others are there, decoding these is work for nothing: of 1080p, a fifth of all work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from ..core.clock import NS_PER_S

_LEFT_OUT: Final = ("avi",)
"""FFmpeg's names of formats whose packets carry no times of showing."""
_REMEMBERED: Final = 4
FEW_FPS: Final = 8
"""Pictures a second that are enough to choose four from."""
APART_NS: Final = NS_PER_S // FEW_FPS
"""A picture that no other is made from is left out where another one is at most so far away. What is
chosen in its place is of the same quarter of a second."""


class Disposable:
    """Goes along with one decoder: ask it of every packet, in the order of decoding.

    What it says depends on the packets alone, and on none before the last few: the same picture is left out
    wherever reading began.

    Args:
        stream: PyAV's stream; H.264 and HEVC have such pictures.
        container: name of FFmpeg's demuxer.

    """

    def __init__(self, stream: Any, container: str) -> None:
        codec = stream.codec_context.name
        self._hevc = codec == "hevc"
        self._on = codec in ("h264", "hevc") and container not in _LEFT_OUT and stream.time_base is not None
        self._apart = int(APART_NS / NS_PER_S / stream.time_base) if self._on else 0
        self._prefix = _prefix(stream.codec_context.extradata or b"", hevc=self._hevc)
        self._kept: deque[int] = deque(maxlen=_REMEMBERED)

    def skip(self, packet: Any) -> bool:
        """Whether the packet may be left out."""
        if not self._on:
            return False
        pts = packet.pts
        if pts is None or packet.is_corrupt:
            return False
        near = any(abs(pts - kept) <= self._apart for kept in self._kept)
        if near and not packet.is_keyframe and self._disposable(memoryview(packet)):
            return True
        self._kept.append(pts)
        return False

    def _disposable(self, data: memoryview) -> bool:
        """Whether all slices in a packet are of pictures that none is made from."""
        slices = 0
        for head, following in _units(data, self._prefix):
            if self._hevc:
                kind = head >> 1 & 0x3F
                if kind > 31:
                    continue  # parameters, messages
                if (head & 1) << 5 | following >> 3 or following & 7 != 1:
                    self._on = False  # layers: a higher one may be made from it all the same
                    return False
                if kind >= 16 or kind & 1:
                    return False
            else:
                kind = head & 0x1F
                if kind in (14, 20):
                    self._on = False  # the same (SVC, MVC)
                    return False
                if not 1 <= kind <= 5:
                    continue
                if head & 0x60:
                    return False
            slices += 1
        return slices > 0


def _prefix(extradata: bytes, *, hevc: bool) -> int:
    """Bytes of the length before each NAL unit; 0 where start codes separate them."""
    if not extradata or extradata[0] != 1:
        return 0
    at = 21 if hevc else 4
    return (extradata[at] & 3) + 1 if len(extradata) > at else 0


def _units(data: memoryview, prefix: int) -> Iterator[tuple[int, int]]:
    """The first two bytes of every NAL unit of a packet."""
    at, end = 0, len(data)
    if not prefix:
        whole = bytes(data)
        while 0 <= (at := whole.find(b"\0\0\1", at)) < end - 4:
            yield whole[at + 3], whole[at + 4]
            at += 3
        return
    while at + prefix + 2 <= end:
        length = int.from_bytes(data[at : at + prefix], "big")
        at += prefix
        yield data[at], data[at + 1]
        at += length
