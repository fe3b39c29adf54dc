"""Time stamps of sound that wobble: a shift is believed only when it lasts.

Browsers, phones and relays stamp packets of sound when they get round to it. The sound itself has no holes,
so as long as stamps stray and come back, samples are counted; only when they stay away, by about the same,
something was lost (or another piece begins).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..core.clock import NS_PER_S

MAX_GAP_S = 0.04
"""Stamps of sound may be off by this much (rounding of containers) without a thought."""
LASTS_S = 0.25
"""A shift that lasts this long, over at least `_PACKETS` packets, is believed."""
_PACKETS = 3
_MOST_S = 1.0
"""Sound is never held back for longer than this."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Decoded sound of one packet, mono, at the track's own rate. `note`: what is to be said about it."""

    t_ns: int
    rate: int
    samples: NDArray[np.float32]
    note: str | None = None

    @property
    def length_ns(self) -> int:
        """How long it lasts."""
        return len(self.samples) * NS_PER_S // self.rate


class SteadyStamps:
    """Gives sound the stamps that it should have had. Pure; what it doubts it holds back for a moment."""

    def __init__(self) -> None:
        self._expected_ns: int | None = None
        self._held: list[Sound] = []
        self._offs: list[int] = []
        self._held_ns = 0
        self.hole_ns = 0
        """Sound that is missing between packets, so far."""

    def push(self, sound: Sound) -> Iterator[Sound]:
        """Take the next packet; what is certain now."""
        if self._expected_ns is None:
            self._expected_ns = sound.t_ns
        off = sound.t_ns - self._expected_ns - self._held_ns
        if not self._held and abs(off) <= MAX_GAP_S * NS_PER_S:
            # Nearly every packet: what `_release` does, without its lists.
            steady = Sound(self._expected_ns, sound.rate, sound.samples, sound.note) if off else sound
            self._expected_ns += sound.length_ns
            yield steady
            return
        self._held.append(sound)
        self._offs.append(off)
        self._held_ns += sound.length_ns
        if abs(off) <= MAX_GAP_S * NS_PER_S:
            yield from self._release(0)
        elif self._lasts():
            yield from self._release(int(np.median(self._offs)))

    def finish(self) -> Iterator[Sound]:
        """No more comes, or not on this clock: what is held, and then a fresh start."""
        agree = len(self._held) >= _PACKETS and max(self._offs) - min(self._offs) <= MAX_GAP_S * NS_PER_S / 2
        yield from self._release(self._offs[0] if agree else 0)
        self._expected_ns = None

    def _lasts(self) -> bool:
        if self._held_ns >= _MOST_S * NS_PER_S:
            return True
        agree = max(self._offs) - min(self._offs) <= 2 * MAX_GAP_S * NS_PER_S
        return agree and len(self._held) >= _PACKETS and self._held_ns >= LASTS_S * NS_PER_S

    def _release(self, shift_ns: int) -> Iterator[Sound]:
        if not self._held:
            return
        assert self._expected_ns is not None
        self.hole_ns += max(0, shift_ns)
        self._expected_ns += shift_ns
        held, self._held, self._offs, self._held_ns = self._held, [], [], 0
        for sound in held:
            yield replace(sound, t_ns=self._expected_ns)
            self._expected_ns += sound.length_ns
