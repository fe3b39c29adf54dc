"""From the ring of ten to scores: one pass of the head over the window, then calibrated probabilities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...model import probabilities
from ...model.ood import OOD
from ...model.runtime.base import Engine
from ..messages import Scores, SegmentFeatures
from .ring import FeatureRing

Calibrate = Callable[[NDArray[np.float32], int], NDArray[np.float32]]
"""logits [T, C] and the number of segments in the window → probabilities [T, C], rows summing to 1."""


def softmax(logits: NDArray[np.float32], _length: int = 0) -> NDArray[np.float32]:
    """Raw confidences: softmax over classes, no temperature."""
    return probabilities.softmax(logits)


class Localizer:
    """The window of up to ten segments and the head that looks at it."""

    def __init__(self, engine: Engine, calibrate: Calibrate = softmax) -> None:
        self._engine = engine
        self._calibrate = calibrate
        self._ring = FeatureRing(engine.profile)

    def push(self, features: SegmentFeatures) -> None:
        """Take the newest segment without looking."""
        self._ring.push(features)

    def look(self, hop: int) -> Scores:
        """Judge the window that ends with the newest segment."""
        visual, audio, has_video, has_audio = self._ring.window()
        logits, attention = self._engine.head(visual, audio, has_video, has_audio)
        return Scores(
            hop,
            self._ring.first_index,
            logits,
            self._calibrate(logits, len(logits)),
            attention,
            has_video | has_audio,
            ood=float(OOD(logits[-1])),
        )
