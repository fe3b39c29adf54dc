"""How high a threshold must be for what was hardly ever seen: a tail, continued beyond what was measured."""

from __future__ import annotations

from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

_LOW: Final = 0.9
_HIGH: Final = 0.985


def normal_tail(
    values: NDArray[np.float64], rate: float, through: tuple[float, float] = (_LOW, _HIGH)
) -> float:
    """The level that values like these exceed with probability `rate`.

    The tail is that of a normal distribution through the 90th and the 98.5th percentile: neither the bulk
    below nor the odd one far out decides. `tests/bench/taught.py` measures how well that keeps a budget.

    Args:
        values: [N], N ≥ 1.
        rate: wanted, 0 < rate < 1.
        through: other shares than 0.9 and 0.985 that lie below two points of it.

    """
    normal = NormalDist()
    low, high = np.quantile(values, through)
    at, to = (normal.inv_cdf(share) for share in through)
    wanted = normal.inv_cdf(1 - min(rate, 1 - through[0]))
    return float(low + (wanted - at) * (high - low) / (to - at))
