"""The time of day of a live stream, which follows the machine's clock when that is corrected.

A board without a battery starts weeks in the past and is set when the network comes; a laptop sleeps, and its
monotonic clock with it. The instant of stream time 0, as the time of day stands *now*, goes with every hop.
"""

from __future__ import annotations

from collections.abc import Callable

from ..core.clock import NS_PER_S
from ..core.messages import Status

_STEP_S = 1.0
"""A difference between two looks that is no drift: somebody set the clock, or the machine slept."""


class DayTime:
    """Looks at the time of day again and again.

    Args:
        zero_s: Unix time of stream time 0, as known at the start; None for a recording, which has none.
        wall_s: the time of day, Unix seconds.

    """

    def __init__(self, zero_s: float | None, wall_s: Callable[[], float]) -> None:
        self.zero_s = zero_s
        """Unix time of stream time 0, by the newest look."""
        self._wall_s = wall_s
        self._looked = False

    def look(self, stream_ns: int | None) -> Status | None:
        """Look at it at an instant of the stream; a status when it has moved against the stream."""
        if self.zero_s is None or stream_ns is None:
            return None
        before_s, self.zero_s = self.zero_s, self._wall_s() - stream_ns / NS_PER_S
        step_s = self.zero_s - before_s
        looked, self._looked = self._looked, True
        if not looked or abs(step_s) < _STEP_S:
            return None
        way = "ahead of" if step_s > 0 else "behind"
        reason = (
            f"the time of day moved {_words(abs(step_s))} {way} the stream (the clock was set, or the "
            "machine slept); names and times follow it from now on"
        )
        return Status("clock", "adjusted", reason, stream_ns, wall_clock=self.zero_s)


def _words(seconds: float) -> str:
    whole = round(seconds)
    parts = [(whole // 86_400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count)
