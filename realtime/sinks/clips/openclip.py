"""A clip in the making: which events share it, where it begins and ends, and its surest moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ...core.messages import Event, Hop
from .ring import ClipRing

if TYPE_CHECKING:
    from . import ClipOptions

_UNTOLD_S: Final = 75.0
"""How long an event without end is waited for where nothing is said of single seconds."""


@dataclass
class OpenClip:
    """The events that touch, and what was seen of them so far. All seconds are of the stream."""

    options: ClipOptions
    """How long it may be."""
    events: dict[int, Event] = field(default_factory=dict)
    """By their ids, each as it was said last; never empty."""
    best: float = -1.0
    """Confidence of the surest moment,"""
    best_s: float = 0.0
    """when that was,"""
    attention: NDArray[np.float32] | None = None
    """and where the networks looked then."""
    active_s: float | None = None
    """End of the last second that an open event was settled to hold; None while nothing is known of it."""
    aside: ClipRing | None = None
    """Its packets, once it is longer than a clip may be and perhaps over already."""

    @property
    def first_s(self) -> float:
        """When its first event began."""
        return min(event.start_s for event in self.events.values())

    @property
    def over_s(self) -> float | None:
        """When its last event ended; None while one is open."""
        ends = [event.end_s for event in self.events.values()]
        return None if None in ends else max(end for end in ends if end is not None)

    def has_room_for(self, event: Event) -> bool:
        """Whether an event that begins touches it, and is not all behind its end."""
        o, over_s = self.options, self.over_s
        touches = over_s is None or event.start_s - o.pre_s <= over_s + o.post_s
        fits = event.start_s < self.longest()[1] - min(o.post_s, o.max_s / 2)
        return touches and fits and self.aside is None

    def look(self, hop: Hop) -> None:
        """Remember the surest moment of the open events, for the thumbnail."""
        scores = hop.scores
        labels = {event.label for event in self.events.values() if event.end_s is None}
        for second in hop.settled:
            if second.label in labels:
                self.active_s = max(self.active_s or 0.0, second.end_s)
            elif self.active_s is None and labels:
                self.active_s = self.first_s
        for event in self.events.values():
            for row in range(len(scores.probabilities)):
                at_s = scores.first_index + row + 0.5
                if event.start_s <= at_s < (event.end_s or np.inf):
                    sure = float(scores.probabilities[row, event.label])
                    if sure > self.best:
                        self.best, self.best_s = sure, at_s
                        self.attention = scores.attention[row].copy()

    def fills_up(self, decided_s: float) -> bool:
        """Whether the open event, decided up to that second, is known to fill a longest clip."""
        longest_s = self.longest()[1]
        if self.active_s is None:
            return decided_s >= longest_s + _UNTOLD_S
        return self.active_s + self.options.post_s > longest_s

    def longest(self) -> tuple[float, float]:
        """Beginning and end of a clip whose events are longer than it may be: up to half goes before them."""
        begin_s = max(0.0, self.first_s - min(self.options.pre_s, self.options.max_s / 2))
        return begin_s, begin_s + self.options.max_s

    def window(self) -> tuple[float, float]:
        """Beginning and end of a clip: its events, and before and after them what there is room for."""
        over_s, first_s = self.over_s, self.first_s
        room_s = -1.0 if over_s is None else self.options.max_s - (over_s - first_s)
        if over_s is None or room_s < 0:
            return self.longest()
        pre_s, post_s = min(self.options.pre_s, first_s), self.options.post_s
        before_s = min(pre_s, max(room_s / 2, room_s - post_s))
        return first_s - before_s, over_s + min(post_s, room_s - before_s)
