"""A robust, continuous fit of a sample counter against the monotonic clock.

Model: sample n of a piece p was available at  t(n) = offset[p] + (1 + drift) · n / rate.

A *piece* is a run without lost samples; all pieces share the crystal's drift, each has its own offset,
so an overflow of unknown length neither moves what comes later nor spoils the rate. Within a second
the median of the arrivals is taken (callback jitter, outliers); over the seconds of the window a
weighted line with Huber weights and a prior on the drift (crystals are within a few hundred ppm).
Memory and cost are constant: at most `window_bins` medians and one second of raw arrivals.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_HUBER = 1.5
_ITERATIONS = 4


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How the clock is fitted.

    `bin_s`: seconds of arrivals that become one median. `window_bins`: medians kept (4 minutes: long
    enough for 1 ppm, short enough to follow a crystal that warms up). `prior_ppm`: spread of the drift
    expected before anything was measured. `step_ms`: smallest shift of all arrivals over three bins that
    counts as samples lost without notice.
    """

    bin_s: float = 1.0
    window_bins: int = 240
    prior_ppm: float = 150.0
    step_ms: float = 8.0
    max_per_bin: int = 256


@dataclass(frozen=True, slots=True)
class _Bin:
    x_s: float
    y_s: float
    count: int
    piece: int


class ClockFit:
    """Fits drift and offset of one device; feed it with `observe`, ask with `time_s` and `rate_hz`.

    Args:
        rate: nominal samples per second.
        options: see `FitOptions`.
        drift_ppm: drift known from before the device was reopened, the centre of the prior.
        known: whether `drift_ppm` was measured (the prior is then ten times tighter).

    """

    def __init__(
        self, rate: int, options: FitOptions | None = None, *, drift_ppm: float = 0.0, known: bool = False
    ) -> None:
        self.rate = rate
        self.options = options or FitOptions()
        self._prior = drift_ppm * 1e-6
        self._prior_sigma = self.options.prior_ppm * 1e-6 * (0.1 if known else 1.0)
        self._bins: deque[_Bin] = deque(maxlen=self.options.window_bins)
        self._open_x: list[float] = []
        self._open_y: list[float] = []
        self._open_start = 0.0
        self._origin_ns: int | None = None
        self._piece = 0
        self._drift = self._prior
        self._offset = 0.0
        self._fitted = False
        self._spread_s = 0.0
        self._recent: deque[float] = deque(maxlen=64)
        self.steps = 0

    @property
    def drift_ppm(self) -> float:
        """Rate of the device's clock against the machine's: positive when the device is *slow*."""
        return self._drift * 1e6

    @property
    def rate_hz(self) -> float:
        """Samples per second of the machine's clock."""
        return self.rate / (1.0 + self._drift)

    @property
    def jitter_ms(self) -> float:
        """Spread of the latest arrivals around the fit (1.48 × median absolute deviation)."""
        if len(self._recent) < 4:
            return 0.0
        recent = np.asarray(self._recent)
        return float(1.4826e3 * np.median(np.abs(recent - np.median(recent))))

    @property
    def known_s(self) -> float:
        """How many seconds of arrivals the fit rests on."""
        return len(self._bins) * self.options.bin_s

    @property
    def ready(self) -> bool:
        """Whether `time_ns` can be asked."""
        return self._fitted

    def time_ns(self, sample: float) -> int:
        """Instant at which sample number `sample` was available, on the machine's monotonic axis."""
        assert self._origin_ns is not None, "nothing observed yet"
        x = sample / self.rate
        return self._origin_ns + round((x + self._offset + self._drift * x) * 1e9)

    def new_piece(self) -> None:
        """Samples were lost, nobody knows how many: what follows has an offset of its own."""
        self._close_bin()
        self._piece += 1
        self._fitted = False

    def observe(self, sample: float, t_ns: int) -> bool:
        """Sample number `sample` arrived at `t_ns`.

        Returns True when this arrival proves that samples were lost without notice: the offset has
        then already moved, and the caller should place anew.
        """
        if self._origin_ns is None:
            self._origin_ns = t_ns - round(sample / self.rate * 1e9)
        x = sample / self.rate
        y = (t_ns - self._origin_ns) / 1e9 - x
        if not self._open_x:
            self._open_start = x
        if len(self._open_x) < self.options.max_per_bin:
            self._open_x.append(x)
            self._open_y.append(y)
        if not self._fitted:
            self._offset = float(np.median(self._open_y)) - self._drift * float(np.median(self._open_x))
            self._fitted = len(self._open_x) >= 1
        self._recent.append(y - self._offset - self._drift * x)
        if x - self._open_start < self.options.bin_s:
            return False
        self._close_bin()
        stepped = self._detect_step()
        self._solve()
        return stepped

    def settle(self) -> None:
        """Fit now, without waiting for the second to fill (after a start or a gap)."""
        if self._open_x:
            partial = self._median_bin()
            self._solve(partial)

    def _median_bin(self) -> _Bin:
        y = float(np.median(np.asarray(self._open_y) - self._drift * np.asarray(self._open_x)))
        x = float(np.mean(self._open_x))
        return _Bin(x, y + self._drift * x, len(self._open_x), self._piece)

    def _close_bin(self) -> None:
        if self._open_x:
            self._bins.append(self._median_bin())
            self._open_x.clear()
            self._open_y.clear()

    def _detect_step(self) -> bool:
        """Three medians in a row, all on one side of the line and close together, are a step."""
        mine = [b for b in list(self._bins)[-8:] if b.piece == self._piece]
        if len(mine) < 6:
            return False
        residuals = [b.y_s - self._offset - self._drift * b.x_s for b in mine]
        last, before = residuals[-3:], residuals[:-3]
        limit = max(self.options.step_ms * 1e-3, 4.0 * self._spread_s)
        shift = float(np.median(last))
        if min(last) < limit or max(last) - min(last) > 0.6 * shift or max(before) > 0.5 * shift:
            return False
        self.steps += 1
        self._piece += 1
        for k in range(1, 4):
            b = self._bins[-k]
            self._bins[-k] = _Bin(b.x_s, b.y_s, b.count, self._piece)
        return True

    def _solve(self, partial: _Bin | None = None) -> None:
        bins = [*self._bins, partial] if partial is not None else list(self._bins)
        if not bins:
            return
        x = np.array([b.x_s for b in bins])
        y = np.array([b.y_s for b in bins])
        piece = np.array([b.piece for b in bins]) - bins[0].piece
        count = np.array([b.count for b in bins], dtype=np.float64)
        base = np.minimum(1.0, count / max(1.0, float(np.median(count))))
        weight = base
        drift, offsets = self._drift, np.zeros(1)
        for _ in range(_ITERATIONS):
            drift, offsets = self._line(x, y, piece, weight)
            residual = y - offsets[piece] - drift * x
            scale = max(1e-3, 1.4826 * float(np.median(np.abs(residual))))
            weight = base * np.minimum(1.0, _HUBER * scale / np.maximum(np.abs(residual), 1e-12))
            self._spread_s = scale
        self._drift = drift
        if bins[-1].piece == self._piece:
            self._offset = float(offsets[piece[-1]])
            self._fitted = True

    def _line(
        self, x: NDArray[np.float64], y: NDArray[np.float64], piece: NDArray[np.int64], w: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]:
        """Weighted least squares with one slope and an offset for each piece."""
        total = np.bincount(piece, w)
        filled = np.where(total > 0, total, 1.0)
        mean_x = np.bincount(piece, w * x) / filled
        mean_y = np.bincount(piece, w * y) / filled
        dx, dy = x - mean_x[piece], y - mean_y[piece]
        noise_s = max(3e-3, self._spread_s)
        prior = (noise_s / self._prior_sigma) ** 2
        slope = float((np.sum(w * dx * dy) + prior * self._prior) / (np.sum(w * dx * dx) + prior))
        return slope, mean_y - slope * mean_x
