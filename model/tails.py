"""How high a threshold must be for what was hardly ever seen: a tail, continued beyond what was measured."""

from __future__ import annotations

from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

_LOW: Final = 0.9
_HIGH: Final = 0.985


def normal_tail(values: NDArray[np.float64], rate: float) -> float:
    """The level that values like these exceed with probability `rate`.

    The tail is that of a normal distribution through the 90th and the 98.5th percentile: neither the bulk
    below nor the odd one far out decides. `tests/bench/taught.py` measures how well that keeps a budget.

    Args:
        values: [N], N ≥ 1.
        rate: wanted, 0 < rate < 1.

    """
    normal = NormalDist()
    low, high = np.quantile(values, [_LOW, _HIGH])
    at, to = normal.inv_cdf(_LOW), normal.inv_cdf(_HIGH)
    wanted = normal.inv_cdf(1 - min(rate, 1 - _LOW))
    return float(low + (wanted - at) * (high - low) / (to - at))
