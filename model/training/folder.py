"""People's own videos: features made by `avel extract`, labels in a CSV file or one that `readers` reads.

    file,start,end,label[,split]
    cats/tom.mp4,2.0,5.5,Cat
    cats/tom.mp4,7,9,Cat
    street.mp4,,,background          a video in which nothing happens

What a second carries is decided in `carried`; a `background` line with times counts like a class. What was
lost is listed (`notes`). How the file may be written: `labelfile`, `readers`.

Splits come from the `split` column (train, val, test), or else from a hash of the file name: 70 / 15 / 15,
the same on every machine. Cuts of one recording should be put into one split by hand, or the figures flatter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from ..errors import ModelFileError
from ..labels import BACKGROUND_NAME
from ..profiles import WINDOW
from .annotations import SPLITS, Splits
from .ave import FeatureFile, feature_profile
from .carried import Video, seconds_of
from .data import IGNORE, Floats, Place, Rows, video_targets
from .labelfile import Labelled, folded, spellings, table
from .readers import grouped, keyed, read_events

_LISTED: Final = 20
_NOTHING: Final = frozenset({"none", "nothing", "no event", "-", "n/a", "null", "empty", "negative"})
"""Names that probably mean background."""


@dataclass(frozen=True)
class Window:
    """A row of the feature files: `seconds` seconds of `file` from `first`."""

    file: str
    first: int
    seconds: int


def read_index(path: Path) -> list[Window]:
    """What each row of the feature files is, as `avel extract` wrote it.

    Raises:
        ModelFileError: missing or damaged.

    """
    windows: list[Window] = []
    for line, row in table(path, ("row", "file", "first_s", "seconds"), "index"):
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
    share = _share(file)
    return "train" if share < 0.7 else "val" if share < 0.85 else "test"


def _share(file: str) -> float:
    """A number of 0 to 1 that the name alone decides."""
    return int(hashlib.sha256(file.encode()).hexdigest()[:8], 16) / 2**32


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
        labels: the CSV file, or one that `readers` reads.
        classes: event names in order; None = those of the label file, sorted.
        fps: frames a second, for label files that count frames.

    Raises:
        ModelFileError: a file is missing or a line is wrong; names the file and the line.

    """

    def __init__(
        self,
        folder: Path,
        labels: Path,
        classes: Sequence[str] | None = None,
        *,
        fps: float | None = None,
    ) -> None:
        reading = read_events(labels, fps)
        given = reading.events
        said = [e.label for e in given if e.label is not None]
        spelled = spellings(said, classes or ())
        events = [e if e.label is None else replace(e, label=spelled[e.label]) for e in given]
        names = tuple(classes) if classes else tuple(sorted(set(spelled.values())))
        if not names:
            raise ModelFileError(f"labels {labels}: every line is background; there is nothing to learn")
        known = {name: i for i, name in enumerate(names)}
        for event in events:
            if event.label is not None and event.label not in known:
                raise ModelFileError(
                    f"{labels}:{event.line}: {event.label!r} is not in the class list ({', '.join(names)})"
                )
        self._said = list(reading.notes)
        self._said += [
            f"{', '.join(repr(one) for one in many)}: one class, {name!r}"
            for name in names
            if len(many := dict.fromkeys(one for one in said if spelled[one] == name)) > 1
        ]
        self._said += [
            f"{name!r} is learned as a class; where nothing happens write {BACKGROUND_NAME}"
            for name in names
            if not classes and folded(name) in _NOTHING
        ]
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
        there = keyed(w.file for w in windows)
        by_file, lost = grouped(events, there, path)
        self._said += lost
        self.target = np.full((len(windows), WINDOW), IGNORE, np.int64)
        chosen: dict[str, list[int]] = {name: [] for name in SPLITS}
        length = dict.fromkeys(there.values(), 0)
        for w in windows:
            length[w.file] = max(length[w.file], w.first + w.seconds)
        videos: dict[str, Video] = {}
        for file, mine in by_file.items():
            # A remainder of less than half a second has no features; it may still have a label.
            if late := [e for e in mine if e.start >= length[file] + 0.5 and length[file]]:
                raise ModelFileError(
                    f"{path}:{late[0].line}: starts at {late[0].start:g} s, "
                    f"but {file} is only {length[file]} s long"
                )
            if len({e.split for e in mine}) > 1:
                raise ModelFileError(f"{path}:{mine[-1].line}: {file} is put into more than one split")
            videos[file] = seconds_of(mine, length[file], known)
            self._said += videos[file].lost
        split_of = self._splits(by_file)
        for row, w in enumerate(windows):
            if w.file not in videos or w.seconds == 0:
                continue
            self.target[row, : w.seconds] = videos[w.file].target[w.first : w.first + w.seconds]
            chosen[split_of[w.file]].append(row)
        self.unlabelled = tuple(sorted(set(there.values()) - set(by_file)))
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

    def _splits(self, by_file: Mapping[str, Sequence[Labelled]]) -> dict[str, str]:
        """Of each recording; a published list of two parts gets its validation from the training part."""
        named = {file: mine[0].split for file, mine in by_file.items()}
        two = {"train", "test"} == set(named.values()) and all(mine[0].loose for mine in by_file.values())
        if two:
            self._said.append("the list has no validation part: a sixth of its training part is taken for it")
        return {
            file: "val" if two and split == "train" and _share(file) < 1 / 6 else split or default_split(file)
            for file, split in named.items()
        }

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

    def places(self, rows: Rows) -> list[Place]:
        """See `data.InRecordings`."""
        return [Place(self.windows[row].file, self.windows[row].first) for row in rows]

    def notes(self) -> list[str]:
        """What a person should know."""
        found = [f"{name}: {len(rows)} windows" for name, rows in self.splits.items()]
        if self.unlabelled:
            found.append(
                f"{len(self.unlabelled)} videos have no line and are left out: {self.unlabelled[0]} …"
            )
        found += self._said[:_LISTED]
        if len(self._said) > _LISTED:
            found.append(f"and {len(self._said) - _LISTED} more of that kind")
        return found

    def close(self) -> None:
        """Close the files."""
        self._visual.close()
        self._audio.close()
