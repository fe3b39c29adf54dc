"""How many pictures a second the networks look at, at most: 4 while the machine keeps up, else 2 or 1.

`FrameBudget` is one stream's. Where several share the networks, `SharedBudget` watches what is shared, and
takes from all alike; each stream has a `Share` of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Protocol

from ..core.clock import NS_PER_S

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


class Budget(Protocol):
    """What a stream asks after every hop."""

    frames_per_segment: int
    """Pictures a second, now."""
    adaptive: bool
    """Whether it may change."""

    def after_hop(self, busy_ns: int, now_ns: int) -> int | None:
        """Totals of the stream's time spent computing and of time gone by; the new number when it changes."""


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


_EVERY_NS: Final = NS_PER_S
"""How often the load of shared networks is looked at; as often as a stream of its own looks at its own."""


class SharedBudget:
    """The budget of all streams that share an engine, by how busy that is.

    Args:
        busy_ns: the engine's time spent computing so far.

    """

    def __init__(self, busy_ns: Callable[[], int]) -> None:
        self._busy_ns = busy_ns
        self._budget = FrameBudget(LEVELS[0], adaptive=True)
        self._looked_ns: int | None = None
        self._lock = threading.Lock()

    def share(self, frames_per_segment: int | None, *, live: bool) -> Share:
        """One stream's share; a number of pictures that was asked for is left alone, as is a recording."""
        return Share(self, frames_per_segment, adaptive=live and frames_per_segment is None)

    def look(self, now_ns: int) -> int:
        """Pictures a second for all, now."""
        with self._lock:
            if self._looked_ns is None or now_ns - self._looked_ns >= _EVERY_NS:
                self._looked_ns = now_ns
                self._budget.after_hop(self._busy_ns(), now_ns)
            return self._budget.frames_per_segment


class Share:
    """A `Budget` that follows the one of all."""

    def __init__(self, budget: SharedBudget, frames_per_segment: int | None, *, adaptive: bool) -> None:
        self._budget, self.adaptive = budget, adaptive
        self.frames_per_segment = frames_per_segment or LEVELS[0]

    def after_hop(self, busy_ns: int, now_ns: int) -> int | None:
        """The number of all, where it is another one than before."""
        level = self._budget.look(now_ns)
        if not self.adaptive or level == self.frames_per_segment:
            return None
        self.frames_per_segment = level
        return level
