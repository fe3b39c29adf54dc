"""How far stated confidence is from being right: reliability bins, ECE, Brier, NLL, and their intervals.

Everything here is NumPy on arrays: `probabilities` [N, C] rows summing to 1, `targets` [N] class indices.
Confidence is the probability of the most probable class (top-label calibration): "Bark, 0.83" is that.

ECE and adaptive ECE: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017; Nixon et al.,
"Measuring Calibration in Deep Learning", CVPRW 2019.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_TINY = 1e-12


@dataclass(frozen=True)
class Bins:
    """A reliability diagram: per bin its `edges` [K + 1], `count`, mean `confidence` and `accuracy` [K].

    Empty bins hold NaN in `confidence` and `accuracy`.
    """

    edges: Floats
    count: Ints
    confidence: Floats
    accuracy: Floats

    @property
    def error(self) -> float:
        """Mean |accuracy − confidence| over the samples: the (adaptive) ECE of these bins."""
        filled = self.count > 0
        gaps = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float(np.sum(gaps * self.count[filled]) / max(1, self.count.sum()))


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


def reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> Bins:
    """Bins of equal width over [0, 1].

    Args:
        confidence: [N] in 0..1.
        correct: [N] booleans, whether the most probable class was the right one.
        bins: how many.

    """
    conf = np.asarray(confidence, np.float64)
    edges = np.linspace(0.0, 1.0, bins + 1)
    # A confidence on an edge belongs to the bin below it, so that 1.0 falls into the last one.
    which = np.clip(np.ceil(conf * bins).astype(np.int64) - 1, 0, bins - 1)
    return _binned(conf, np.asarray(correct, np.float64), which, edges)


def adaptive_reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> Bins:
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
    return _binned(conf, right, which, np.concatenate([[0.0], starts, [1.0]]))


def _binned(conf: Floats, right: Floats, which: Ints, edges: Floats) -> Bins:
    bins = len(edges) - 1
    count = np.bincount(which, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_conf = np.bincount(which, conf, bins) / count
        mean_right = np.bincount(which, right, bins) / count
    return Bins(edges, count.astype(np.int64), mean_conf, mean_right)


def top_label(probabilities: ArrayLike, targets: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    """Confidence [N] of the most probable class, and whether it is right [N]."""
    p = np.asarray(probabilities, np.float64)
    return p.max(axis=1), p.argmax(axis=1) == np.asarray(targets)


def quality(probabilities: ArrayLike, targets: ArrayLike, bins: int = 15) -> Quality:
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


def bootstrap(
    statistic: Callable[[Ints], float],
    groups: ArrayLike,
    *,
    rounds: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of a statistic, resampling whole groups.

    The seconds of one clip resemble each other: resampling seconds would make intervals too narrow,
    so clips are drawn, with all their seconds.

    Args:
        statistic: from sample indices (with repetitions) to a number.
        groups: [N] which clip each sample belongs to.
        rounds: resamples.
        level: coverage of the interval.
        seed: of the resampling.

    Returns:
        Lower and upper end.

    """
    ids = np.asarray(groups)
    order = np.argsort(ids, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(ids[order])) + 1)
    rng = np.random.default_rng(seed)
    values = np.empty(rounds)
    for r in range(rounds):
        drawn = rng.integers(0, len(members), len(members))
        values[r] = statistic(np.concatenate([members[d] for d in drawn]))
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
