"""Rates of rare things: exact Poisson intervals for false alarms per hour."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rate:
    """`count` things in `hours`: `per_hour`, and the interval `low`..`high` that 95 % of studies hit."""

    count: int
    hours: float
    low: float
    high: float

    @property
    def per_hour(self) -> float:
        """The plain estimate."""
        return self.count / self.hours


def poisson_rate(count: int, hours: float, level: float = 0.95) -> Rate:
    """Rate with its exact (Garwood, Biometrika 1936) interval.

    Raises:
        ValueError: negative count or no time at all.

    """
    if count < 0 or not hours > 0:
        raise ValueError(f"expected count ≥ 0 and hours > 0, got {count} and {hours}")
    tail = (1 - level) / 2
    low = 0.0 if count == 0 else _solve(lambda mean: 1 - _at_most(count - 1, mean), tail, count)
    high = _solve(lambda mean: 1 - _at_most(count, mean), 1 - tail, count)
    return Rate(count, hours, low / hours, high / hours)


def _at_most(count: int, mean: float) -> float:
    """P(N ≤ count) for a Poisson of this mean."""
    if mean <= 0:
        return 1.0
    k = np.arange(count + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])
    log = k * math.log(mean) - mean - log_factorial
    return float(min(1.0, np.exp(log).sum()))


def _solve(rising: Callable[[float], float], target: float, count: int) -> float:
    """Bisection for the mean at which a rising function reaches `target`."""
    low, high = 0.0, count + 10 * math.sqrt(count + 1) + 10
    for _ in range(80):
        middle = 0.5 * (low + high)
        if rising(middle) < target:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
