"""How many pictures a second the networks look at, at most: 4 while the machine keeps up, else 2 or 1."""

from __future__ import annotations

LEVELS = (4, 2, 1)
"""On labelled clips four pictures a second score as sixteen do (`avel evaluate --frames`)."""
TOO_MUCH = 0.85
"""Share of the time spent computing above which fewer pictures are taken."""
ROOM = 0.35
"""Share below which more are tried again: doubling the pictures at most doubles the work."""
PATIENCE = 10
"""Hops with room before more are tried."""
_SMOOTHING = 0.4


def delivered_frames(most: int | None, hop_s: float = 1.0) -> int:
    """Pictures a second that a recording has to deliver so that nothing that would be chosen is missing.

    Args:
        most: pictures a second at most; None = as many as the machine holds.
        hop_s: seconds between answers; below 1 the segments begin within seconds.

    """
    return max(most or LEVELS[0], round(1 / hop_s))


class FrameBudget:
    """Watches the load, hop by hop, and names the number of pictures per segment."""

    def __init__(self, frames_per_segment: int, *, adaptive: bool) -> None:
        self.frames_per_segment = frames_per_segment
        self.adaptive = adaptive
        self._load: float | None = None
        self._last: tuple[int, int] | None = None
        self._calm = 0

    def after_hop(self, busy_ns: int, now_ns: int) -> int | None:
        """Totals of time spent computing and of time gone by; the new number when it changes."""
        if self._last is None or now_ns <= self._last[1]:
            self._last = self._last or (busy_ns, now_ns)
            return None
        load = (busy_ns - self._last[0]) / (now_ns - self._last[1])
        self._last = busy_ns, now_ns
        if not self.adaptive:
            return None
        self._load = load if self._load is None else self._load + _SMOOTHING * (load - self._load)
        level = LEVELS.index(self.frames_per_segment)
        if self._load > TOO_MUCH and level + 1 < len(LEVELS):
            return self._change(LEVELS[level + 1])
        self._calm = self._calm + 1 if self._load < ROOM else 0
        if self._calm >= PATIENCE and level > 0:
            return self._change(LEVELS[level - 1])
        return None

    def _change(self, frames: int) -> int:
        self.frames_per_segment = frames
        self._load = None
        self._calm = 0
        return frames
