"""Which pictures stand for a second: sixteen slots of equal length, each with one picture.

Slot k of n is the time from k/n to (k + 1)/n of the second. It takes the first picture of that time; where
there is none, the picture then on show: the last one before, or, at the beginning of a second, the first
one after. A picture never counts in two seconds, the choice depends on time stamps alone, and it is made
as early as can be: a camera of sixteen pictures a second or more has filled the last slot before the
second is over, so that little work is left when it ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from ...model.profiles import FRAMES_PER_SEGMENT

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WonSlots(Generic[T]):
    """`item`, stamped `t_ns`, takes `count` more slots."""

    t_ns: int
    item: T
    count: int


class SlotChooser(Generic[T]):
    """Decides the slots of one segment [`start_ns`, `end_ns`) from its pictures in order of time.

    Choosing 8, 4 or 2 among the chosen 16 is the same as choosing among all.
    """

    def __init__(self, start_ns: int, end_ns: int, slots: int = FRAMES_PER_SEGMENT) -> None:
        self._start_ns, self._width_ns, self._slots = start_ns, end_ns - start_ns, slots
        self._next = 0
        self._last: tuple[int, T] | None = None

    @property
    def decided(self) -> bool:
        """Whether every slot has its picture."""
        return self._next == self._slots

    def push(self, t_ns: int, item: T) -> list[WonSlots[T]]:
        """Take the next picture; returns the slots that are now decided, in order."""
        slot = (t_ns - self._start_ns) * self._slots // self._width_ns
        won = []
        if self._last is not None and (empty := slot - self._next) > 0:
            won.append(WonSlots(*self._last, empty))
            self._next = slot
        if slot >= self._next:
            won.append(WonSlots(t_ns, item, slot + 1 - self._next))
            self._next = slot + 1
        self._last = (t_ns, item)
        return won

    def close(self) -> list[WonSlots[T]]:
        """No more pictures: what is undecided goes to the last one (to nobody where there was none)."""
        rest = self._slots - self._next
        if self._last is None or not rest:
            return []
        self._next = self._slots
        return [WonSlots(*self._last, rest)]
