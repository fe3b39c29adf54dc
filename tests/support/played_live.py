"""A live source for tests of several streams: paced by the machine's clock, with a character of its own.

The host of `played://HOST/` says which: `well` delivers; `breaks` raises after a second and a half; `refuses`
can't be opened until `Played.open_now` is set; `stalls` delivers nothing after a second; `floods` sends ten
times as many pictures as anybody wants.
"""

from __future__ import annotations

import threading
from typing import ClassVar
from urllib.parse import urlsplit

import numpy as np
from avel_live.realtime.config.schema import Config
from avel_live.realtime.core.clock import NS_PER_S, Clock
from avel_live.realtime.core.errors import SourceError
from avel_live.realtime.core.messages import SAMPLE_RATE, EndOfStream, SourceInfo, TimedAudio
from avel_live.realtime.session.sources import SCHEMES
from avel_live.realtime.sources.base import Item, Source
from avel_live.realtime.sources.picture import timed_frame

FPS, BLOCKS = 12, 10


class Played(Source):
    """See above."""

    open_now: ClassVar[threading.Event] = threading.Event()

    def __init__(self, config: Config, clock: Clock) -> None:
        self.kind = urlsplit(config.url or "").hostname or ""
        self.info = SourceInfo(config.url or "", "network", "made", "made", live=True)
        self._clock, self._stop = clock, threading.Event()
        self._fps = FPS * (10 if self.kind == "floods" else 1)
        self._start_ns = self._frames = self._blocks = 0

    def open(self) -> None:
        if self.kind == "refuses" and not self.open_now.is_set():
            raise SourceError("played://refuses: nobody is there")
        self._start_ns = self._clock.now_ns()

    def read(self, timeout_s: float) -> Item | None:
        now_ns = self.stream_now_ns()
        if self._stop.is_set():
            return EndOfStream(now_ns, "closed")
        if self.kind == "breaks" and now_ns > 1.5 * NS_PER_S:
            raise RuntimeError("the driver is gone")
        if not (self.kind == "stalls" and now_ns > NS_PER_S):
            frame_ns = self._frames * NS_PER_S // self._fps
            block_ns = (self._blocks + 1) * NS_PER_S // BLOCKS
            due_ns = min(frame_ns, block_ns)
            if due_ns <= now_ns:
                return self._picture(frame_ns) if frame_ns <= block_ns else self._sound()
            timeout_s = min(timeout_s, (due_ns - now_ns) / NS_PER_S)
        self._clock.wait_until(self._clock.now_ns() + round(timeout_s * NS_PER_S), self._stop)
        return None

    def stream_now_ns(self) -> int:
        return self._clock.now_ns() - self._start_ns

    def close(self) -> None:
        self._stop.set()

    def _picture(self, t_ns: int) -> Item:
        self._frames += 1
        image = np.full((120, 160, 3), 16 * self._frames % 250, np.uint8)
        image[:, : self._frames % 160] = 200
        return timed_frame(t_ns, image)

    def _sound(self) -> Item:
        length = SAMPLE_RATE // BLOCKS
        self._blocks += 1
        noise = np.random.default_rng(self._blocks).normal(0, 0.05, length).astype(np.float32)
        return TimedAudio((self._blocks - 1) * length, noise)


SCHEMES.setdefault("played", Played)
