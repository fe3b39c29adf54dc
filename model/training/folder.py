"""People's own videos: features made by `avel extract`, labels in a CSV file.

    file,start,end,label[,split]
    cats/tom.mp4,2.0,5.5,Cat
    cats/tom.mp4,7,9,Cat
    street.mp4,,,background          a video in which nothing happens

A second carries an event that covers at least half of it. Splits come from the `split` column (train, val,
test), or else from a hash of the file name: 70 / 15 / 15, the same on every machine. Cuts of one
recording should be put into one split by hand, or the figures flatter.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ..errors import ModelFileError
from ..labels import BACKGROUND_NAME
from ..profiles import WINDOW
from .annotations import SPLITS, Splits
from .ave import FeatureFile, feature_profile
from .data import IGNORE, Floats, Rows, video_targets

_COLUMNS: Final = ("file", "start", "end", "label")


@dataclass(frozen=True)
class Labelled:
    """A line of the CSV file: an event from `start` to `end` seconds, or None for "nothing happens"."""

    line: int
    file: str
    start: float
    end: float
    label: str | None
    split: str | None


@dataclass(frozen=True)
class Window:
    """A row of the feature files: `seconds` seconds of `file` from `first`."""

    file: str
    first: int
    seconds: int


def _rows(path: Path, columns: Sequence[str], what: str) -> list[tuple[int, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            got = [name.strip() for name in reader.fieldnames or ()]
            if missing := [name for name in columns if name not in got]:
                raise ModelFileError(
                    f"{path}:1: expected the columns {','.join(columns)}, {missing[0]!r} is missing "
                    f"(got {','.join(got) or 'nothing'})"
                )
            rows = []
            for row in reader:
                if None in row:
                    raise ModelFileError(f"{path}:{reader.line_num}: more fields than columns")
                clean = {str(k).strip(): (v or "").strip() for k, v in row.items()}
                if any(clean.values()):
                    rows.append((reader.line_num, clean))
            return rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ModelFileError(f"{what} {path}: can't be read ({error})") from error


def read_labels(path: Path) -> list[Labelled]:
    """All events of a CSV file.

    Raises:
        ModelFileError: a line can't be understood; the message carries its number.

    """
    events = []
    for line, row in _rows(path, _COLUMNS, "labels"):
        where = f"{path}:{line}"
        split = row.get("split") or None
        if split is not None and split not in SPLITS:
            raise ModelFileError(f"{where}: split must be one of {', '.join(SPLITS)}, got {split!r}")
        if not row["file"]:
            raise ModelFileError(f"{where}: no file")
        if not row["label"]:
            raise ModelFileError(f"{where}: no label; write {BACKGROUND_NAME} where nothing happens")
        if row["label"].lower() == BACKGROUND_NAME:
            events.append(Labelled(line, row["file"], 0.0, 0.0, None, split))
            continue
        try:
            start, end = float(row["start"]), float(row["end"])
        except ValueError as error:
            raise ModelFileError(
                f"{where}: start and end must be seconds, got {row['start']!r} and {row['end']!r}"
            ) from error
        if not 0 <= start < end < float("inf"):
            raise ModelFileError(
                f"{where}: expected 0 ≤ start < end, got {row['start']} and {row['end']} (seconds)"
            )
        events.append(Labelled(line, row["file"], start, end, row["label"], split))
    if not events:
        raise ModelFileError(f"labels {path}: no lines")
    return events


def read_index(path: Path) -> list[Window]:
    """What each row of the feature files is, as `avel extract` wrote it.

    Raises:
        ModelFileError: missing or damaged.

    """
    windows: list[Window] = []
    for line, row in _rows(path, ("row", "file", "first_s", "seconds"), "index"):
        try:
            window = Window(row["file"], int(row["first_s"]), int(row["seconds"]))
            if int(row["row"]) != len(windows) or not 0 <= window.seconds <= WINDOW:
                raise ValueError("rows are out of order")
        except ValueError as error:
            raise ModelFileError(f"{path}:{line}: {error}; extract the features again") from error
        windows.append(window)
    return windows


def default_split(file: str) -> str:
    """70 / 15 / 15 by a hash of the name."""
    share = int(hashlib.sha256(file.encode()).hexdigest()[:8], 16) / 2**32
    return "train" if share < 0.7 else "val" if share < 0.85 else "test"


def _second_labels(events: Sequence[Labelled], seconds: int, path: Path, index: dict[str, int]) -> Rows:
    """[seconds] class of each second of one video."""
    target = np.full(seconds, len(index), np.int64)
    by: dict[int, Labelled] = {}
    for event in events:
        if event.label is None:
            continue
        for t in range(int(event.start), min(seconds, int(np.ceil(event.end)))):
            if min(event.end, t + 1) - max(event.start, t) < 0.5:
                continue
            other = by.setdefault(t, event)
            if other.label != event.label:
                raise ModelFileError(
                    f"{path}:{event.line}: {event.file} has {event.label!r} in second {t}, "
                    f"but line {other.line} says {other.label!r}; one class a second"
                )
            target[t] = index[event.label]
    return target


def read_classes(path: Path) -> tuple[str, ...]:
    """Event names, one a line; background need not be named and comes last.

    Raises:
        ModelFileError: can't be read, empty, or a name occurs twice.

    """
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFileError(f"class list {path}: can't be read ({error})") from error
    events = [name for name in names if name and name.lower() != BACKGROUND_NAME]
    if not events:
        raise ModelFileError(f"class list {path}: no names in it")
    for number, name in enumerate(names, 1):
        if name and name in names[: number - 1]:
            raise ModelFileError(f"{path}:{number}: {name!r} occurs twice")
    return tuple(events)


class FolderData:
    """Own videos; see `data.DataSet`.

    Args:
        folder: made by `avel extract`: visual_feature.h5, audio_feature.h5, index.csv.
        labels: the CSV file.
        classes: event names in order; None = those of the CSV file, sorted.

    Raises:
        ModelFileError: a file is missing or a line is wrong; names the file and the line.

    """

    def __init__(self, folder: Path, labels: Path, classes: Sequence[str] | None = None) -> None:
        events = read_labels(labels)
        names = tuple(classes) if classes else tuple(sorted({e.label for e in events if e.label}))
        if not names:
            raise ModelFileError(f"labels {labels}: every line is background; there is nothing to learn")
        known = {name: i for i, name in enumerate(names)}
        for event in events:
            if event.label is not None and event.label not in known:
                raise ModelFileError(
                    f"{labels}:{event.line}: {event.label!r} is not in the class list ({', '.join(names)})"
                )
        self.labels: tuple[str, ...] = (*names, BACKGROUND_NAME)
        self._visual = FeatureFile(folder / "visual_feature.h5", 5)
        self._audio = FeatureFile(folder / "audio_feature.h5", 3)
        windows = read_index(folder / "index.csv")
        for file in (self._visual, self._audio):
            if len(file) != len(windows):
                raise ModelFileError(
                    f"features {file.path}: {len(file)} rows, but index.csv has {len(windows)}; extract again"
                )
        self.profile = feature_profile(folder) or "paper"
        self.windows = windows
        self.unlabelled: tuple[str, ...] = ()
        self._label(windows, events, labels, known)

    def _label(
        self, windows: list[Window], events: list[Labelled], path: Path, known: dict[str, int]
    ) -> None:
        by_file: dict[str, list[Labelled]] = {}
        for event in events:
            by_file.setdefault(event.file, []).append(event)
        there = {w.file for w in windows}
        for event in events:
            if event.file not in there:
                raise ModelFileError(
                    f"{path}:{event.line}: {event.file} has no features; extract it, or mind the spelling"
                )
        self.target = np.full((len(windows), WINDOW), IGNORE, np.int64)
        chosen: dict[str, list[int]] = {name: [] for name in SPLITS}
        length = {w.file: 0 for w in windows}
        for w in windows:
            length[w.file] = max(length[w.file], w.first + w.seconds)
        for row, w in enumerate(windows):
            mine = by_file.get(w.file)
            if mine is None or w.seconds == 0:
                continue
            if late := [e for e in mine if e.start >= length[w.file]]:
                raise ModelFileError(
                    f"{path}:{late[0].line}: starts at {late[0].start:g} s, "
                    f"but {w.file} is only {length[w.file]} s long"
                )
            named = {e.split for e in mine}
            if len(named) > 1:
                raise ModelFileError(f"{path}:{mine[-1].line}: {w.file} is put into more than one split")
            whole = _second_labels(mine, length[w.file], path, known)
            self.target[row, : w.seconds] = whole[w.first : w.first + w.seconds]
            chosen[named.pop() or default_split(w.file)].append(row)
        self.unlabelled = tuple(sorted(there - set(by_file)))
        self.splits: Splits = {name: np.array(rows, np.int64) for name, rows in chosen.items()}
        for name in ("train", "val"):
            if not chosen[name]:
                raise ModelFileError(f"labels {path}: no video falls into {name}; add a split column")
        self.visual_mask = self.target != IGNORE
        self.audio_mask = self.visual_mask.copy()
        self.video_target = video_targets(self.target, len(self.labels) - 1)
        masks = self._visual.path.parent / "masks.h5"
        if masks.is_file():
            import h5py

            with h5py.File(masks, "r") as file:
                self.visual_mask &= np.asarray(file["visual"][()], np.bool_)
                self.audio_mask &= np.asarray(file["audio"][()], np.bool_)
            self.target[~(self.visual_mask | self.audio_mask)] = IGNORE

    @property
    def visual_dim(self) -> int:
        """Dv."""
        return self._visual.shape[4]

    @property
    def audio_dim(self) -> int:
        """Da."""
        return self._audio.shape[2]

    @property
    def grid(self) -> int:
        """Side of the visual grid."""
        return self._visual.shape[2]

    def features(self, rows: Rows) -> tuple[Floats, Floats]:
        """See `data.DataSet.features`."""
        return self._visual.read(rows), self._audio.read(rows)

    def notes(self) -> list[str]:
        """What a person should know."""
        found = [f"{name}: {len(rows)} windows" for name, rows in self.splits.items()]
        if self.unlabelled:
            found.append(
                f"{len(self.unlabelled)} videos have no line and are left out: {self.unlabelled[0]} …"
            )
        return found

    def close(self) -> None:
        """Close the files."""
        self._visual.close()
        self._audio.close()
