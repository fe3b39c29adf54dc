"""Mean average precision of events at several overlaps, as ActivityNet's and UnAV-100's evaluation has it.

Of each class: all answers of all recordings from the surest down; one is right where, of the true events of
its recording that it overlaps at least by the threshold (tIoU), one is not taken yet, the best first. The
average precision is the area under the envelope of precision over recall; the mean is over the classes that
occur. NaN where none does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from ..spans import Span, overlap

TIOUS: Final = tuple(round(0.1 * k, 1) for k in range(1, 10))
"""0.1, 0.2 … 0.9."""


class Scored(NamedTuple):
    """An event that was told, and how sure."""

    span: Span
    score: float


def mean_ap(
    said: Sequence[Sequence[Scored]], there: Sequence[Sequence[Span]], tious: Sequence[float] = TIOUS
) -> dict[float, float]:
    """TIoU → mean average precision.

    Args:
        said: what was told, recording by recording.
        there: the true events.
        tious: least overlaps.

    """
    occurring = sorted({event.label for events in there for event in events})
    found: dict[float, list[float]] = {tiou: [] for tiou in tious}
    for label in occurring:
        answers = [
            (one.score, number, one.span)
            for number, events in enumerate(said)
            for one in events
            if one.span.label == label
        ]
        answers.sort(key=lambda answer: -answer[0])
        truths = [[event for event in events if event.label == label] for events in there]
        near = [[overlap(span, truth) for truth in truths[number]] for _, number, span in answers]
        order = [sorted(range(len(row)), key=lambda k, row=row: -row[k]) for row in near]  # type: ignore[misc]
        for tiou in tious:
            taken = [[False] * len(events) for events in truths]
            right = np.zeros(len(answers), np.bool_)
            for at, (_, number, _) in enumerate(answers):
                for k in order[at]:
                    if near[at][k] < tiou:
                        break
                    if not taken[number][k]:
                        taken[number][k] = right[at] = True
                        break
            found[tiou].append(average_precision(right, sum(map(len, truths))))
    return {tiou: float(np.mean(values)) if values else math.nan for tiou, values in found.items()}


def average_precision(right: np.ndarray, count: int) -> float:
    """Area under precision's envelope over recall.

    Args:
        right: [N] of the answers, surest first, which are.
        count: how many true events there are, at least 1.

    """
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(np.concatenate([[0], hits])) / count
    return float((envelope * steps).sum())
