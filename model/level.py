"""How loud a sound is: the one level meter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SILENCE_DBFS: Final = -120.0
"""Nothing is quieter than this."""


def dbfs(amplitude: float) -> float:
    """Decibels below full scale of an amplitude (1 is full scale)."""
    return 20 * math.log10(max(amplitude, 10 ** (SILENCE_DBFS / 20)))


def level_dbfs(samples: NDArray[np.float32]) -> float:
    """Root-mean-square level of samples [n] in [-1, 1), decibels below full scale."""
    if not samples.size:
        return SILENCE_DBFS
    return dbfs(float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))))
