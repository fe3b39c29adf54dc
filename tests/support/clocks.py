"""A simulated microphone: a crystal that is off, callbacks that jitter, overflows. Nothing sleeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from avel_live.realtime.core.messages import AudioBlock

START_NS = 10**15


@dataclass
class SimulatedMicrophone:
    """`ppm`: the crystal runs slow by so much (positive) or fast. `lost` keeps what overflows swallowed."""

    rate: int = 8000
    block: int = 800
    ppm: float = 0.0
    jitter_ms: float = 30.0
    overflow_every_s: float = 0.0
    overflow_ms: tuple[float, float] = (5.0, 200.0)
    flagged: bool = True
    outliers: float = 0.002
    seed: int = 0
    epoch: int = 0
    signal: np.ndarray | None = None
    counter: int = 0
    lost: int = 0
    _losses: list[tuple[int, int]] = field(default_factory=list)

    @property
    def true_rate(self) -> float:
        return self.rate / (1 + self.ppm * 1e-6)

    def true_s(self, sample: float) -> float:
        """When the sample of that number was really captured, in seconds from the start."""
        lost = self.lost if not self._losses or sample >= self._losses[-1][0] else self._losses[-1][1]
        return (sample + lost) / self.true_rate

    def blocks(self, seconds: float) -> Iterator[AudioBlock]:
        rng = np.random.default_rng(self.seed)
        silence = np.zeros(self.block, np.float32)
        next_overflow = self.overflow_every_s
        while (self.counter + self.lost) / self.true_rate < seconds:
            over = False
            if self.overflow_every_s and (self.counter + self.lost) / self.true_rate > next_overflow:
                next_overflow += self.overflow_every_s
                self._losses = [(self.counter, self.lost)]
                self.lost += int(rng.uniform(*self.overflow_ms) / 1e3 * self.rate)
                over = self.flagged
            end_s = (self.counter + self.block + self.lost) / self.true_rate
            late_s = rng.uniform(-self.jitter_ms, self.jitter_ms) / 1e3
            if rng.random() < self.outliers:
                late_s += rng.uniform(0, 0.5)
            samples = silence
            if self.signal is not None:
                first = self.counter + self.lost
                samples = self.signal[first : first + self.block]
            yield AudioBlock(
                START_NS + round((end_s + late_s) * 1e9), self.counter, self.rate, samples, self.epoch, over
            )
            self.counter += self.block
