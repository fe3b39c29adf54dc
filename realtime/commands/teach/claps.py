"""Two claps of the hands, as a mark that needs no key: `avel teach NAME --live --clap`.

A clap is an onset of a hundredth of a second, loud above what was before, gone within a tenth, and broad: a
voice lasts, a beep is narrow, a knock or a slam is low. Two of them, a sixth to two thirds of a second apart,
with none before or after: one alone may be anything, and a row of them is applause, hammering, typing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ....model.sound import SAMPLE_RATE
from ...core.clock import NS_PER_S
from ...core.messages import Segment

_STEP: Final = SAMPLE_RATE // 200
"""5 ms: of the levels that are compared."""
_BEFORE: Final = 40
"""Steps before an onset that are "what was before" it."""
_AFTER: Final = 26
"""Steps after an onset that tell how it goes on."""
_RISE_DB: Final = 15.0
_FALL_DB: Final = 12.0
"""How far it has fallen a tenth of a second later; a room may ring a little."""
_LEAST_DBFS: Final = -40.0
_FLOOR_DBFS: Final = -70.0
_WINDOW: Final = 256
"""16 ms from the onset on, whose spectrum is looked at."""
_FLAT: Final = 0.12
"""Geometric mean over mean of the spectrum from 1 to 7 kHz."""
_HIGH: Final = 0.4
"""Share of that band in all from 100 Hz on."""
_APART_NS: Final = (NS_PER_S * 15 // 100, NS_PER_S * 7 // 10)
_ALIKE_DB: Final = 12.0
_SAME_NS: Final = NS_PER_S // 10
"""Within this it is the same clap."""


@dataclass
class Claps:
    """Finds pairs of claps in a stream that is handed over second by second."""

    _sound: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    _start_ns: int = 0
    _claps: list[tuple[int, float]] = field(default_factory=list)

    def heard(self, segment: Segment) -> list[int]:
        """Instants of the first claps of pairs that are complete by now, in nanoseconds of the stream.

        A pair is told when no third clap can come any more: at most a second and a half late.
        """
        end_ns = self._start_ns + len(self._sound) * NS_PER_S // SAMPLE_RATE
        if not segment.sound:
            self._sound = self._sound[:0]
        elif abs(segment.start_ns - end_ns) > _SAME_NS or not len(self._sound):
            self._sound, self._start_ns = segment.audio, segment.start_ns
        else:
            self._sound = np.concatenate([self._sound, segment.audio])
        for at, level in onsets(self._sound):
            at_ns = self._start_ns + at * NS_PER_S // SAMPLE_RATE
            if not self._claps or at_ns - self._claps[-1][0] > _SAME_NS:
                self._claps.append((at_ns, level))
        keep = (_BEFORE + _AFTER + 2) * _STEP
        if len(self._sound) > keep:
            self._start_ns += (len(self._sound) - keep) * NS_PER_S // SAMPLE_RATE
            self._sound = self._sound[-keep:]
        return self._pairs(segment.end_ns - _AFTER * _STEP * NS_PER_S // SAMPLE_RATE)

    def _pairs(self, known_ns: int) -> list[int]:
        """Complete pairs; what is settled is forgotten."""
        found: list[int] = []
        while self._claps:
            row = [self._claps[0]]
            for clap in self._claps[1:]:
                if clap[0] - row[-1][0] > _APART_NS[1]:
                    break
                row.append(clap)
            if known_ns <= row[-1][0] + _APART_NS[1]:
                break
            self._claps = self._claps[len(row) :]
            if len(row) == 2 and _match(*row):
                found.append(row[0][0])
        return found


def _match(first: tuple[int, float], second: tuple[int, float]) -> bool:
    return second[0] - first[0] >= _APART_NS[0] and abs(second[1] - first[1]) <= _ALIKE_DB


def onsets(sound: NDArray[np.float32]) -> list[tuple[int, float]]:
    """Where claps begin in [S] samples at 16 kHz, and how loud each is, dBFS.

    Those are judged that have `_BEFORE` steps before them and `_AFTER` after.
    """
    count = len(sound) // _STEP
    parts = sound[: count * _STEP].reshape(count, _STEP)
    level = 10 * np.log10(np.square(parts, dtype=np.float64).mean(axis=1) + 1e-12)
    level = np.maximum(level, _FLOOR_DBFS)
    found: list[tuple[int, float]] = []
    last = -_AFTER
    begins = np.flatnonzero((np.diff(level, prepend=level[:1]) >= _RISE_DB / 3) & (level > _LEAST_DBFS - 20))
    for k in begins.tolist():
        if not _BEFORE <= k < count - _AFTER or k - last < _AFTER // 2:
            continue
        peak = float(level[k : k + 3].max())
        before = float(np.quantile(level[k - _BEFORE : k - 2], 0.8))
        if peak < _LEAST_DBFS or peak - max(before, level[k - 2]) < _RISE_DB:
            continue
        later = float(level[k + _AFTER - 8 : k + _AFTER].mean())
        if peak - later >= _FALL_DB and _broad(sound[k * _STEP : k * _STEP + _WINDOW]):
            found.append((k * _STEP, peak))
            last = k
    return found


def _broad(part: NDArray[np.float32]) -> bool:
    power = np.square(np.abs(np.fft.rfft(part * np.hanning(len(part))))) + 1e-12
    hertz = np.fft.rfftfreq(len(part), 1 / SAMPLE_RATE)
    band = power[(hertz >= 1000) & (hertz <= 7000)]
    # Neighbouring bins scatter: sixths of the band are compared.
    sixths = np.array([piece.mean() for piece in np.array_split(band, 6)])
    flat = float(np.exp(np.log(sixths).mean()) / sixths.mean())
    return flat >= _FLAT and float(band.sum() / power[hertz >= 100].sum()) >= _HIGH
