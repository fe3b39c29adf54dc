"""From logits to probabilities, and how far those are from being right.

    softmax            p_c = exp(z_c) / Σ exp(z)
    reliability        confidence against accuracy in bins; their mean distance is the ECE
    bootstrap          how sure a figure is, drawing whole clips

ECE: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Real = TypeVar("Real", bound=np.floating[Any])

BINS: Final = 15


def softmax(logits: NDArray[Real]) -> NDArray[Real]:
    """Softmax over the last axis, in the precision of the logits; safe for large ones."""
    exponent = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: NDArray[Real] = exponent / exponent.sum(axis=-1, keepdims=True)
    return probabilities


@dataclass(frozen=True)
class Bins:
    """A reliability diagram: per bin its `edges` [K + 1], `count`, mean `confidence` and `accuracy` [K].

    Empty bins hold NaN in `confidence` and `accuracy`.
    """

    edges: Floats
    count: Ints
    confidence: Floats
    accuracy: Floats

    @classmethod
    def of(cls, confidence: Floats, correct: Floats, which: Ints, edges: Floats) -> Bins:
        """From confidences [N] in 0..1, whether each was right [N], and which bin it falls into [N]."""
        count = np.bincount(which, minlength=len(edges) - 1)
        with np.errstate(invalid="ignore"):
            stated = np.bincount(which, confidence, len(edges) - 1) / count
            right = np.bincount(which, correct, len(edges) - 1) / count
        return cls(edges, count.astype(np.int64), stated, right)

    @property
    def error(self) -> float:
        """Mean |accuracy − confidence| over the samples: the expected calibration error of these bins."""
        filled = self.count > 0
        gaps = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float(np.sum(gaps * self.count[filled]) / max(1, self.count.sum()))


def reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = BINS) -> Bins:
    """Bins of equal width over [0, 1].

    Args:
        confidence: [N] in 0..1.
        correct: [N] booleans, whether the most probable class was the right one.
        bins: how many.

    """
    conf = np.asarray(confidence, np.float64)
    # A confidence on an edge belongs to the bin below it, so that 1.0 falls into the last one.
    which = np.clip(np.ceil(conf * bins).astype(np.int64) - 1, 0, bins - 1)
    return Bins.of(conf, np.asarray(correct, np.float64), which, np.linspace(0.0, 1.0, bins + 1))


def bootstrap(
    statistic: Callable[[Ints], ArrayLike],
    groups: ArrayLike,
    *,
    rounds: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Floats:
    """Percentile interval of a statistic, resampling whole groups.

    The seconds of one clip resemble each other: resampling seconds would make intervals too narrow,
    so clips are drawn, with all their seconds.

    Args:
        statistic: from sample indices (with repetitions) to a number or an array of them [...].
        groups: [N] which clip each sample belongs to.
        rounds: resamples.
        level: coverage of the interval.
        seed: of the resampling.

    Returns:
        [2, ...] lower and upper end. Draws that leave a number undefined (NaN) do not count for it.

    """
    ids = np.asarray(groups)
    order = np.argsort(ids, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(ids[order])) + 1)
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(0, len(members), len(members)) for _ in range(rounds))
    values = np.stack(
        [np.asarray(statistic(np.concatenate([members[d] for d in round_])), np.float64) for round_ in drawn]
    )
    tail = (1 - level) / 2
    ends = np.full((2, *values.shape[1:]), np.nan)
    known = ~np.isnan(values).all(axis=0)
    if known.any():
        ends[:, known] = np.nanquantile(values[:, known], [tail, 1 - tail], axis=0)
    return ends
