"""Small detectors on what a device delivers; all pure.

Stale backlog, a frozen picture, digital silence, sound that clips, samples that are no numbers.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from ..core.clock import NS_PER_S


class BacklogFilter:
    """Tells pictures that waited in a queue from fresh ones, by how quickly they come.

    After a pause a driver or the network hands over what piled up meanwhile, as fast as it can be read;
    the stamps of such pictures would be lies. They are skipped until the pace is natural again.
    """

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._usual_ns = 0.0
        self._draining_until_ns = 0

    def fresh(self, t_ns: int) -> bool:
        """Whether the picture grabbed at `t_ns` may be believed."""
        last, self._last_ns = self._last_ns, t_ns
        if last is None:
            return True
        interval = t_ns - last
        if self._usual_ns and interval > max(4 * self._usual_ns, 250_000_000):
            self._draining_until_ns = t_ns + 5 * NS_PER_S
            return False  # the first one after a pause is the oldest of the queue
        if t_ns < self._draining_until_ns:
            if interval < 0.4 * self._usual_ns:
                return False
            self._draining_until_ns = 0
            return True
        self._usual_ns = interval if not self._usual_ns else 0.9 * self._usual_ns + 0.1 * interval
        return True


class FrozenDetector:
    """Says so when the same picture comes again and again, and when it moves again."""

    def __init__(self, after_s: float) -> None:
        self.after_ns = round(after_s * NS_PER_S)
        self._mark: int | None = None
        self._since_ns = 0
        self._said = False

    def look(self, t_ns: int, image: NDArray[np.uint8]) -> str | None:
        """A line when the picture has frozen or moves again; None otherwise.

        A living sensor has noise: even a still scene never gives the same bytes twice.
        """
        mark = zlib.crc32(image[::8, ::8].tobytes())
        if mark != self._mark:
            self._mark, self._since_ns = mark, t_ns
            if self._said:
                self._said = False
                return "the picture moves again"
            return None
        if not self._said and t_ns - self._since_ns > self.after_ns:
            self._said = True
            return (
                f"the picture has not changed at all for {self.after_ns / NS_PER_S:.0f} s: "
                "frozen camera or covered lens?"
            )
        return None


class SilenceDetector:
    """Says so when only digital zeros come, and when sound comes back."""

    def __init__(self, rate: int, after_s: float) -> None:
        self._limit = round(rate * after_s)
        self._after_s = after_s
        self._zeros = 0
        self._said = False

    def look(self, samples: NDArray[np.float32]) -> str | None:
        """A line when zeros have gone on for too long or have ended; None otherwise."""
        if not samples.any():
            self._zeros += len(samples)
            if not self._said and self._zeros >= self._limit:
                self._said = True
                return (
                    f"only digital zeros for {self._after_s:g} s: muted, switched off, "
                    "or the monitor of a silent output?"
                )
            return None
        self._zeros = 0
        if self._said:
            self._said = False
            return "sound again"
        return None


class ClippingDetector:
    """Says so when the sound is driven against full scale again and again, and when it no longer is.

    A door that slams clips once; a microphone with too much gain clips in most seconds.
    """

    LIMIT = 0.999
    _SECONDS = 10
    _CLIPPED = 6

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._length = self._peaks = 0
        self._recent: list[bool] = []
        self._said = False

    def look(self, samples: NDArray[np.float32]) -> str | None:
        """A line when six of the last ten seconds clipped, or none of them any more; None otherwise."""
        self._length += len(samples)
        self._peaks += int(np.count_nonzero(np.abs(samples) >= self.LIMIT))
        if self._length < self._rate:
            return None
        # One sample at full scale is a loud sound's peak; a run of them is a flattened top.
        self._recent = [*self._recent[-self._SECONDS + 1 :], self._peaks > 4]
        self._length = self._peaks = 0
        if not self._said and sum(self._recent) >= self._CLIPPED:
            self._said = True
            return "the sound clips in most seconds: turn the microphone's gain down"
        if self._said and not any(self._recent):
            self._said = False
            return "the sound no longer clips"
        return None


class NumberGuard:
    """Puts silence in place of samples that are NaN or infinite, and says so.

    One of them would spread through resampling and the spectrum to a whole second, and through the
    window's attention to ten.
    """

    def __init__(self) -> None:
        self.replaced = 0
        """Samples replaced so far."""
        self.damaged = False
        """Whether the newest samples were."""

    def clean(self, samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], str | None]:
        """The samples, finite; and a line when damage begins or has ended."""
        finite = np.isfinite(samples)
        if finite.all():
            if self.damaged:
                self.damaged = False
                return samples, f"the sound is whole again ({self.replaced} samples were no numbers)"
            return samples, None
        self.replaced += int(samples.size - np.count_nonzero(finite))
        line = None if self.damaged else "samples that are no numbers (NaN or infinite) are taken as silence"
        self.damaged = True
        return np.where(finite, samples, np.float32(0.0)).astype(np.float32), line
