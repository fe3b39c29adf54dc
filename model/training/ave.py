"""The AVE data set from its feature files, read row by row: the 8 GB are never in memory at once.

    visual_feature.h5   [4143, 10, 7, 7, 512]   audio_feature.h5   [4143, 10, 128]
    Annotations.txt     *_order.h5 (or trainSet.txt …)              masks.h5, features.json (ours, optional)

Feature files hold their array under `avadataset` (as published) or `dataset` (as re-extraction scripts
write it), in float64, float32 or float16. Labels are rebuilt from `Annotations.txt`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelFileError, first_line
from ..labels import BACKGROUND, LABELS
from ..profiles import WINDOW
from .annotations import Annotation, Splits, read_annotations, read_splits, shared_videos, targets
from .data import Floats, Rows

KEYS: Final = ("avadataset", "dataset")


# What h5py raises for damage depends on the structure that is hit.
_DAMAGE: Final = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError)


def _open(path: Path) -> tuple[Any, Any]:
    """The file and its data set."""
    import h5py

    if not path.is_file():
        raise ModelFileError(f"features {path}: no such file; make it with `avel extract`, or get AVE's")
    file = None
    try:
        file = h5py.File(path, "r")
        dataset = next((file[key] for key in KEYS if key in file), None)
        keys = ", ".join(file) or "none"
        if dataset is not None and isinstance(dataset, h5py.Dataset) and dataset.dtype is not None:
            return file, dataset
    except _DAMAGE as error:
        if file is not None:
            file.close()
        raise ModelFileError(
            f"features {path}: damaged or cut short ({first_line(error)}); fetch or extract the file again"
        ) from error
    file.close()
    raise ModelFileError(f"features {path}: expected a data set {' or '.join(KEYS)}, got {keys}")


def read_array(path: Path) -> NDArray[Any]:
    """A small array (labels, masks) whole.

    Raises:
        ModelFileError: missing, damaged, or without a known key.

    """
    file, dataset = _open(path)
    with file:
        try:
            return np.asarray(dataset[()])
        except _DAMAGE as error:
            raise ModelFileError(
                f"features {path}: can't be read ({first_line(error)}); fetch or extract it again"
            ) from error


class FeatureFile:
    """One feature file, open for reading rows as float32."""

    def __init__(self, path: Path, rank: int) -> None:
        self.path = path
        self._file, self._dataset = _open(path)
        self.shape: tuple[int, ...] = tuple(self._dataset.shape)
        if len(self.shape) != rank or self._dataset.dtype.kind != "f":
            raise ModelFileError(
                f"features {path}: expected a float array of {rank} axes, "
                f"got {self._dataset.dtype} {self.shape}"
            )

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, rows: Rows) -> Floats:
        """[B, ...] float32, one row at a time, so that float64 is never held for more than one.

        Raises:
            ModelFileError: a row can't be read.

        """
        row = -1
        try:
            out = np.empty((len(rows), *self.shape[1:]), np.float32)
            for i, row in enumerate(rows):
                out[i] = self._dataset[int(row)]
        except (*_DAMAGE, MemoryError) as error:
            raise ModelFileError(
                f"features {self.path}: row {row} can't be read ({first_line(error)}); "
                "fetch or extract it again"
            ) from error
        return out

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class AveData:
    """AVE, or any set in its layout; see `data.DataSet`.

    Args:
        folder: where the feature files are.
        annotations: `Annotations.txt`, if it is not in the folder.
        splits: folder of the split files, if they are elsewhere.
        noisy: add the background-only videos (`*_noisy.h5`) to the training split, for weak supervision.
        profile: which features these are, if the folder's `features.json` does not say.

    Raises:
        ModelFileError: a file is missing, damaged, or of another size than the others.

    """

    labels: tuple[str, ...] = LABELS

    def __init__(
        self,
        folder: Path,
        *,
        annotations: Path | None = None,
        splits: Path | None = None,
        noisy: bool = False,
        profile: str | None = None,
    ) -> None:
        self.folder = folder
        self.rows: tuple[Annotation, ...] = read_annotations(annotations or folder / "Annotations.txt")
        self._visual = [FeatureFile(folder / "visual_feature.h5", 5)]
        self._audio = [FeatureFile(folder / "audio_feature.h5", 3)]
        self.target: Rows = targets(self.rows)
        self.video_target: Rows = np.array([r.label for r in self.rows], np.int64)
        self.splits: Splits = read_splits(splits or folder, self.rows)
        self._check(self._visual[0], self._audio[0], len(self.rows))
        self.visual_mask, self.audio_mask = self._masks()
        if noisy:
            self._add_noisy()
        self.profile = profile or feature_profile(folder) or "paper"

    @property
    def visual_dim(self) -> int:
        """Dv."""
        return self._visual[0].shape[4]

    @property
    def audio_dim(self) -> int:
        """Da."""
        return self._audio[0].shape[2]

    @property
    def grid(self) -> int:
        """Side of the visual grid."""
        return self._visual[0].shape[2]

    def _check(self, visual: FeatureFile, audio: FeatureFile, count: int) -> None:
        for file in (visual, audio):
            if len(file) != count:
                raise ModelFileError(
                    f"features {file.path}: {len(file)} rows, but {count} annotations; "
                    "they do not belong together"
                )
            if file.shape[1] != WINDOW:
                raise ModelFileError(
                    f"features {file.path}: expected {WINDOW} segments a video, got {file.shape[1]}"
                )
        if visual.shape[2] != visual.shape[3]:
            raise ModelFileError(f"features {visual.path}: expected a square grid, got {visual.shape[2:4]}")

    def _masks(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        path = self.folder / "masks.h5"
        shape = (len(self.rows), WINDOW)
        if not path.is_file():
            return np.ones(shape, np.bool_), np.ones(shape, np.bool_)
        import h5py

        try:
            with h5py.File(path, "r") as file:
                visual, audio = (np.asarray(file[k][()], np.bool_) for k in ("visual", "audio"))
        except (OSError, KeyError) as error:
            raise ModelFileError(f"masks {path}: damaged ({error}); extract the features again") from error
        if visual.shape != shape or audio.shape != shape:
            raise ModelFileError(f"masks {path}: expected {shape}, got {visual.shape} and {audio.shape}")
        return visual, audio

    def _add_noisy(self) -> None:
        visual = FeatureFile(self.folder / "visual_feature_noisy.h5", 5)
        audio = FeatureFile(self.folder / "audio_feature_noisy.h5", 3)
        count = len(audio)
        self._check(visual, audio, count)
        for file, like in ((visual, self._visual[0]), (audio, self._audio[0])):
            if file.shape[2:] != like.shape[2:]:
                raise ModelFileError(
                    f"features {file.path}: expected {like.shape[2:]} a segment, got {file.shape[2:]}"
                )
        self._visual.append(visual)
        self._audio.append(audio)
        self.splits = dict(self.splits)
        new = np.arange(len(self.target), len(self.target) + count)
        self.splits["train"] = np.concatenate([self.splits["train"], new])
        self.target = np.concatenate([self.target, np.full((count, WINDOW), BACKGROUND)])
        self.video_target = np.concatenate([self.video_target, np.full(count, BACKGROUND)])
        here = np.ones((count, WINDOW), np.bool_)
        self.visual_mask = np.concatenate([self.visual_mask, here])
        self.audio_mask = np.concatenate([self.audio_mask, here])

    def features(self, rows: Rows) -> tuple[Floats, Floats]:
        """See `data.DataSet.features`."""
        return self._gather(self._visual, rows), self._gather(self._audio, rows)

    def _gather(self, files: Sequence[FeatureFile], rows: Rows) -> Floats:
        count = len(self.rows)
        if len(files) == 1 or (rows < count).all():
            return files[0].read(rows)
        out = np.empty((len(rows), *files[0].shape[1:]), np.float32)
        first = rows < count
        out[first] = files[0].read(rows[first])
        out[~first] = files[1].read(rows[~first] - count)
        return out

    def notes(self) -> list[str]:
        """What a person should know about this copy: overlaps, and published labels that disagree."""
        found = [f"{len(self.rows)} videos, {len({r.video for r in self.rows})} ids"]
        for (a, b), count in shared_videos(self.rows, self.splits).items():
            if count:
                found.append(f"{count} video ids are both in {a} and in {b}")
        for name in ("labels.h5", "right_labels.h5"):
            path = self.folder / name
            if path.is_file():
                published = read_array(path)
                if published.shape[:2] != (len(self.rows), WINDOW):
                    found.append(f"{name}: shape {published.shape} does not fit; ignored")
                    continue
                double = np.flatnonzero((published.sum(-1) != 1).any(1))
                if len(double):
                    found.append(f"{name}: rows {double[:5].tolist()} carry other than one label a second")
                rebuilt = published[
                    np.arange(len(self.rows))[:, None], np.arange(WINDOW), self.target[: len(self.rows)]
                ]
                wrong = np.flatnonzero((rebuilt != 1).any(1))
                if len(wrong):
                    found.append(f"{name}: {len(wrong)} rows disagree with Annotations.txt, e.g. {wrong[0]}")
        mil = self.folder / "mil_labels.h5"
        if mil.is_file():
            published = read_array(mil)
            wrong = np.flatnonzero(published.argmax(-1) != np.array([r.label for r in self.rows]))
            if len(wrong):
                found.append(f"mil_labels.h5: {len(wrong)} rows disagree with Annotations.txt")
        return found

    def close(self) -> None:
        """Close the files."""
        for file in (*self._visual, *self._audio):
            file.close()


def feature_profile(folder: Path) -> str | None:
    """The profile that `avel extract` noted beside the features; None where there is no note.

    Raises:
        ModelFileError: the note can't be read.

    """
    path = folder / "features.json"
    if not path.is_file():
        return None
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["profile"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{path}: damaged ({error}); extract the features again") from error


def write_features(folder: Path, visual: Floats, audio: Floats, splits: Splits) -> None:
    """Arrays as files of AVE's layout: for generated sets and for tests."""
    import h5py

    folder.mkdir(parents=True, exist_ok=True)
    for name, array in (("visual", visual), ("audio", audio)):
        with h5py.File(folder / f"{name}_feature.h5", "w") as file:
            file.create_dataset(KEYS[0], data=array)
    for name, rows in splits.items():
        with h5py.File(folder / f"{name}_order.h5", "w") as file:
            file.create_dataset("order", data=rows)
