"""Clips played in turn for ever, as by a camera and a microphone, on a clock that jumps over idle time."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from avel_live.realtime.core.clock import NS_PER_S
from avel_live.realtime.core.messages import (
    SAMPLE_RATE,
    AudioBlock,
    EndOfStream,
    TimedAudio,
    TimedFrame,
    VideoFrame,
)
from avel_live.realtime.sources.base import Item, Source
from avel_live.realtime.sources.capture import CameraOptions
from avel_live.realtime.sources.live import LiveOptions, LiveSource
from avel_live.realtime.sources.microphone import MicOptions
from avel_live.realtime.sources.replay import Replay, ReplayOptions
from avel_live.realtime.stream.loop import Stream

PPM = 80.0
"""By how much the microphone's crystal is slow."""
JITTER_MS = 5.0
"""By how much its blocks are late at most."""
_BLOCK = 1600


class WorkClock:
    """Processor time of this process plus what was jumped over; or the machine's clock, never jumping."""

    def __init__(self, *, real: bool) -> None:
        self.real = real
        self._jumped_ns = 0

    def now_ns(self) -> int:
        return time.monotonic_ns() if self.real else time.process_time_ns() + self._jumped_ns

    def wait_until(self, t_ns: int, wake: threading.Event | None = None) -> bool:
        """A nap: only `skip_to` moves this clock ahead."""
        return (wake or threading.Event()).wait(0.05)

    def skip_to(self, t_ns: int) -> None:
        """Be at `t_ns` at least: sleep there, or jump."""
        left = t_ns - self.now_ns()
        if left > 0 and self.real:
            time.sleep(left / NS_PER_S)
        elif left > 0:
            self._jumped_ns += left


@dataclass(frozen=True)
class Material:
    """Pictures [N, 224, 224, 3] and sound [n] of a clip."""

    pictures: list[np.ndarray]
    sound: np.ndarray


def load(paths: list[Path], clock: WorkClock, fps: int) -> list[Material]:
    """`fps` pictures a second of each clip, and its sound, at most 20 s of each."""
    out = []
    for path in paths:
        source = Replay(path, clock, ReplayOptions(speed=None, duration_s=20))
        source.open()
        pictures: list[np.ndarray] = []
        sound = np.zeros(20 * SAMPLE_RATE, np.float32)
        end = 0
        while not isinstance(item := source.read(1.0), EndOfStream):
            if isinstance(item, TimedFrame) and item.t_ns * fps >= len(pictures) * NS_PER_S:
                pictures.append(item.image)
            elif isinstance(item, TimedAudio):
                end = item.position + len(item.samples)
                sound[item.position : end] = item.samples
        source.close()
        if pictures and end >= SAMPLE_RATE:
            out.append(Material(pictures, sound[: end // _BLOCK * _BLOCK]))
    if not out:
        sys.exit("none of these clips has both picture and sound")
    return out


class _Device:
    """What `LiveSource` wants of a device; it delivers through `Simulated`, not by a thread."""

    class _Health:
        state = "running"

    health = _Health()
    granted = opened = None

    def start(self) -> None: ...
    def watch(self) -> None: ...
    def close(self) -> None: ...


class Simulated(Source):
    """A live source whose devices are played from memory, and that hears of answers."""

    def __init__(self, clock: WorkClock, material: list[Material], fps: int, seen: float) -> None:
        self._clock, self._fps, self._seen = clock, fps, seen
        options = LiveOptions(CameraOptions("soak"), MicOptions("soak"))
        self._inner = LiveSource(options, clock, _Device(), _Device())  # type: ignore[arg-type]
        self._material = material
        self._answered = threading.Semaphore(0)
        self._closed = 0
        self.stream: Stream | None = None

    def open(self) -> None:
        self._inner.open()
        self.info = self._inner.info
        self._begun = self._clock.now_ns()
        self._events = self._play()
        self._next = next(self._events)

    def read(self, timeout_s: float) -> Item | None:
        """The next item; when there is none and every segment closed so far is answered, time goes on.

        Real time waits for nobody.
        """
        item = self._inner.read(0.0)
        if item is not None:
            return item
        assert self.stream is not None
        closed = self.stream.closed_to_ns // NS_PER_S
        while self._closed < closed and not self._clock.real:
            if not self._answered.acquire(timeout=300):
                raise TimeoutError(f"no answer to second {self._closed} within 300 s")
            self._closed += 1
        t_ns, event = self._next
        self._clock.skip_to(t_ns)
        if isinstance(event, VideoFrame):
            self._inner.take_frame(event)
        else:
            self._inner.take_block(event)
        self._next = next(self._events)
        return self._inner.read(0.0)

    def _play(self) -> Iterator[tuple[int, VideoFrame | AudioBlock]]:
        """(instant of arrival, what arrives), in order, for ever."""
        late = np.random.default_rng(0)
        picture = sample = 0
        block_ns = round(_BLOCK / SAMPLE_RATE * NS_PER_S * (1 + PPM * 1e-6))
        for clip in itertools.cycle(self._material):
            for first in range(0, len(clip.sound), _BLOCK):
                end_ns = self._begun + (sample // _BLOCK + 1) * block_ns
                while (t_ns := self._begun + picture * NS_PER_S // self._fps) < end_ns:
                    if (picture // self._fps) % 60 < 60 * self._seen:
                        yield t_ns, VideoFrame(t_ns, clip.pictures[picture % len(clip.pictures)])
                    picture += 1
                arrival = end_ns + round(late.uniform(0, JITTER_MS) * 1e6)
                yield arrival, AudioBlock(arrival, sample, SAMPLE_RATE, clip.sound[first : first + _BLOCK])
                sample += _BLOCK

    def stream_now_ns(self) -> int | None:
        return self._inner.stream_now_ns()

    @property
    def skew_ms(self) -> float | None:
        return self._inner.skew_ms

    @property
    def drift_ppm(self) -> float | None:
        return self._inner.drift_ppm

    @property
    def dropped(self) -> int:  # type: ignore[override]
        return self._inner.dropped

    def close(self) -> None:
        self._inner.close()

    def answer(self) -> None:
        """The newest second was answered."""
        self._answered.release()
