"""Sound onto the common timeline: blocks with a sample counter in, 16 kHz at exact positions out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.messages import SAMPLE_RATE, AudioBlock, TimedAudio
from .clockfit import ClockFit, FitOptions
from .resampler import DriftResampler

_SLEW_S = 5.0  # time constant with which a misplacement is resampled away
_SLEW_LIMIT = 1e-3  # 1000 ppm: 1.7 cents, below what an ear notices
_FAR_S, _SLEW_LIMIT_FAR = 0.04, 5e-3  # beyond a frame being on time matters more than 9 cents
_GLIDE_S = 0.5  # time constant of changes of the ratio
_SETTLE_SPREAD_NS = 60_000_000  # arrivals later than this above the earliest are backlog, not jitter


@dataclass(frozen=True, slots=True)
class SkewReport:
    """What is known of the two clocks now; see the package docstring for what skew means.

    `skew_ms`: camera time minus microphone time left on the timeline, as far as clocks can tell.
    `drift_ppm`: the microphone's clock against the machine's, positive when slow. `corrected_ms`: how
    far apart the two would be by now had samples only been counted at the nominal rate. `jitter_ms`:
    spread of the callbacks. `gaps`, `lost_ms`: places where samples were lost, and how much.
    """

    skew_ms: float
    drift_ppm: float
    corrected_ms: float
    jitter_ms: float
    gaps: int
    lost_ms: float


_PAUSE_NS = 300_000_000  # a callback this late may hide lost sound


class AudioTimeline:
    """Places one microphone's blocks; a pure step, no thread and no clock of its own.

    After a start, a reopening or an overflow the first `settle_s` of sound are held back until the
    arrival times agree on where they belong; then everything held is delivered at once. Positions of
    what is delivered never overlap; lost sound is a jump of the position.

    Args:
        start_ns: the instant on the machine's axis that becomes position 0.
        microphone_delay_ns: known delay of the sound before it was available; it is moved earlier by it.
        settle_s: how long to listen to the arrivals before sound is placed; 0 where the time stamps
            carry no jitter (presentation times).
        options: of the clock fit.

    """

    def __init__(
        self,
        start_ns: int,
        microphone_delay_ns: int = 0,
        settle_s: float = 0.3,
        options: FitOptions | None = None,
    ) -> None:
        self._start_ns = start_ns
        self.microphone_delay_ns = microphone_delay_ns
        self._settle_ns = round(settle_s * 1e9)
        self._options = options
        self._epoch = -1
        self._fit: ClockFit | None = None
        self._resampler: DriftResampler | None = None
        self._ratio: float | None = None
        self._resampler_base = 0  # device sample number of the resampler's first input
        self._next = 0  # next free position
        self._expected = 0  # device sample number that should come next
        self._held: list[AudioBlock] | None = None
        self._doubt = False  # holding because of a pause: sound may have been lost in it, or not
        self._last_t_ns = 0
        self._anchored = False
        self._nominal_base: tuple[int, float] | None = None
        self._error_s = 0.0
        self._gaps = 0
        self._lost_s = 0.0

    @property
    def report(self) -> SkewReport:
        """The state of the clocks; cheap."""
        fit = self._fit
        if fit is None or not fit.ready:
            return SkewReport(0.0, 0.0, 0.0, 0.0, self._gaps, 1e3 * self._lost_s)
        corrected = 0.0
        if self._nominal_base is not None:
            sample, t_s = self._nominal_base
            counted = t_s + (self._expected - sample) / fit.rate
            corrected = (fit.time_ns(self._expected) / 1e9 - counted) * 1e3
        return SkewReport(
            -1e3 * self._error_s, fit.drift_ppm, corrected, fit.jitter_ms, self._gaps, 1e3 * self._lost_s
        )

    def push(self, block: AudioBlock) -> list[TimedAudio]:
        """Take a block; return what can be placed now (often one block, sometimes none or many)."""
        out: list[TimedAudio] = []
        n = len(block.samples)
        if n == 0:
            return out
        if block.epoch != self._epoch:
            out += self.finish()
            self._begin_epoch(block)
        if block.first_sample != self._expected:
            out += self._flush()  # lost between callback and here: the counter says exactly how much
        if block.overflow and self._held:
            out += self._release()
        if block.overflow and self._held is None:
            out += self._flush()
            assert self._fit is not None
            self._fit.new_piece()
            self._held = [] if self._settle_ns > 0 else None
        late_ns = block.t_ns - self._last_t_ns - round(n / block.rate * 1e9)
        if self._held is None and late_ns > _PAUSE_NS and self._settle_ns > 0 and self._anchored:
            self._held, self._doubt = [], True
        self._expected = block.first_sample + n
        self._last_t_ns = block.t_ns
        if self._held is not None:
            return out + self._hold(block)
        return out + self._place(block, observe=True)

    def finish(self) -> list[TimedAudio]:
        """The device is gone or the stream ends: everything held or inside the filter."""
        out = self._release() if self._held else []
        return out + self._flush()

    def _begin_epoch(self, block: AudioBlock) -> None:
        known = self._fit is not None and self._fit.known_s > 20 and self._fit.rate == block.rate
        drift = self._fit.drift_ppm if known and self._fit is not None else 0.0
        self._fit = ClockFit(block.rate, self._options, drift_ppm=drift, known=known)
        self._epoch = block.epoch
        self._expected = block.first_sample
        self._last_t_ns = block.t_ns
        self._anchored = False
        self._nominal_base = None
        self._held = [] if self._settle_ns > 0 else None
        self._doubt = False

    def _hold(self, block: AudioBlock) -> list[TimedAudio]:
        assert self._held is not None
        self._held.append(block)
        span_ns = block.t_ns - self._held[0].t_ns
        if span_ns < self._settle_ns:
            return []
        fresh = self._fresh(self._held)
        enough = len(fresh) >= 10 and fresh[-1].t_ns - fresh[0].t_ns >= self._settle_ns // 2
        if enough or span_ns >= 4 * self._settle_ns:
            return self._release()
        return []

    @staticmethod
    def _fresh(held: list[AudioBlock]) -> list[AudioBlock]:
        """Those that did not wait in a backlog: close to the earliest arrival, relative to the counter."""
        lag = [b.t_ns - (b.first_sample + len(b.samples)) * 1_000_000_000 // b.rate for b in held]
        least = min(lag)
        return [b for b, v in zip(held, lag, strict=True) if v - least <= _SETTLE_SPREAD_NS]

    def _release(self) -> list[TimedAudio]:
        """Place what was held, now that the arrivals show where it belongs."""
        assert self._held is not None
        assert self._fit is not None
        held, self._held = self._held, None
        doubt, self._doubt = self._doubt, False
        fresh = self._fresh(held)
        out: list[TimedAudio] = []
        if doubt and self._shifted(fresh):
            out += self._flush()
            self._fit.new_piece()
            doubt = False
        for b in fresh:
            self._fit.observe(b.first_sample + len(b.samples), b.t_ns)
        if not doubt:
            self._fit.settle()
        previous: AudioBlock | None = None
        for b in held:
            if previous is not None and previous.first_sample + len(previous.samples) != b.first_sample:
                out += self._flush()
            out += self._place(b, observe=False)
            previous = b
        return out

    def _shifted(self, fresh: list[AudioBlock]) -> bool:
        """Whether sound was lost in a pause: what came after it arrives later, relative to the counter."""
        assert self._fit is not None
        if len(fresh) < 5:
            return False  # too little to tell loss from lateness
        late_ms = [1e-6 * (b.t_ns - self._fit.time_ns(b.first_sample + len(b.samples))) for b in fresh]
        doubt_ms = max(10.0, 4.0 * self._fit.jitter_ms / len(late_ms) ** 0.5)
        return bool(abs(np.median(late_ms)) > doubt_ms)

    def _position(self, sample: float) -> float:
        """Where a device sample belongs, in 16 kHz samples from the start."""
        assert self._fit is not None
        t_ns = self._fit.time_ns(sample) - self._start_ns - self.microphone_delay_ns
        return t_ns * SAMPLE_RATE / 1e9

    def _place(self, block: AudioBlock, observe: bool) -> list[TimedAudio]:
        assert self._fit is not None
        out: list[TimedAudio] = []
        if observe:
            stepped = self._fit.observe(block.first_sample + len(block.samples), block.t_ns)
            if self._settle_ns == 0:
                self._fit.settle()
            if stepped:
                out += self._flush()
        if self._resampler is None:
            self._anchor(block)
        resampler = self._resampler
        assert resampler is not None
        due = self._position(self._resampler_base + resampler.consumed)
        self._error_s = (due - self._next) / SAMPLE_RATE
        limit = _SLEW_LIMIT if abs(self._error_s) < _FAR_S else _SLEW_LIMIT_FAR
        nudge = min(max(self._error_s / _SLEW_S, -limit), limit)
        ratio = self._fit.rate_hz / SAMPLE_RATE * (1.0 - nudge)
        # The pitch glides, it never steps: the fit is renewed once a second only.
        glide = min(1.0, len(block.samples) / block.rate / _GLIDE_S)
        self._ratio = ratio if self._ratio is None else self._ratio + glide * (ratio - self._ratio)
        out += self._emit(resampler.process(block.samples, self._ratio))
        return out

    def _anchor(self, block: AudioBlock) -> None:
        """A fresh start of the filter at a position that the fit gives; never before what was delivered."""
        due = round(self._position(block.first_sample))
        if self._anchored and due > self._next:
            self._gaps += 1
            self._lost_s += (due - self._next) / SAMPLE_RATE
        self._next = max(self._next, due) if self._anchored or self._next > 0 else due
        self._resampler = DriftResampler(block.rate)
        self._ratio = None
        self._resampler_base = block.first_sample
        if self._nominal_base is None:
            assert self._fit is not None
            self._nominal_base = (block.first_sample, self._fit.time_ns(block.first_sample) / 1e9)
        self._anchored = True

    def _flush(self) -> list[TimedAudio]:
        resampler, self._resampler = self._resampler, None
        return [] if resampler is None else self._emit(resampler.flush())

    def _emit(self, samples: NDArray[np.float32]) -> list[TimedAudio]:
        position = self._next
        self._next += len(samples)
        if position < 0:
            samples = samples[min(-position, len(samples)) :]
            position = 0
        return [TimedAudio(position, samples)] if len(samples) else []
