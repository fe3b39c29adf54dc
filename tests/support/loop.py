"""Sources and engines for tests of the loop: scripted, and as fast or as slow as a test wants."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from avel_live.model.labels import LABELS
from avel_live.model.profiles import LITE
from avel_live.model.runtime.base import EngineInfo, HeadOutput
from avel_live.realtime.core.messages import (
    SAMPLE_RATE,
    EndOfStream,
    Hop,
    SourceInfo,
    Status,
    StreamEnd,
    StreamStart,
    TimedAudio,
    TimedFrame,
)
from avel_live.realtime.sinks.base import Sink
from avel_live.realtime.sources.base import Source

NS = 1_000_000_000


def steady(seconds: float, fps: int = 16, block: int = 1600) -> list[TimedFrame | TimedAudio]:
    """Pictures and sound of a stream without troubles, in order of their start."""
    items: list[TimedFrame | TimedAudio] = [
        TimedFrame(k * NS // fps, np.full((224, 224, 3), k % 251, np.uint8))
        for k in range(int(seconds * fps))
    ]
    noise = np.random.default_rng(0).normal(0, 0.1, int(seconds * SAMPLE_RATE)).astype(np.float32)
    items += [TimedAudio(p, noise[p : p + block]) for p in range(0, len(noise), block)]
    return sorted(
        items, key=lambda i: i.t_ns if isinstance(i, TimedFrame) else i.position * NS // SAMPLE_RATE
    )


class ScriptedSource(Source):
    """Delivers a script as fast as it is read. Live ones say that the present is their newest item.

    `hold`: from each of these seconds on, only after its event.
    """

    def __init__(
        self,
        items: Sequence[object],
        *,
        live: bool,
        end: EndOfStream | None = None,
        fail: Exception | None = None,
        hold: Sequence[tuple[float, threading.Event]] = (),
    ) -> None:
        self._hold = list(hold)
        self.info = SourceInfo("script", "live" if live else "file", "scripted", "scripted", live=live)
        self.exhausted = threading.Event()
        self.closed = threading.Event()
        self._items = list(items)
        self._end = end
        self._fail = fail
        self._now_ns: int | None = 0 if live else None

    def open(self) -> None: ...

    def read(self, timeout_s: float) -> object:
        if self._items:
            while self._hold and (self._now_ns or 0) >= self._hold[0][0] * NS:
                assert self._hold.pop(0)[1].wait(60)
            item = self._items.pop(0)
            if self._now_ns is not None and isinstance(item, TimedFrame):
                self._now_ns = item.t_ns
            return item
        self.exhausted.set()
        if self._fail is not None:
            raise self._fail
        if self._end is None:
            self.closed.wait(timeout_s)
            return None
        return self._end

    def stream_now_ns(self) -> int | None:
        return self._now_ns

    def close(self) -> None:
        self.closed.set()


class ToyEngine:
    """Features that can be worked out by hand; `gate` holds the visual network up until it is set."""

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.profile = LITE
        self.info = EngineInfo("lite", "torch", "fp32", "toy", LABELS, "toy")
        self.gate = gate
        self.begun = threading.Event()
        self.visual_calls: list[int] = []
        self.audio_calls = 0
        self.head_calls: list[int] = []

    def visual(self, frames: np.ndarray) -> np.ndarray:
        self.begun.set()
        if self.gate is not None:
            assert self.gate.wait(60)
        self.visual_calls.append(len(frames))
        grid = np.zeros((len(frames), 7, 7, self.profile.visual.dim), np.float32)
        grid += frames.mean(axis=(1, 2, 3))[:, None, None, None]
        return grid

    def audio(self, samples: np.ndarray) -> np.ndarray:
        self.audio_calls += 1
        return np.full(self.profile.audio.dim, np.abs(samples).mean(), np.float32)

    def head(
        self, visual: np.ndarray, audio: np.ndarray, visual_mask: np.ndarray, audio_mask: np.ndarray
    ) -> HeadOutput:
        self.head_calls.append(len(audio))
        logits = np.zeros((len(audio), len(LABELS)), np.float32)
        logits[:, 2] = audio.mean(axis=1) * 10 * audio_mask
        logits[:, 3] = visual.mean(axis=(1, 2, 3)) / 50 * visual_mask
        return HeadOutput(logits, np.full((len(audio), 7, 7), 1 / 49, np.float32))

    def warm_up(self) -> None: ...

    def close(self) -> None: ...


class Collector(Sink):
    """A sink that remembers what it was told, and in which order."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.starts: list[StreamStart] = []
        self.hops: list[Hop] = []
        self.statuses: list[Status] = []
        self.ends: list[StreamEnd] = []

    def start(self, start: StreamStart) -> None:
        self.calls.append("start")
        self.starts.append(start)

    def hop(self, record: Hop) -> None:
        self.calls.append("hop")
        self.hops.append(record)

    def status(self, status: Status) -> None:
        self.calls.append("status")
        self.statuses.append(status)

    def end(self, end: StreamEnd) -> None:
        self.calls.append("end")
        self.ends.append(end)

    def close(self) -> None:
        self.calls.append("close")


def a_start(source: object, hop_s: float = 1.0) -> StreamStart:
    return StreamStart("0", "lite", "torch", "fp32", source.info, LABELS, hop_s)  # type: ignore[attr-defined]
