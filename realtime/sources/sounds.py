"""Sound of a track of a recording, mono (`sounds`); and any sound at 16 kHz (`Resampler16k`)."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..core.clock import NS_PER_S
from ..core.messages import SAMPLE_RATE, Status
from ..core.states import State
from .detectors import NumberGuard
from .downmix import Downmix
from .steady import Sound, SteadyStamps
from .track import Track
from .units import Units


def sounds(track: Track, zero_s: float, seek: bool) -> Iterator[Sound]:
    """Sound from about `zero_s` on, with times from there (the first may be negative)."""
    zero = Fraction(zero_s).limit_denominator(1_000_000_000)
    times = Units(track.stream.time_base, zero)
    next_ns: int | None = None
    downmix = Downmix(track.channel)
    for frame in track.frames(zero_s if seek else None):
        count, rate, pts = frame.samples, frame.sample_rate, frame.pts
        if not count or not rate:
            continue
        t_ns = (next_ns or 0) if pts is None else times.round_ns(pts)
        length_ns = count * NS_PER_S // rate
        next_ns = t_ns + length_ns
        if next_ns > 0:
            track.account.delivered_ns += min(length_ns, next_ns)
            samples, note = downmix.mono(frame)
            yield Sound(t_ns, rate, samples, note)


class Resampler16k:
    """Sound at any rate to blocks at 16 kHz with their position on the timeline; keeps state between.

    A gap in the presentation times becomes a jump in position; overlapping sound is cut off. Stamps that
    only wobble change nothing (`steady`). Samples that are no numbers become silence first: the filter would
    spread each of them over hundreds.
    """

    def __init__(self) -> None:
        self.guard = NumberGuard()
        self._stamps = SteadyStamps()
        self._told: list[Status] = []
        self._resampler: Any = None
        self._rate = 0
        self._expected_ns = 0
        self._position = 0
        self._floor = 0
        self.cut = 0
        """Samples at 16 kHz that overlapped with what was delivered already, so far."""

    @property
    def lost_s(self) -> float:
        """Holes within the sound so far."""
        return self._stamps.hole_ns / NS_PER_S

    def push(self, sound: Sound) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Blocks (position, samples) that are complete now."""
        if sound.note is not None:
            self._told.append(Status("sound", "running", sound.note, max(0, sound.t_ns), "warning"))
        for placed in self._stamps.push(sound):
            yield from self._place(placed)

    def flush(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """What the resampler still holds; afterwards a new run may begin."""
        for placed in self._stamps.finish():
            yield from self._place(placed)
        yield from self._drain()

    def _place(self, sound: Sound) -> Iterator[tuple[int, NDArray[np.float32]]]:
        samples, line = self.guard.clean(sound.samples)
        if line is not None:
            state: State = "damaged" if self.guard.damaged else "running"
            self._told.append(Status("sound", state, line, max(0, sound.t_ns)))
        shifted = sound.t_ns != self._expected_ns
        if self._resampler is None or sound.rate != self._rate or shifted:
            yield from self._drain()
            self._begin(sound)
        self._expected_ns += sound.length_ns
        yield from self._emit(self._resample(samples, last=False))

    def _drain(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        if self._resampler is not None:
            yield from self._emit(self._resample(np.zeros(0, np.float32), last=True))
            self._resampler = None

    def told(self) -> list[Status]:
        """What was to be said about the sound since the last call; instants as in the sound."""
        told, self._told = self._told, []
        return told

    def _begin(self, sound: Sound) -> None:
        import soxr

        self._rate = sound.rate
        self._resampler = (
            "copy"
            if sound.rate == SAMPLE_RATE
            else soxr.ResampleStream(sound.rate, SAMPLE_RATE, 1, "float32")
        )
        self._expected_ns = sound.t_ns
        self._position = round(sound.t_ns * SAMPLE_RATE / NS_PER_S)

    def _resample(self, samples: NDArray[np.float32], last: bool) -> NDArray[np.float32]:
        if self._resampler == "copy":
            return samples
        return cast("NDArray[np.float32]", self._resampler.resample_chunk(samples, last=last))

    def _emit(self, samples: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        start, self._position = self._position, self._position + len(samples)
        cut = max(0, self._floor - start)
        # What lies before the beginning was never asked for.
        self.cut += min(cut, len(samples)) - min(max(0, -start), len(samples))
        if cut < len(samples):
            self._floor = self._position
            yield start + cut, samples[cut:]
