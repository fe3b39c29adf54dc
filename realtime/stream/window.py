"""From the ring of ten to scores: one pass of the head over the window, then calibrated probabilities."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...model import probabilities
from ...model.ood import OOD
from ...model.profiles import WINDOW, Profile
from ...model.runtime.base import Engine
from ..core.messages import Scores, SegmentFeatures
from .features import missing

Calibrate = Callable[[NDArray[np.float32], int], NDArray[np.float32]]
"""logits [T, C] and the number of segments in the window → probabilities [T, C], rows summing to 1."""


def softmax(logits: NDArray[np.float32], _length: int = 0) -> NDArray[np.float32]:
    """Raw confidences: softmax over classes, no temperature."""
    return probabilities.softmax(logits)


class Window:
    """The window of up to ten segments and the head that looks at it.

    Args:
        engine: the networks.
        calibrate: logits → probabilities.
        taught: how many classes the user taught; their probabilities come with the segments.

    """

    def __init__(self, engine: Engine, calibrate: Calibrate = softmax, taught: int = 0) -> None:
        self._engine = engine
        self._calibrate = calibrate
        self._taught = taught
        self._ring = FeatureRing(engine.profile)

    def push(self, features: SegmentFeatures) -> None:
        """Take the newest segment without looking."""
        self._ring.push(features)

    def look(self, hop: int) -> Scores:
        """Judge the window that ends with the newest segment."""
        visual, audio, has_video, has_audio = self._ring.window()
        logits, attention = self._engine.head(visual, audio, has_video, has_audio)
        probabilities = self._calibrate(logits, len(logits))
        if self._taught:
            from ...model.teach.judge import join  # most streams know no taught class

            probabilities = join(probabilities, self._ring.taught(self._taught))
        return Scores(
            hop,
            self._ring.first_index,
            logits,
            probabilities,
            attention,
            has_video | has_audio,
            ood=float(OOD(logits[-1])),
        )


class FeatureRing:
    """Up to `WINDOW` consecutive segments; memory never grows."""

    def __init__(self, profile: Profile, window: int = WINDOW) -> None:
        self._profile = profile
        self._ring: deque[SegmentFeatures] = deque(maxlen=window)

    def push(self, features: SegmentFeatures) -> None:
        """Append the next segment; segments skipped since the last one are entered as missing.

        Raises:
            ValueError: not newer than the newest.

        """
        if self._ring:
            gap = features.index - self._ring[-1].index - 1
            if gap < 0:
                raise ValueError(f"segment {features.index} after {self._ring[-1].index}")
            if gap >= (self._ring.maxlen or 0):
                self._ring.clear()
            else:
                for index in range(features.index - gap, features.index):
                    self._ring.append(missing(index, self._profile))
        self._ring.append(features)

    def __len__(self) -> int:
        return len(self._ring)

    @property
    def first_index(self) -> int:
        """Index of the oldest segment."""
        return self._ring[0].index

    def taught(self, count: int) -> NDArray[np.float32]:
        """[T, count] probabilities of taught classes, oldest first; 0 for segments that are missing."""
        nothing = np.zeros(count, np.float32)
        return np.stack([nothing if f.taught is None else f.taught for f in self._ring])

    def window(
        self,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
        """[T, 7, 7, Dv], [T, Da] and the masks [T], [T], oldest first, T = 1..10."""
        return (
            np.stack([f.visual for f in self._ring]),
            np.stack([f.audio for f in self._ring]),
            np.array([f.has_video for f in self._ring]),
            np.array([f.has_audio for f in self._ring]),
        )
