"""Small data sets for tests of training: quick to make, learnable in a few steps."""

from __future__ import annotations

import numpy as np
from avel_live.model.diia import DIIAConfig
from avel_live.model.training.data import ArrayData

LABELS = ("cat", "dog", "train", "background")


def small_config(**changes) -> DIIAConfig:
    return DIIAConfig(
        **{
            "visual_dim": 6,
            "audio_dim": 5,
            "grid": 2,
            "width": 16,
            "heads": 2,
            "ffn": 16,
            "hidden": 8,
            "classes": 4,
            "spatial_dim": 8,
            **changes,
        }
    )


def small_data(count: int = 60, seed: int = 0, length: int = 10) -> ArrayData:
    """Three classes told by sound and sight together; background is sight alone."""
    rng = np.random.default_rng(seed)
    target = np.full((count, length), 3)
    label = rng.integers(0, 3, count)
    for row in range(count):
        start, end = sorted(rng.integers(0, length + 1, 2))
        target[row, start:end] = label[row]
    visual = rng.normal(0, 0.3, (count, length, 2, 2, 6)).astype(np.float32)
    audio = rng.normal(0, 0.3, (count, length, 5)).astype(np.float32)
    visual[np.arange(count), ..., label] += 2
    n, t = np.nonzero(target != 3)
    audio[n, t, target[n, t]] += 2
    order = rng.permutation(count)
    splits = {
        "train": order[: count // 2],
        "val": order[count // 2 : -count // 4],
        "test": order[-count // 4 :],
    }
    return ArrayData.of(visual, audio, target, splits, LABELS)
