"""Events as spans of time, and which of two sets of them are the same events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Span(NamedTuple):
    """One event: class index and its time in seconds, the end excluded."""

    label: int
    start_s: float
    end_s: float


def of_labels(labels: ArrayLike, background: int, segment_s: float = 1.0) -> list[Span]:
    """Runs of equal labels [S] other than *background*; a negative one (unknown) is in none of them."""
    y = np.asarray(labels, np.int64)
    edges = np.flatnonzero(np.diff(y)) + 1
    starts, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(y)]])
    return [
        Span(int(y[a]), float(a * segment_s), float(b * segment_s))
        for a, b in zip(starts, ends, strict=True)
        if b > a and 0 <= y[a] != background
    ]


def overlap(a: Span, b: Span) -> float:
    """Temporal intersection over union (tIoU)."""
    shared = min(a.end_s, b.end_s) - max(a.start_s, b.start_s)
    if shared <= 0:
        return 0.0
    return shared / (max(a.end_s, b.end_s) - min(a.start_s, b.start_s))


def pairs(decoded: Sequence[Span], truth: Sequence[Span], tiou: float) -> Iterator[tuple[int, int]]:
    """Decoded and true events that are the same: of one class, best overlap first, each taken once.

    Args:
        decoded: what was said.
        truth: what happened.
        tiou: least temporal intersection over union of a pair.

    Yields:
        Indices into `decoded` and `truth`; of equal overlaps the earlier ones go first.

    """
    candidates = sorted(
        (-o, d, t)
        for d, x in enumerate(decoded)
        for t, y in enumerate(truth)
        if x.label == y.label and (o := overlap(x, y)) >= tiou
    )
    used_d: set[int] = set()
    used_t: set[int] = set()
    for _, d, t in candidates:
        if d not in used_d and t not in used_t:
            used_d.add(d)
            used_t.add(t)
            yield d, t
