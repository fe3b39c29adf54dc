"""What is measured on per-second labels. Plain NumPy on class indices; `IGNORE`d seconds never count.

Accuracy (13) is what the field reports: the share of seconds whose label is right. It flatters: on AVE's
test split a perfect *video* classifier that never says background scores 82.2 %. Hence the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..probabilities import BINS, reliability
from ..spans import of_labels, pairs
from .data import IGNORE, Place, Rows, video_targets

TIOUS: Final = (0.3, 0.5, 0.7)


def accuracy(predicted: Rows, target: Rows) -> float:
    """Eq. (13): share of seconds named right; [N, T] each. NaN where there are none."""
    valid = target != IGNORE
    return float((predicted == target)[valid].mean()) if valid.any() else float("nan")


def confusion(predicted: Rows, target: Rows, classes: int) -> NDArray[np.int64]:
    """[C, C] counts; rows are the truth, columns the answer."""
    valid = target != IGNORE
    flat = target[valid] * classes + predicted[valid]
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes)


class ClassScore(NamedTuple):
    """Of one class: precision, recall, F1 and how many seconds carry it. NaN where undefined."""

    precision: float
    recall: float
    f1: float
    support: int


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def class_scores(matrix: NDArray[np.int64]) -> list[ClassScore]:
    """Per class, from the confusion matrix."""
    scores = []
    for k in range(len(matrix)):
        hit, said, true = int(matrix[k, k]), int(matrix[:, k].sum()), int(matrix[k].sum())
        scores.append(ClassScore(_ratio(hit, said), _ratio(hit, true), _ratio(2 * hit, said + true), true))
    return scores


class EventScore(NamedTuple):
    """Precision, recall and F1 of whole events."""

    precision: float
    recall: float
    f1: float


def event_scores(predicted: Rows, target: Rows, background: int, threshold: float) -> EventScore:
    """Events found, counted over all videos. A second that is `IGNORE`d ends an event.

    An answer is right where its class is that of a true event not yet taken and their tIoU reaches the
    threshold; pairs are taken from the best overlap down.
    """
    hits = said = true = 0
    for answer, truth in zip(predicted, target, strict=True):
        valid = truth != IGNORE
        mine, theirs = (of_labels(np.where(valid, row, background), background) for row in (answer, truth))
        said += len(mine)
        true += len(theirs)
        hits += len(list(pairs(mine, theirs, threshold)))
    return EventScore(_ratio(hits, said), _ratio(hits, true), _ratio(2 * hits, said + true))


def calibration_error(probabilities: NDArray[np.floating], target: Rows, bins: int = BINS) -> float:
    """Expected calibration error of the most probable class; see `probabilities.reliability`.

    Args:
        probabilities: [N, T, C].
        target: [N, T].
        bins: how many.

    """
    valid = target != IGNORE
    p = probabilities[valid]
    return reliability(p.max(-1), p.argmax(-1) == target[valid], bins).error


def video_oracle(target: Rows, background: int) -> float:
    """Accuracy of a perfect video classifier that says the video's own event on every second."""
    best = video_targets(target, background)
    return accuracy(np.broadcast_to(best[:, None], target.shape), target)


@dataclass(frozen=True)
class Metrics:
    """All of the above for one set of answers."""

    accuracy: float
    event_accuracy: float
    """Accuracy over the seconds that carry an event."""
    background_recall: float
    macro_f1: float
    """Mean F1 over classes that occur."""
    event_f1: dict[str, EventScore]
    """By tIoU, as "0.5"."""
    calibration_error: float
    oracle: float
    classes: list[ClassScore]
    confusion: NDArray[np.int64]
    seconds: int
    videos: int


def joined(places: Sequence[Place], *tables: Rows) -> list[Rows]:
    """Rows [N, T] of recordings → recordings [M, S], in order of time; `IGNORE` where there is no row."""
    order = dict.fromkeys(place.recording for place in places)
    number = {name: k for k, name in enumerate(order)}
    width = max(place.first for place in places) + tables[0].shape[1]
    result = []
    for rows in tables:
        whole = np.full((len(order), width), IGNORE, np.int64)
        for place, row in zip(places, rows, strict=True):
            there = row != IGNORE
            whole[number[place.recording], place.first : place.first + len(row)][there] = row[there]
        result.append(whole)
    return result


def measure(
    probabilities: NDArray[np.floating], target: Rows, places: Sequence[Place] | None = None
) -> Metrics:
    """Everything at once.

    Args:
        probabilities: [N, T, C], background last.
        target: [N, T].
        places: of the N rows; events and videos are counted in whole recordings. None: a row is a video.

    """
    count = probabilities.shape[-1]
    background = count - 1
    predicted = probabilities.argmax(-1)
    matrix = confusion(predicted, target, count)
    scores = class_scores(matrix)
    f1 = [s.f1 for s in scores if s.support]
    event = np.where(target == background, IGNORE, target)
    answers, truth = (predicted, target) if places is None else joined(places, predicted, target)
    return Metrics(
        accuracy=accuracy(predicted, target),
        event_accuracy=accuracy(predicted, event),
        background_recall=scores[background].recall,
        macro_f1=float(np.mean(f1)) if f1 else float("nan"),
        event_f1={str(t): event_scores(answers, truth, background, t) for t in TIOUS},
        calibration_error=calibration_error(probabilities, target),
        oracle=video_oracle(truth, background),
        classes=scores,
        confusion=matrix,
        seconds=int((target != IGNORE).sum()),
        videos=len(truth),
    )
