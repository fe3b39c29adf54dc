"""What a label file holds: events as `labelfile.Labelled`, and what could not be used, counted and said."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ...errors import ModelFileError
from ..labelfile import Labelled, folded

WHOLE: Final = math.inf
"""The end of an event of which the file says only that it is in the recording: it holds for all of it."""
_SPLITS: Final = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_NOTHING: Final = frozenset({"background", "silence", "none"})


@dataclass
class Reading:
    """A label file as it is read.

    Args:
        path: the file, for messages.
        kind: what it is, as a person says it.
        loose: its names are ids or of another machine: a recording is found by its name alone, and one that
            is not there is no mistake.

    """

    path: Path
    kind: str
    loose: bool = True
    events: list[Labelled] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """Notes beside those on what was left out."""
    _left: dict[str, list[int]] = field(default_factory=dict)

    def add(
        self,
        line: int,
        file: str,
        start: Any,
        end: Any,
        label: Any,
        *,
        split: str | None = None,
        also: tuple[str, ...] = (),
    ) -> None:
        """Take an event over, or count why it can't be.

        Args:
            line: its line, or its number among the entries.
            file: the recording.
            start: seconds.
            end: seconds; `WHOLE` where only the recording is known.
            label: its class.
            split: as the file names it.
            also: other names that the recording goes by.

        """
        name = " ".join(str(label or "").split())
        try:
            first, last = float(start), float(end)
        except (TypeError, ValueError):
            first, last = math.nan, math.nan
        if not name:
            self.leave(line, "no label")
        elif not file:
            self.leave(line, "no recording is named")
        elif math.isnan(first) or math.isnan(last) or math.isinf(first):
            self.leave(line, "no time")
        elif first == last:
            self.leave(line, "a point in time, no stretch")
        elif not 0 <= first < last:
            self.leave(line, "ends before it begins, or begins before 0")
        else:
            what = None if folded(name) in _NOTHING else name
            where = _SPLITS.get((split or "").lower())
            self.events.append(Labelled(line, file, first, last, what, where, also, self.loose))

    def nothing(self, line: int, file: str, split: str | None = None, also: tuple[str, ...] = ()) -> None:
        """A recording of which the file says that nothing happens in it."""
        where = _SPLITS.get((split or "").lower())
        self.events.append(Labelled(line, file, 0.0, 0.0, None, where, also, self.loose))

    def leave(self, line: int, why: str) -> None:
        """Count an entry that can't be used."""
        self._left.setdefault(why, []).append(line)

    def say(self, text: str) -> None:
        """A note, once."""
        if text not in self.said:
            self.said.append(text)

    @property
    def notes(self) -> list[str]:
        """What a person should know: notes, and what was left out and why."""
        left = [
            f"{self.path.name}: {len(lines)} left out ({why}; the first: {lines[0]})"
            for why, lines in self._left.items()
        ]
        return [f"{self.path.name}: {note}" for note in self.said] + left

    def checked(self) -> Reading:
        """Itself.

        Raises:
            ModelFileError: nothing in it can be used; says why.

        """
        if not self.events:
            why = "; ".join(self.notes) or "it has no entries"
            raise ModelFileError(f"labels {self.path}: nothing of this {self.kind} can be used: {why}")
        return self


def is_number(text: str) -> bool:
    """Whether a cell holds a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
