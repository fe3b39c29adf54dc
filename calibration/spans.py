"""How well decoded events meet the true ones: hits, false alarms, misses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model.spans import Span, pairs

__all__ = ["Span", "Tally", "compare"]


@dataclass(frozen=True)
class Tally:
    """Hits, false alarms and misses, per event class [C − 1]."""

    hits: NDArray[np.int64]
    false: NDArray[np.int64]
    missed: NDArray[np.int64]

    @classmethod
    def zero(cls, classes: int) -> Tally:
        """Nothing yet."""
        return cls(*(np.zeros(classes, np.int64) for _ in range(3)))

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.hits + other.hits, self.false + other.false, self.missed + other.missed)

    @property
    def f1(self) -> float:
        """Of all classes together (micro); 0 where there is nothing."""
        return _f1(int(self.hits.sum()), int(self.false.sum()), int(self.missed.sum()))

    @property
    def precision(self) -> float:
        """Share of decoded events that are true; NaN without any."""
        decoded = int(self.hits.sum() + self.false.sum())
        return float(self.hits.sum()) / decoded if decoded else float("nan")

    @property
    def recall(self) -> float:
        """Share of true events that were found; NaN without any."""
        true = int(self.hits.sum() + self.missed.sum())
        return float(self.hits.sum()) / true if true else float("nan")

    def f1_of(self, label: int) -> float:
        """Of one class."""
        return _f1(int(self.hits[label]), int(self.false[label]), int(self.missed[label]))


def _f1(hits: int, false: int, missed: int) -> float:
    total = 2 * hits + false + missed
    return 2 * hits / total if total else 0.0


def compare(decoded: Iterable[Span], truth: Sequence[Span], classes: int, tiou: float = 0.5) -> Tally:
    """Pair decoded with true events of the same class, best overlap first, one to one.

    Args:
        decoded: what the decoder said.
        truth: what happened.
        classes: number of event classes.
        tiou: least temporal intersection over union of a hit.

    """
    tally = Tally.zero(classes)
    said = list(decoded)
    same = list(pairs(said, truth, tiou))
    used_d, used_t = {d for d, _ in same}, {t for _, t in same}
    for d in used_d:
        tally.hits[said[d].label] += 1
    for d, x in enumerate(said):
        if d not in used_d:
            tally.false[x.label] += 1
    for t, y in enumerate(truth):
        if t not in used_t:
            tally.missed[y.label] += 1
    return tally
