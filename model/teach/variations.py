"""Variations of an example's second: as if it had been farther away, in other light, in another noise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .senses import Floats

Frames = NDArray[np.uint8]

_GAINS_DB: Final = (-12.0, -6.0, 3.0)
_NOISE_DB: Final = (-30.0, -18.0, -12.0)
"""Of the added noise, below the second's own level."""


def variations(frames: Frames, samples: Floats, rng: np.random.Generator) -> Iterator[tuple[Frames, Floats]]:
    """Three others of a second: [N, 224, 224, 3] and [16000] each."""
    views = (_flipped(frames), _nearer(frames, rng), _darker(_flipped(frames)))
    for view, gain, noise in zip(views, _GAINS_DB, _NOISE_DB, strict=True):
        level = float(np.sqrt(np.square(samples, dtype=np.float64).mean()))
        hiss = rng.normal(0, level * 10 ** (noise / 20) + 1e-6, len(samples))
        yield view, np.clip((samples + hiss) * 10 ** (gain / 20), -1, 1).astype(np.float32)


def _flipped(frames: Frames) -> Frames:
    return np.ascontiguousarray(frames[:, :, ::-1])


def _nearer(frames: Frames, rng: np.random.Generator) -> Frames:
    """A part of the picture, some four fifths wide, by nearest neighbours."""
    side = frames.shape[1]
    size = int(side * rng.uniform(0.75, 0.9))
    y, x = rng.integers(0, side - size + 1, 2)
    at = np.arange(side) * size // side
    return np.ascontiguousarray(frames[:, y + at][:, :, x + at])


def _darker(frames: Frames) -> Frames:
    return (frames * 0.6).astype(np.uint8)
