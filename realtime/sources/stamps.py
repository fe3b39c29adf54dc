"""Presentation times of pictures where a container has none of its own, and pictures that are not written.

AVI counts packets in the order of decoding. What FFmpeg makes of that as presentation times is permuted
wherever pictures refer to later ones (H.264 with B-frames): half of the pictures would seem to come too late.
A decoder gives pictures out in the order of showing, each with the decoding time of the packet that released
it, so those are right but for the constant delay of the decoder.

Theora and AVI write a packet without content for "the same picture again".
"""

from __future__ import annotations

from typing import Any

from ..core.clock import NS_PER_S

_USUAL_FPS = 25


class PictureStamps:
    """Goes along with one decoder of pictures: tell it every packet, pass every picture through it.

    Args:
        container: name of FFmpeg's demuxer.

    """

    def __init__(self, container: str) -> None:
        self._counted = container == "avi"
        self._first_dts: int | None = None
        self._delay: int | None = None
        """Of the decoder, in units of the track."""
        self._next = 0
        self._in = self._out = 0
        self._last: Any = None

    def fed(self, packet: Any) -> None:
        """A packet goes into the decoder."""
        self._in += 1
        if self._first_dts is None:
            self._first_dts = packet.dts

    def decoded(self, frame: Any) -> Any:
        """The picture, stamped."""
        self._out += 1
        self._last = frame
        if not self._counted and frame.pts is not None:
            return frame
        if frame.dts is not None and self._first_dts is not None:
            if self._delay is None:
                self._delay = frame.dts - self._first_dts
            frame.pts = frame.dts - self._delay
        elif self._counted:  # what the decoder still held at the end
            frame.pts = self._next
        if frame.pts is not None:
            self._next = frame.pts + max(1, frame.duration or 0)
        return frame

    def again(self, packet: Any) -> Any | None:
        """The picture that an empty packet stands for; None where that can't be told."""
        if self._last is None or self._out != self._in:
            return None  # the decoder holds pictures that come before
        self._last.pts = packet.dts if self._counted or packet.pts is None else packet.pts
        self._next = self._last.pts + max(1, packet.duration or 0)
        return self._last


def is_empty(packet: Any) -> bool:
    """Whether a packet stands for a moment and has nothing in it; a decoder would take it for the end."""
    return not packet.size and packet.dts is not None


def shown_ns(packet: Any) -> int:
    """How long the picture in a packet is shown, by its duration or the rate of its track."""
    rate = packet.stream.average_rate or _USUAL_FPS
    return round((packet.duration or 0) * packet.time_base * NS_PER_S) or round(NS_PER_S / rate)
