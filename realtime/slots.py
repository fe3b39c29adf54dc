"""Which pictures stand for a second: sixteen evenly spaced instants, each taking the nearest picture.

Slot k of n has its centre at (k + ½)/n of the second. A slot takes the nearest picture *of that second*
(the earlier one of two equally near), so a picture never counts in two seconds and the choice depends on
time stamps alone, never on when a picture was delivered. Slots are decided as early as they can be: a
picture past a slot's centre settles it, so that the networks can start before the second is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

SLOTS = 16
"""Pictures per segment at full effort; every finer choice is made among these."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Won(Generic[T]):
    """`item`, stamped `t_ns`, takes `count` more slots."""

    t_ns: int
    item: T
    count: int


class SlotChooser(Generic[T]):
    """Decides the slots of one segment [`start_ns`, `end_ns`) from its pictures in order of time."""

    def __init__(self, start_ns: int, end_ns: int, slots: int = SLOTS) -> None:
        width = end_ns - start_ns
        # Twice the centres, so that halves and midpoints stay integers and ties are exact.
        self._centres2 = [2 * start_ns + width * (2 * k + 1) // slots for k in range(slots)]
        self._next = 0
        self._last: tuple[int, T] | None = None

    @property
    def decided(self) -> bool:
        """Whether every slot has its picture."""
        return self._next == len(self._centres2)

    def push(self, t_ns: int, item: T) -> list[Won[T]]:
        """Take the next picture; returns the slots that are now decided, in order."""
        won = []
        if self._last is not None:
            last_t, last = self._last
            if count := self._advance(last_t + t_ns):
                won.append(Won(last_t, last, count))
        if count := self._advance(2 * t_ns):
            won.append(Won(t_ns, item, count))
        self._last = t_ns, item
        return won

    def close(self) -> list[Won[T]]:
        """No more pictures: what is undecided goes to the last one (to nobody where there was none)."""
        rest = len(self._centres2) - self._next
        if self._last is None or not rest:
            return []
        self._next = len(self._centres2)
        return [Won(self._last[0], self._last[1], rest)]

    def _advance(self, limit2: int) -> int:
        """Decide all slots whose doubled centre is at most `limit2`; how many."""
        first = self._next
        while self._next < len(self._centres2) and self._centres2[self._next] <= limit2:
            self._next += 1
        return self._next - first
