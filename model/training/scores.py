"""Answers of a network scored as the fields of sound event detection and of localization in video score them.

Seconds that nobody judged (`IGNORE`) are in no event, of answer and truth alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spans import of_labels
from .data import IGNORE, Place, Rows
from .meanap import Scored, mean_ap
from .sedscores import Tally, event_based, segment_based


@dataclass(frozen=True)
class FieldScores:
    """Over whole recordings: sed_eval's two kinds of scores, and mean average precision by tIoU."""

    segment: Tally
    """Segments of a second."""
    event: Tally
    mean_ap: dict[float, float]

    @property
    def average_map(self) -> float:
        """Mean over all tIoUs; NaN where there was no event."""
        return float(np.mean(list(self.mean_ap.values())))


def field_scores(answers: Rows, truth: Rows, sure: NDArray[np.floating[Any]], classes: int) -> FieldScores:
    """Score answers [M, S] of M recordings, one class a second; an event is a run of one class.

    Args:
        answers: class of each second, background = `classes` − 1.
        truth: the true one; `IGNORE` where nobody judged.
        sure: [M, S] how probable the answer is: an event is as sure as its seconds on average.
        classes: background included.

    """
    background = classes - 1
    judged = truth != IGNORE
    mine, theirs = (
        [of_labels(row, background) for row in np.where(judged, rows, background)]
        for rows in (answers, truth)
    )
    scored = [
        [Scored(span, float(row[int(span.start_s) : int(span.end_s)].mean())) for span in events]
        for events, row in zip(mine, sure, strict=True)
    ]
    return FieldScores(
        segment_based(mine, theirs, background),
        event_based(mine, theirs, background),
        mean_ap(scored, theirs),
    )


def by_recording(
    places: Sequence[Place] | None, answers: Rows, truth: Rows, sure: NDArray[np.floating[Any]]
) -> tuple[Rows, Rows, NDArray[np.floating[Any]]]:
    """Rows [N, T] of windows → recordings [M, S]; as they are where a row is a recording."""
    if places is None:
        return answers, truth, sure
    at, whole_truth = positions(places, truth)
    there = at != IGNORE
    whole, certain = np.full(at.shape, IGNORE, np.int64), np.zeros(at.shape, np.float64)
    whole[there], certain[there] = answers.reshape(-1)[at[there]], sure.reshape(-1)[at[there]]
    return whole, whole_truth, certain


def positions(places: Sequence[Place], truth: Rows) -> tuple[Rows, Rows]:
    """Of every second [M, S] of the recordings: its number among those of the windows, and its truth."""
    from .metrics import joined

    number = np.arange(truth.size).reshape(truth.shape)
    at, whole = joined(places, np.where(truth == IGNORE, IGNORE, number), truth)
    return at, whole


def to_json(scores: FieldScores) -> dict[str, Any]:
    """Plain values; NaN becomes null."""

    def counts(tally: Tally) -> dict[str, float | None]:
        o = tally.overall
        names = ("precision", "recall", "f1", "error_rate")
        plain = {name: number(getattr(o, name)) for name in names}
        rates = ("substitutions", "deletions", "insertions")
        return {**plain, **{name: getattr(o, name) for name in rates}, "macro_f1": number(tally.macro_f1)}

    return {
        "segment_based": counts(scores.segment),
        "event_based": counts(scores.event),
        "mean_ap": {str(tiou): number(value) for tiou, value in scores.mean_ap.items()},
        "average_map": number(scores.average_map),
    }


def number(value: float) -> float | None:
    """For JSON, which knows no NaN."""
    return None if math.isnan(value) else round(float(value), 6)
