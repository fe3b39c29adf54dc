"""What people give to teach with: clips, folders of them, stretches of recordings, lists of those.

kettle.mp4                a clip; the event is somewhere in it
day.mkv,61.5,64           the event lasts from 61.5 s to 64 s of this recording
events.csv                lines `file,start,end` (a header is known by its words; a file name may be quoted);
files are looked for beside the list
events.eaf, unav100.json  a label file of another program or data set: the stretches of one label (`labelled`)
clips/                    every recording of a folder
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ...core.errors import SourceError, UsageError
from ...sources.suffixes import recordings_in
from .labelled import OTHERS, TABLES, is_labelled, stretches

MOST: Final = 200


@dataclass(frozen=True)
class Example:
    """A stretch of a recording in which the event happens; None: anywhere in it."""

    file: Path
    span: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        """How people know it."""
        where = "" if self.span is None else f" {self.span[0]:g}–{self.span[1]:g} s"
        return f"{self.file.name}{where}"


@dataclass
class _Sought:
    """What is looked for in label files, and what was noted of them."""

    label: str
    fps: float | None
    notes: list[str] = field(default_factory=list)


def read_examples(
    given: Sequence[str], label: str = "", fps: float | None = None
) -> tuple[list[Example], list[str]]:
    """Everything that was named, in order, none twice; and notes on label files.

    Args:
        given: as typed.
        label: which label of label files is meant.
        fps: frames a second, for those that count frames.

    Raises:
        UsageError: a line or a stretch that makes no sense; says which.
        SourceError: a file or folder that is not there.

    """
    sought = _Sought(label, fps)
    found = list(dict.fromkeys(example for text in given for example in _one(text, sought)))
    if len(found) > MOST:
        raise UsageError(
            f"{len(found)} examples: {MOST} at most, and 50 are plenty; choose the most unlike ones"
        )
    return found, sought.notes


def _one(text: str, sought: _Sought) -> Iterator[Example]:
    path = Path(text)
    if path.is_dir():
        files = sorted(recordings_in(path)[0])
        if not files:
            raise SourceError(f"{path}: no recording there")
        yield from (Example(file) for file in files)
    elif path.is_file() and path.suffix.lower() in TABLES | OTHERS:
        if is_labelled(path):
            found, notes = stretches(path, sought.label, sought.fps)
            sought.notes += notes
            yield from (Example(one.file, one.span) for one in found)
        else:
            yield from _listed(path)
    elif path.is_file():
        yield Example(path)
    else:
        parts = text.rsplit(",", 2)
        if len(parts) == 3 and _number(parts[1]) is not None:
            yield _stretch(Path(parts[0]), parts[1], parts[2], text)
        else:
            raise SourceError(
                f"{text}: no such file or folder; a stretch of a recording is FILE,START,END in seconds"
            )


def _listed(path: Path) -> Iterator[Example]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: can't be read as text ({error})") from error
    delimiter = "\t" if any("\t" in line for line in lines[:5]) else ","
    for number, row in enumerate(csv.reader(lines, delimiter=delimiter), start=1):
        where = f"{path}, line {number}"
        row = [part.strip() for part in row]
        if not any(row) or row[0].startswith("#"):
            continue
        if len(row) < 3:
            raise UsageError(f"{where}: expected file,start,end, got {','.join(row)!r}")
        if number == 1 and _number(row[1]) is None and _number(row[2]) is None:
            continue
        yield _stretch(path.parent / row[0], row[1], row[2], where)


def _stretch(file: Path, start: str, end: str, where: str) -> Example:
    first, last = _number(start), _number(end)
    if first is None or last is None or not 0 <= first < last < 1e7:
        raise UsageError(
            f"{where}: expected start and end in seconds, start before end, got {start!r} and {end!r}"
        )
    if not file.is_file():
        raise SourceError(f"{where}: {file}: no such file")
    return Example(file, (first, last))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
