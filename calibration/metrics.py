"""How far stated confidence is from being right: ECE of even and of adaptive bins, Brier, NLL.

Everything here is NumPy on arrays: `probabilities` [N, C] rows summing to 1, `targets` [N] class indices.
Confidence is the probability of the most probable class (top-label calibration): "Bark, 0.83" is that.

Adaptive ECE: Nixon et al., "Measuring Calibration in Deep Learning", CVPRW 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..model.probabilities import BINS, Bins, reliability

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_TINY = 1e-12


@dataclass(frozen=True)
class Quality:
    """The figures of one set of probabilities."""

    count: int
    accuracy: float
    confidence: float
    """Mean stated confidence; above `accuracy` is boastful, below is timid."""
    ece: float
    adaptive_ece: float
    brier: float
    nll: float


def adaptive_reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = BINS) -> Bins:
    """Bins that hold equally many samples each (quantiles of the confidence)."""
    conf = np.asarray(confidence, np.float64)
    right = np.asarray(correct, np.float64)
    if conf.size == 0:
        return reliability(conf, right, bins)
    bins = min(bins, conf.size)
    order = np.argsort(conf, kind="stable")
    which = np.empty(conf.size, np.int64)
    which[order] = np.arange(conf.size) * bins // conf.size
    starts = conf[order][[-(-b * conf.size // bins) for b in range(1, bins)]]
    return Bins.of(conf, right, which, np.concatenate([[0.0], starts, [1.0]]))


def top_label(probabilities: ArrayLike, targets: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    """Confidence [N] of the most probable class, and whether it is right [N]."""
    p = np.asarray(probabilities, np.float64)
    return p.max(axis=1), p.argmax(axis=1) == np.asarray(targets)


def quality(probabilities: ArrayLike, targets: ArrayLike, bins: int = BINS) -> Quality:
    """Every figure at once.

    Brier is the multi-class score Σ_c (p_c − y_c)², from 0 to 2; NLL is in nats.

    Raises:
        ValueError: no samples.

    """
    p = np.asarray(probabilities, np.float64)
    y = np.asarray(targets, np.int64)
    if len(p) == 0:
        raise ValueError("no samples to judge")
    conf, right = top_label(p, y)
    of_target = p[np.arange(len(p)), y]
    return Quality(
        count=len(p),
        accuracy=float(right.mean()),
        confidence=float(conf.mean()),
        ece=reliability(conf, right, bins).error,
        adaptive_ece=adaptive_reliability(conf, right, bins).error,
        brier=float(((p**2).sum(axis=1) - 2 * of_target + 1).mean()),
        nll=float(-np.log(np.maximum(of_target, _TINY)).mean()),
    )
