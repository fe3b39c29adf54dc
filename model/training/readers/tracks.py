"""Label tracks, each of one recording: Audacity's, and the events.csv that `avel localize` writes.

Audacity (Export Other ▸ Export Labels): start, end and text between tabs, seconds; a line that begins with a
backslash gives the frequencies of the label before it. dcase_util's lists without a file name are the same.
The recording is the one that the track is called after: b.mp4.labels.txt and b.txt are of b.mp4.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..labelfile import seconds
from .reading import Reading

_ENDINGS: Final = (".labels.txt", ".events.csv")
_OURS: Final = re.compile(r"(.+) (?:0\.\d\d|1\.00)")
"""`avel localize` writes the confidence behind the label."""


def recording_of(track: Path, root: Path) -> str:
    """The recording that a track is of, as seen from `root`: with its ending where the track carries it."""
    name = track.relative_to(root).as_posix()
    for ending in _ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return Path(name).with_suffix("").as_posix()


def is_track(cells: Sequence[str]) -> bool:
    """Whether a line's cells begin with two times."""
    return len(cells) >= 2 and _time(cells[0]) is not None and _time(cells[1]) is not None


def read_track(path: Path, rows: Sequence[tuple[int, list[str]]], root: Path) -> Reading:
    """A track of an Audacity project, or a list of onsets and offsets.

    Args:
        path: the file.
        rows: line number and cells of every line.
        root: recordings are named as seen from here.

    """
    found = Reading(path, "label track")
    file = recording_of(path, root)
    texts = [cells[2] for _, cells in rows if len(cells) > 2 and not cells[0].startswith("\\")]
    ours = bool(texts) and all(_OURS.fullmatch(text) for text in texts)
    for line, cells in rows:
        if cells[0].startswith("\\"):
            continue  # the frequencies of the label above: no label of its own
        label = cells[2] if len(cells) > 2 else ""
        match = _OURS.fullmatch(label) if ours else None
        end = cells[1] if len(cells) > 1 else ""
        found.add(line, file, _time(cells[0]), _time(end), match[1] if match else label)
    return found


def read_own(path: Path, text: str, root: Path) -> Reading:
    """The events.csv beside a page of `avel localize`."""
    found = Reading(path, "list of events")
    file = recording_of(path, root)
    for row in (reader := csv.DictReader(text.splitlines())):
        found.add(reader.line_num, file, row["start_s"], row["end_s"], row["label"])
    return found


def _time(text: str) -> float | None:
    try:
        return seconds(text.strip())
    except ValueError:
        return None
