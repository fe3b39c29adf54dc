"""Up to ten looks at one second become one posterior.

Each hop the network looks at a window, and so at every second in it again, each time with one more
second of future. The looks share their features, so they are no independent witnesses: their weights
are normalised (the fused answer is a mean, never sharper for having been asked often).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .config import DecoderConfig

_FLOOR = 1e-6
# One look may not veto a class for good: log 0 would.
_TINY = 1e-30


def context_weight(past: int, future: int, config: DecoderConfig) -> float:
    """Weight in (0, 1] of a look that had `past` valid seconds before and `future` after the second."""

    def ramp(seconds: int, full: int) -> float:
        return config.context_floor + (1.0 - config.context_floor) * min(seconds, full) / full

    return ramp(past, config.past_full) * ramp(future, config.future_full)


@dataclass(frozen=True, slots=True)
class Fused:
    """The posterior of one second, [num_classes] summing to 1, and how many looks it rests on.

    Without a look (`looks` 0) it is uniform: nothing is known.
    """

    probabilities: NDArray[np.float64]
    looks: int


def decisive(probabilities: NDArray[np.float64], config: DecoderConfig) -> NDArray[np.float64]:
    """A posterior [num_classes] that was stated at a temperature, as it is without: p^T, summing to as much.

    The logarithmic pool is linear in the logits, so this undoes the temperature of the looks exactly, but for
    what the pool's floor cuts off. Taught classes, judged each by itself, stay as they are.
    """
    if config.stated_at == 1:
        return probabilities
    taught = slice(config.background - config.taught, config.background)
    result = np.maximum(probabilities, 0.0) ** config.stated_at
    result[taught] = 0.0
    left = probabilities.sum() - probabilities[taught].sum()
    result *= left / max(float(result.sum()), _TINY)
    result[taught] = probabilities[taught]
    return result


class LookAccumulator:
    """Accumulates weighted looks per second; holds only seconds that were not yet taken out."""

    def __init__(self, config: DecoderConfig) -> None:
        self._config = config
        self._sums: dict[int, tuple[NDArray[np.float64], float, int]] = {}
        self._seen: dict[int, NDArray[np.bool_]] = {}
        """Taught classes that some look at a second saw."""
        self._nothing = Fused(np.full(config.num_classes, 1.0 / config.num_classes), 0)

    def __len__(self) -> int:
        return len(self._sums)

    def add(self, index: int, probabilities: NDArray[np.float32], weight: float) -> None:
        """Add one look, `probabilities` [num_classes], at second `index`."""
        p = np.asarray(probabilities, dtype=np.float64)
        value = np.log(np.maximum(p, _FLOOR)) if self._config.pool == "log" else p
        total, weights, looks = self._sums.get(index, (0.0, 0.0, 0))
        self._sums[index] = (total + weight * value, weights + weight, looks + 1)
        if taught := self._config.taught:
            seen = p[-taught - 1 : -1] > 0
            self._seen[index] = self._seen[index] | seen if index in self._seen else seen

    def first(self) -> int | None:
        """The oldest second with a look."""
        return min(self._sums, default=None)

    def fused(self, index: int) -> Fused:
        """The posterior of second `index` from the looks so far."""
        if index not in self._sums:
            return self._nothing
        total, weights, looks = self._sums[index]
        mean = total / weights
        if self._config.pool == "log":
            mean = np.exp(mean - mean.max())
        if taught := self._config.taught:
            mean[-taught - 1 : -1] *= self._seen[index]
            # Added up apart, so that a class that nobody saw changes no digit of the others.
            others = np.concatenate([mean[: -taught - 1], mean[-1:]])
            return Fused(mean / (others.sum() + mean[-taught - 1 : -1].sum()), looks)
        return Fused(mean / mean.sum(), looks)

    def take(self, index: int) -> Fused:
        """As `fused`, and forget the second."""
        answer = self.fused(index)
        self._sums.pop(index, None)
        self._seen.pop(index, None)
        return answer
