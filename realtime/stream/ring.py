"""The ring of ten: the features of the newest segments, in order, holes marked as missing."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from ...model.profiles import WINDOW, Profile
from ..messages import SegmentFeatures
from .features import missing


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
