"""A recording played to its end, and what can be told from what it delivered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from avel_live.realtime.core.clock import NS_PER_S, ManualClock
from avel_live.realtime.core.messages import SAMPLE_RATE, EndOfStream, Status, TimedAudio, TimedFrame
from avel_live.realtime.sources.replay import Replay, ReplayOptions

from .media import BEEP_AMPLITUDE, FLASH_S


class Played:
    """Everything a recording delivered."""

    def __init__(self, path: Path, **options: object) -> None:
        source = Replay(path, ManualClock(), ReplayOptions(**{"speed": None, **options}))  # type: ignore[arg-type]
        source.open()
        self.info = source.info
        self.items: list[object] = []
        while True:
            item = source.read(1.0)
            assert item is not None
            self.items.append(item)
            if isinstance(item, EndOfStream):
                break
        source.close()
        self.totals = source.account.totals()
        self.end_s = self.items[-1].t_ns / NS_PER_S  # type: ignore[attr-defined]
        self.frames = [i for i in self.items if isinstance(i, TimedFrame)]
        self.blocks = [i for i in self.items if isinstance(i, TimedAudio)]
        self.said = [i.state for i in self.items if isinstance(i, Status)]

    def sound(self) -> np.ndarray:
        out = np.zeros(max((b.position + len(b.samples) for b in self.blocks), default=0), np.float32)
        for block in self.blocks:
            out[block.position : block.position + len(block.samples)] = block.samples
        return out

    def beeps(self) -> list[float]:
        """Instants (s) at which a beep begins."""
        loud = np.abs(self.sound()) > BEEP_AMPLITUDE * 0.3
        where = np.flatnonzero(loud)
        starts = where[np.diff(where, prepend=-SAMPLE_RATE) > FLASH_S * SAMPLE_RATE]
        return [float(s / SAMPLE_RATE) for s in starts]

    def flashes(self) -> list[float]:
        """Instants (s) at which a flash begins."""
        lit = [f.image[112:, 112:].mean() > 200 for f in self.frames]
        return [
            f.t_ns / NS_PER_S
            for f, now, before in zip(self.frames, lit, [False, *lit], strict=False)
            if now and not before
        ]
