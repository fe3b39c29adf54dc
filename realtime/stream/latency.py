"""Latency percentiles of a stream of any length in constant memory."""

from __future__ import annotations

import numpy as np

_STEP = 1.02
"""Width of a bin: percentiles are right to 2 %."""
_LOWEST_MS = 0.01
_BINS = 1_000


class Latencies:
    """A histogram with geometric bins from 10 µs on."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)

    def add(self, ms: float) -> None:
        """One observation."""
        where = np.log(max(ms, _LOWEST_MS) / _LOWEST_MS) / np.log(_STEP)
        self._counts[min(_BINS - 1, int(where))] += 1

    def percentile(self, p: float) -> float:
        """Milliseconds that `p` percent of the observations do not exceed; 0 without observations."""
        total = int(self._counts.sum())
        if not total:
            return 0.0
        where = int(np.searchsorted(np.cumsum(self._counts), max(1, np.ceil(total * p / 100))))
        return float(_LOWEST_MS * _STEP ** (where + 1))

    def summary(self) -> dict[str, float]:
        """p50, p95 and p99; empty without observations."""
        if not self._counts.any():
            return {}
        return {f"p{p}": self.percentile(p) for p in (50, 95, 99)}
