"""Confidence before and after, by seconds of future, with intervals: what a fit is worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model.probabilities import Bins, bootstrap, reliability, softmax
from .confidence import Calibrator, Method, apply_each, cross_fits, fit
from .looks import FUTURES, Looks
from .metrics import Quality, quality, top_label

Interval = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One line of the report: quality before and after, with 95 % intervals of both ECE."""

    before: Quality
    after: Quality
    before_ece: Interval
    after_ece: Interval


@dataclass(frozen=True)
class ConfidenceReport:
    """The fit on all data, and its honest worth (each clip judged by a fit that did not see it)."""

    calibrator: Calibrator
    fits: dict[int, Calibrator]
    """For each clip the calibrator that did not see it."""
    overall: Line
    by_future: dict[int, Line]
    before: Bins
    after: Bins
    clips: int
    given: bool = False
    """A calibration made elsewhere was judged; nothing was fitted."""


def assess(
    looks: Looks,
    method: Method = "temperature",
    *,
    folds: int = 10,
    rounds: int = 1000,
    given: Calibrator | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ConfidenceReport:
    """Fit, and judge the fit by cross-validation over clips; or judge what was fitted on other material.

    Args:
        looks: at least two clips.
        method: of the fit.
        folds: of the cross-validation.
        rounds: of the bootstrap.
        given: made from none of these clips; nothing is fitted.
        progress: called with (done, total).

    Raises:
        ValueError: fewer than two clips, or no labelled second that holds an event.

    """
    if len(looks) and (looks.targets == looks.logits.shape[1] - 1).all():
        raise ValueError("no labelled second holds an event; all that could be learnt is to say background")
    if given is not None:
        if len(np.unique(looks.groups)) < 2:
            raise ValueError("an interval needs at least two clips of different recordings")
        fits = {int(group): given for group in np.unique(looks.groups)}
    else:
        fits = cross_fits(looks, method, folds=folds, progress=progress)
    raw, honest = softmax(looks.logits.astype(np.float64)), apply_each(looks, fits)
    by_future = {}
    for future in range(FUTURES):
        here = looks.future_s == future
        if here.any():
            by_future[future] = compare(
                raw[here], honest[here], looks.targets[here], looks.groups[here], rounds
            )
    return ConfidenceReport(
        fit(looks, method) if given is None else given,
        fits,
        compare(raw, honest, looks.targets, looks.groups, rounds),
        by_future,
        reliability(*top_label(raw, looks.targets)),
        reliability(*top_label(honest, looks.targets)),
        len(fits),
        given is not None,
    )


def compare(
    before: NDArray[np.floating],
    after: NDArray[np.floating],
    targets: NDArray[np.int64],
    groups: NDArray[np.int64],
    rounds: int = 1000,
) -> Line:
    """Quality of two sets of probabilities [N, C] of the same seconds."""
    return Line(
        quality(before, targets),
        quality(after, targets),
        _interval(before, targets, groups, rounds),
        _interval(after, targets, groups, rounds),
    )


def _interval(
    p: NDArray[np.floating], targets: NDArray[np.int64], groups: NDArray[np.int64], rounds: int
) -> Interval:
    confidence, right = top_label(p, targets)
    low, high = bootstrap(
        lambda drawn: reliability(confidence[drawn], right[drawn]).error, groups, rounds=rounds
    )
    return float(low), float(high)
