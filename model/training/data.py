"""What the trainer and the evaluation want from a data set, and the plain in-memory one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..labels import LABELS
from .annotations import Splits

IGNORE: Final = -100
"""Target of a second that is not there (padding); `cross_entropy` skips it."""

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


class Batch(NamedTuple):
    """Some windows of T seconds: `visual` [B, T, g, g, Dv], `audio` [B, T, Da], the rest [B, T]."""

    visual: Floats
    audio: Floats
    visual_mask: Flags
    audio_mask: Flags
    target: Rows
    video_target: Rows
    """[B] one label for the whole window: the weak supervision."""


class DataSet(Protocol):
    """Features and labels of N windows, read in pieces."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, background last."""

    @property
    def profile(self) -> str:
        """Whose features these are."""

    @property
    def visual_dim(self) -> int:
        """Dv."""

    @property
    def audio_dim(self) -> int:
        """Da."""

    @property
    def grid(self) -> int:
        """Side of the visual grid."""

    @property
    def target(self) -> Rows:
        """[N, T] class of each second, `IGNORE` where there is none."""

    @property
    def video_target(self) -> Rows:
        """[N] the event of the window, or background."""

    @property
    def visual_mask(self) -> Flags:
        """[N, T] where there is a picture."""

    @property
    def audio_mask(self) -> Flags:
        """[N, T] where there is sound."""

    @property
    def splits(self) -> Splits:
        """Rows for training, validation and test."""

    def features(self, rows: Rows) -> tuple[Floats, Floats]:
        """Visual [B, T, g, g, Dv] and audio [B, T, Da] of these rows; arrays of the caller's own."""


class Place(NamedTuple):
    """Where a row belongs: in which recording, and at which of its seconds it begins."""

    recording: str
    first: int


@runtime_checkable
class InRecordings(Protocol):
    """A data set whose rows may be parts of longer recordings."""

    def places(self, rows: Rows) -> list[Place]:
        """Where each of these rows belongs."""


def video_targets(target: Rows, background: int) -> Rows:
    """[N] the most frequent event of each window; background where there is no event at all."""
    counts = np.stack([(target == k).sum(1) for k in range(background)], axis=1)
    best: Rows = counts.argmax(1).astype(np.int64)
    return np.where(counts.max(1) > 0, best, background)


@dataclass
class ArrayData:
    """A data set held in memory."""

    visual: Floats
    audio: Floats
    target: Rows
    splits: Splits
    visual_mask: Flags
    audio_mask: Flags
    video_target: Rows
    labels: tuple[str, ...] = LABELS
    profile: str = "paper"

    @classmethod
    def of(
        cls,
        visual: Floats,
        audio: Floats,
        target: Rows,
        splits: Splits,
        labels: tuple[str, ...] = LABELS,
        profile: str = "paper",
    ) -> ArrayData:
        """Everything present, video labels derived from the segments'."""
        here = np.ones(target.shape, np.bool_)
        video = video_targets(target, len(labels) - 1)
        return cls(visual, audio, target, splits, here, here.copy(), video, labels, profile)

    @property
    def visual_dim(self) -> int:
        """Dv."""
        return int(self.visual.shape[-1])

    @property
    def audio_dim(self) -> int:
        """Da."""
        return int(self.audio.shape[-1])

    @property
    def grid(self) -> int:
        """Side of the visual grid."""
        return int(self.visual.shape[2])

    def features(self, rows: Rows) -> tuple[Floats, Floats]:
        """See `DataSet.features`."""
        return self.visual[rows].astype(np.float32), self.audio[rows].astype(np.float32)


def read_batch(data: DataSet, rows: Rows) -> Batch:
    """Features, masks and labels of some rows."""
    visual, audio = data.features(rows)
    return Batch(
        visual,
        audio,
        data.visual_mask[rows],
        data.audio_mask[rows],
        data.target[rows],
        data.video_target[rows],
    )


def batches(data: DataSet, order: Rows, size: int) -> Iterator[Batch]:
    """The rows of `order` in batches, the next one read while the last is being used."""
    parts: Sequence[Rows] = [order[i : i + size] for i in range(0, len(order), size)]
    with ThreadPoolExecutor(1) as reader:
        pending: Any = reader.submit(read_batch, data, parts[0]) if parts else None
        for index in range(len(parts)):
            batch: Batch = pending.result()
            if index + 1 < len(parts):
                pending = reader.submit(read_batch, data, parts[index + 1])
            yield batch
