"""Examples from label files of other programs and data sets: the stretches that carry one label.

Recordings are looked for beside the label file and below; of a published list those that are not there are no
mistake, as long as some are.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final

from ....model.training.labelfile import Labelled, file_key, folded, near, text_of
from ....model.training.readers import WHOLE, is_number, keyed, read_events, recording
from ...core.errors import SourceError, UsageError
from ...sources.suffixes import recordings_in

TABLES: Final = frozenset({".csv", ".tsv", ".txt"})
OTHERS: Final = frozenset({".eaf", ".json", ".xml"})
PLENTY: Final = 50
"""Of a list with more stretches so many are taken, of as many recordings as there are."""
_NAMED: Final = 12


@dataclass(frozen=True)
class Stretch:
    """Where the label stands; None: somewhere in the recording."""

    file: Path
    span: tuple[float, float] | None


def is_labelled(path: Path) -> bool:
    """Whether a file says what happens, not only when: not a plain list of `file,start,end`.

    Raises:
        ModelFileError: it can't be read.

    """
    if path.suffix.lower() in OTHERS:
        return True
    lines = [line for line in text_of(path).splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        return False
    delimiter = max("\t,;&|", key=lines[0].count)
    cells = [cell.strip().lower() for cell in next(csv.reader([lines[0]], delimiter=delimiter))]
    if any(cell.startswith("sep=") for cell in cells):
        return True
    if len(cells) == 2:
        return is_number(cells[0]) or cells[1] == "event_labels"
    plain = len(cells) == 3 and is_number(cells[1]) == is_number(cells[2]) and not is_number(cells[0])
    return len(cells) > 2 and not plain


def stretches(path: Path, label: str, fps: float | None) -> tuple[list[Stretch], list[str]]:
    """The stretches of a label file that carry a label, and notes on what was left aside.

    Args:
        path: the label file.
        label: as in the file, but for case, blanks and `_`.
        fps: frames a second, for files that count frames.

    Raises:
        ModelFileError: not a label file.
        UsageError: no entry carries the label; names those that there are.
        SourceError: none of its recordings is there.

    """
    reading = read_events(path, fps)
    notes = list(reading.notes)
    wanted = [event for event in reading.events if event.label and _same(event.label, label)]
    if not wanted:
        counts = Counter(event.label for event in reading.events if event.label)
        there = ", ".join(name for name, _ in counts.most_common(_NAMED)) or "background alone"
        more = f" and {len(counts) - _NAMED} more" if len(counts) > _NAMED else ""
        raise UsageError(f"{path}: nothing in it is labelled {label!r}; give --label, one of: {there}{more}")
    found, missing = _located(path, wanted)
    if missing:
        notes.append(f"{path.name}: {len(missing)} recordings are not beside it and left out: {missing[0]} …")
    if len(found) > PLENTY:
        notes.append(f"{path.name}: {PLENTY} of {len(found)} stretches are taken, spread over the recordings")
        found = _spread(found)
    return found, notes


def _located(path: Path, events: Sequence[Labelled]) -> tuple[list[Stretch], list[str]]:
    folder = path.parent
    there = keyed(file.relative_to(folder).as_posix() for file in recordings_in(folder)[0])
    found: list[Stretch] = []
    missing: dict[str, None] = {}
    for event in events:
        name = recording(event, there)
        file = folder / (name or file_key(event.file))
        if name is None and not (not event.loose and file.is_file()):
            if not event.loose:
                raise SourceError(
                    f"{path}, line {event.line}: {file}: no such file{near(event.file, there.values())}"
                )
            missing[event.file] = None
            continue
        found.append(Stretch(file, None if event.end == WHOLE else (event.start, event.end)))
    if not found:
        raise SourceError(
            f"{path}: none of the {len(missing)} recordings it names is beside it or below, "
            f"{next(iter(missing))} for one"
        )
    return list(dict.fromkeys(found)), list(missing)


def _spread(found: Sequence[Stretch]) -> list[Stretch]:
    """`PLENTY` of them, the first of every recording before the second of any."""
    by_file: dict[Path, list[Stretch]] = {}
    for one in found:
        by_file.setdefault(one.file, []).append(one)
    rounds = zip_longest(*by_file.values())
    return [one for turn in rounds for one in turn if one is not None][:PLENTY]


def _same(a: str, b: str) -> bool:
    return folded(a.replace("_", " ")) == folded(b.replace("_", " "))
