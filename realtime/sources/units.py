"""Units of a track's time base to nanoseconds, in whole numbers.

A `Fraction` made for every packet and picture costs more than all else that is done with its time.
"""

from __future__ import annotations

from fractions import Fraction

from ..core.clock import NS_PER_S


class Units:
    """Times of one track, in ns since `zero`; exactly what fractions would give.

    Args:
        base: seconds of one unit.
        zero: the instant, in seconds of the file's own time, that becomes 0.

    """

    __slots__ = ("_less", "_over", "_times")

    def __init__(self, base: Fraction, zero: Fraction | int = 0) -> None:
        self._times = base.numerator * zero.denominator * NS_PER_S
        self._less = zero.numerator * base.denominator * NS_PER_S
        self._over = base.denominator * zero.denominator

    def round_ns(self, units: int) -> int:
        """The instant `units`, to the nearest ns; halves to the even one, as `round` does."""
        whole, rest = divmod(units * self._times - self._less, self._over)
        twice = rest + rest
        if twice < self._over or (twice == self._over and not whole & 1):
            return whole
        return whole + 1

    def floor_ns(self, units: int) -> int:
        """The last whole ns before the instant `units`."""
        return (units * self._times - self._less) // self._over
