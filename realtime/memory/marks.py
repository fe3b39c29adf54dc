"""What people said of events, as examples: the file that shows each, where in it, and what it really was.

    for one in marked(path):                  # newest first
        one.label, one.clip, one.start_s, one.end_s, one.event.stream

`right` makes an event an example of its class, `other` one of the class that was named; `wrong` says that
nothing of the kind happened then: its `label` is None.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .query import Filter, Memory, Remembered

_EVERY: Final = Filter()


@dataclass(frozen=True)
class Marked:
    """An event that somebody looked at."""

    event: Remembered
    clip: Path | None
    """The file that shows it, while it is there; None where nothing was recorded, or it is gone."""
    start_s: float
    """Where in the clip it begins; 0 without a clip."""
    end_s: float
    """Where in the clip it ends."""

    @property
    def label(self) -> str | None:
        """What it really was; None where it was nothing."""
        verdict = self.event.verdict
        return {"right": self.event.label, "other": self.event.is_label}.get(verdict or "")


def marked(path: Path, which: Filter = _EVERY) -> Iterator[Marked]:
    """Every marked event of a memory, newest first; those that were taken back, too, where `which` asks.

    Args:
        path: the memory's file.
        which: which of them; a label is the one that the program gave.

    Raises:
        MemoryFileError: the file can't be read.

    """
    for event in Memory(path).marked(which):
        clip = None if event.clip is None else Path(event.clip)
        if clip is None or not clip.is_file():
            yield Marked(event, None, 0.0, 0.0)
            continue
        began_us = event.start_us if event.clip_start_us is None else event.clip_start_us
        start_s = max(0.0, (event.start_us - began_us) / 1e6)
        ended_us = event.start_us if event.end_us is None else event.end_us
        yield Marked(event, clip, start_s, max(start_s, (ended_us - began_us) / 1e6))
