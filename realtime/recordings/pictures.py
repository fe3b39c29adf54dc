"""Which pictures of a recording are worth keeping, decided as they come: never more than a page shows.

Of every event the surest second; of the whole an even choice, sparser as the recording gets longer.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..core.messages import Event
from ..sinks.overlay import jpeg, with_attention

MAX_PICTURES: Final = 240
"""Pictures a page carries at most; each is about 5 kB."""
_EACH: Final = MAX_PICTURES // 2
_RECENT: Final = 40
"""Seconds that may pass between a second and the announcement of an event in it."""
_RECORDS: Final = 24
"""Ever surer seconds of one event that are kept until its end says which of them are within it."""


@dataclass(frozen=True)
class Picture:
    """A small JPEG with the attention map over it, and how sure the network was at that second."""

    second: int
    confidence: float
    data: bytes


@dataclass(frozen=True)
class _Shot:
    """A picture that nobody has asked for yet: not encoded."""

    second: int
    confidence: float
    preview: NDArray[np.uint8]
    attention: NDArray[np.float32]

    def picture(self) -> Picture:
        image = with_attention(self.preview, self.attention)
        return Picture(self.second, self.confidence, jpeg(image, 75))


@dataclass
class _OfEvent:
    """Ever surer seconds since an event's beginning, oldest first."""

    start_s: float
    best: list[Picture] = field(default_factory=list)

    def offer(self, shot: _Shot) -> None:
        if shot.second < self.start_s - 0.5 or (self.best and shot.confidence <= self.best[-1].confidence):
            return
        self.best.append(shot.picture())
        if len(self.best) > _RECORDS:
            del self.best[1::2]

    def surest(self, end_s: float) -> Picture | None:
        """The surest second before the event's end."""
        within = [p for p in self.best if p.second < max(end_s, self.start_s + 1)]
        return within[-1] if within else None


class PictureChoice:
    """Takes a picture a second, and what becomes of events."""

    def __init__(self) -> None:
        self._recent: deque[_Shot] = deque(maxlen=_RECENT)
        self._stride = 1
        self._even: dict[int, Picture] = {}
        self._open: dict[int, _OfEvent] = {}
        self._chosen: dict[int, Picture] = {}

    def take(
        self, second: int, confidence: float, preview: NDArray[np.uint8], attention: NDArray[np.float32]
    ) -> None:
        """One second's."""
        shot = _Shot(second, confidence, preview, attention)
        self._recent.append(shot)
        if second % self._stride == 0:
            self._even[second] = shot.picture()
            if len(self._even) > MAX_PICTURES:
                self._stride *= 2
                self._even = {k: p for k, p in self._even.items() if k % self._stride == 0}
        for event in self._open.values():
            event.offer(shot)

    def happen(self, event: Event) -> None:
        """An event began, moved, ended, or was taken back."""
        if event.kind == "retract":
            self._open.pop(event.id, None)
            return
        known = self._open.get(event.id)
        if event.id in self._chosen or (known is None and len(self._chosen) + len(self._open) >= _EACH):
            return
        if known is None or event.start_s < known.start_s:
            self._open[event.id] = known = _OfEvent(event.start_s)
            for shot in self._recent:
                known.offer(shot)
        known.start_s = event.start_s
        if event.kind == "end" and event.end_s is not None:
            del self._open[event.id]
            if (picture := known.surest(event.end_s)) is not None:
                self._chosen[event.id] = picture

    def chosen(self, end_s: float) -> tuple[Picture, ...]:
        """After the end at `end_s`: in order, no second twice."""
        ended = (event.surest(end_s) for event in self._open.values())
        found = {p.second: p for p in (*self._chosen.values(), *ended) if p is not None}
        every = -(-len(self._even) // _EACH) or 1
        for second in sorted(self._even)[::every]:
            found.setdefault(second, self._even[second])
        return tuple(found[second] for second in sorted(found))
