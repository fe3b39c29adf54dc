"""A machine that can't decode a stream as fast as it comes: which pictures it passes over, and what it says.

A second is closed 0.3 s after its end (`stream.cutter.GRACE_NS`), and what comes after that is lost, all of
it. So what is late is passed over while it still helps:

    0.15 s behind       pictures that no other is made from are passed over
    0.25 s for longer   everything is, up to a picture that is made from no other, and not late
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from ..core.clock import NS_PER_S
from ..core.states import State

_BEHIND_NS = 150_000_000
_BACK_NS = 50_000_000
"""Less than this is not behind."""
_LOST_NS = 250_000_000
"""So late, and a little later, its second will not wait for it."""
_FOR_GOOD_NS = NS_PER_S // 2
"""Behind for so long it is no hiccup, which is caught up with."""
_NO_KEY_NS = 10 * NS_PER_S
"""Streams without pictures that are made from no other (they are refreshed in stripes) go on after this."""
_TOLD_NS = 3 * NS_PER_S
"""Passing over is said when it goes on for longer (a program that starts is busy for a moment),"""
_CALM_NS = 5 * NS_PER_S
"""and that it is over, after this."""


class Lateness:
    """Judges the packets of pictures of one connection, in order of decoding.

    Args:
        say: called when passing over goes on, and when it is over.

    """

    def __init__(self, say: Callable[[State, str], None]) -> None:
        self._say = say
        self.passing: Literal["nothing", "spare", "all"] = "nothing"
        """What is passed over now; `spare`: pictures that no other is made from."""
        self._late_ns: int | None = None
        """Since when it is too late for its second."""
        self._all_ns = 0
        self._began_ns = self._last_ns = -(1 << 62)
        """When passing over began, and when it was last needed."""
        self._told = False

    def passes_over(self, packet: Any, now_ns: int, lag_ns: int) -> bool:
        """Whether this packet is not to be decoded; its decoder is told what else it may leave out.

        Args:
            packet: of pictures, due.
            now_ns: on the clock.
            lag_ns: for how long it could have been decoded.

        """
        if lag_ns < _LOST_NS:
            self._late_ns = None
        elif self._late_ns is None:
            self._late_ns = now_ns
        passing = self.passing
        if passing == "all":
            if lag_ns < _BEHIND_NS and (packet.is_keyframe or now_ns - self._all_ns > _NO_KEY_NS):
                passing = "nothing"
        elif self._late_ns is not None and now_ns - self._late_ns > _FOR_GOOD_NS:
            passing, self._all_ns = "all", now_ns
        elif lag_ns > _BEHIND_NS:
            passing = "spare"
        elif lag_ns < _BACK_NS:
            passing = "nothing"
        if passing != self.passing:
            self.passing = passing
            packet.stream.codec_context.skip_frame = "DEFAULT" if passing == "nothing" else "NONREF"
        self._tell(now_ns, lag_ns)
        return passing == "all" and (lag_ns > _LOST_NS or not packet.is_keyframe)

    def _tell(self, now_ns: int, lag_ns: int) -> None:
        """Say that pictures are passed over, where it is more than once, and when it is over."""
        if self.passing != "nothing":
            if now_ns - self._last_ns > _CALM_NS:
                self._began_ns = now_ns
            self._last_ns = now_ns
            if not self._told and now_ns - self._began_ns > _TOLD_NS:
                self._told = True
                self._say("late", f"the stream is {lag_ns / NS_PER_S:.1f} s behind: passing over pictures")
        elif self._told and now_ns - self._last_ns > _CALM_NS:
            self._told = False
            self._say("running", "the stream keeps up again")
