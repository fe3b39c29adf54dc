"""Stateful resampling to 16 kHz whose ratio may be nudged while it runs.

soxr's variable-rate mode does the filtering (its `delay()` must not be called in that mode: it
crashes), so a crystal that is 300 ppm off is corrected without a click. This module adds the
bookkeeping: which input sample the next output sample belongs to.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from ...core.messages import SAMPLE_RATE

MAX_NUDGE = 0.01
"""Largest relative change of the ratio that the filter is designed for."""


class DriftResampler:
    """Mono samples at about `rate` Hz in, samples at 16 kHz out.

    `consumed` is the input sample (counted from the first one given) that the next output sample
    belongs to, a real number; `given` counts the input. They differ by what the filter holds back,
    about 12 ms.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.nominal = rate / SAMPLE_RATE
        self._stream = soxr.ResampleStream(
            rate * (1 + MAX_NUDGE), SAMPLE_RATE, 1, dtype="float32", quality="HQ", vr=True
        )
        self._ratio = self.nominal
        self._stream.set_io_ratio(self.nominal, 1.0, 0)
        self.given = 0
        self.consumed = 0.0

    def process(self, samples: NDArray[np.float32], ratio: float | None = None) -> NDArray[np.float32]:
        """Resample the next [n] samples; `ratio` is input samples per output sample from here on."""
        if ratio is not None and abs(ratio - self._ratio) > 1e-9 * self.nominal:
            self._ratio = min(max(ratio, self.nominal * (1 - MAX_NUDGE)), self.nominal * (1 + MAX_NUDGE))
            self._stream.set_io_ratio(self._ratio, 1.0, 0)
        self.given += len(samples)
        out: NDArray[np.float32] = self._stream.resample_chunk(np.ascontiguousarray(samples, np.float32))
        self.consumed += len(out) * self._ratio
        return out

    def flush(self) -> NDArray[np.float32]:
        """What is still inside, as far as it belongs to samples given; the resampler is spent then."""
        wanted = int((self.given - self.consumed) / self._ratio)
        if wanted <= 0:
            return np.zeros(0, np.float32)
        zeros = np.zeros(int(self.given - self.consumed) + self.rate // 10, np.float32)
        out: NDArray[np.float32] = self._stream.resample_chunk(zeros)[:wanted]
        self.consumed += len(out) * self._ratio
        return out
