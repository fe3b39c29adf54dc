"""What people said of remembered events, for a class that is taught: which are it, and which are not.

An event that is right, or of which somebody said that it is this, is an example; one that is wrong, or is
something else, is what the class must not be. Both are looked at in the clip that shows them; events without
one are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...core.errors import UsageError
from ...memory import Filter, Marked, marked

EVERY: Final = 3
"""Of so many marks one is held out."""
_LONGEST_S: Final = 20.0


@dataclass(frozen=True)
class Mark:
    """What somebody said of an event: whether it is the class, and where its clip shows it."""

    event: int
    clip: Path
    span: tuple[float, float]
    is_it: bool

    @property
    def name(self) -> str:
        """How it is called in a pack: a memory may be another one next time, a clip is not."""
        return f"event {self.event} in {self.clip.name}"


@dataclass(frozen=True)
class Marks:
    """Marks that can be used, oldest first, and notes on those that can't."""

    found: tuple[Mark, ...]
    notes: tuple[str, ...]

    def part(self, *, held: bool) -> tuple[Mark, ...]:
        """Those held out, or the others: every third of either kind, so that both are in both parts."""
        chosen = set()
        for kind in (True, False):
            of_kind = [mark for mark in self.found if mark.is_it is kind]
            chosen |= {mark.event for mark in of_kind[EVERY - 1 :: EVERY]}
        return tuple(mark for mark in self.found if (mark.event in chosen) is held)


def read_marks(path: Path, name: str, known: Sequence[str] = ()) -> Marks:
    """The marks that concern a class.

    Args:
        path: the memory.
        name: of the class; case and blanks do not matter.
        known: marks that the class was taught with already; they are passed over.

    Raises:
        MemoryFileError: the memory can't be read.
        UsageError: nobody marked anything that concerns it.

    """
    found: list[Mark] = []
    again = lost = 0
    for one in reversed(list(marked(path, Filter(retracted=True)))):  # oldest first
        is_it = _same(one.label, name)
        if not (is_it or _same(one.event.label, name)):
            continue
        if one.clip is None:
            lost += 1
            continue
        mark = Mark(one.event.id, one.clip, _span(one), is_it)
        if mark.name in known:
            again += 1
        else:
            found.append(mark)
    notes = []
    if lost:
        notes.append(f"{lost} marked events have no clip (any more) and are left out; --clips keeps them")
    if again:
        notes.append(f"{again} marked events were taught already")
    if not found:
        more = f": {'; '.join(notes)}" if notes else ""
        raise UsageError(
            f"no mark in {path} says anything new of {name!r}{more}; mark events on the page of `avel serve`"
        )
    return Marks(tuple(found), tuple(notes))


def _same(a: str | None, b: str) -> bool:
    return a is not None and " ".join(a.casefold().split()) == " ".join(b.casefold().split())


def _span(one: Marked) -> tuple[float, float]:
    """Where a clip shows an event, in seconds; of one that never ended, and of a long one, the beginning."""
    return one.start_s, min(max(one.end_s, one.start_s + 1.0), one.start_s + _LONGEST_S)
