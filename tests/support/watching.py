"""Reads a live source as the pipeline does, cuts it, and measures flash against beep."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from avel_live.realtime.core.messages import (
    SAMPLE_RATE,
    ClosedSegment,
    EndOfStream,
    Segment,
    Status,
    TimedAudio,
    TimedFrame,
)
from avel_live.realtime.sources.base import Source
from avel_live.realtime.stream.cutter import Cutter


@dataclass
class Viewer:
    source: Source
    statuses: list[Status] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    frames: list[tuple[float, float]] = field(default_factory=list)
    """(stream time, mean brightness)"""
    audio: list[TimedAudio] = field(default_factory=list)
    ended: EndOfStream | None = None
    late_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cutter = Cutter(live=True)
        self._told = 0

    def watch(self, seconds: float, until: Callable[[], object] | None = None) -> Viewer:
        """Read for so long, or until a condition holds (then at most so long, or it is an error)."""
        end = time.monotonic() + seconds
        ask_again = 0.0
        while time.monotonic() < end and self.ended is None:
            # Conditions go through all that was seen: asked at every item, they would make the reader late.
            if until is not None and time.monotonic() >= ask_again:
                if until():
                    return self
                ask_again = time.monotonic() + 0.2
            item = self.source.read(0.05)
            if isinstance(item, TimedFrame):
                self.frames.append((item.t_ns / 1e9, float(item.image.mean())))
                self.late_s.append(((self.source.stream_now_ns() or 0) - item.t_ns) / 1e9)
                self._cut(self.cutter.push(item))
            elif isinstance(item, TimedAudio):
                self.audio.append(item)
                self._cut(self.cutter.push(item))
            elif isinstance(item, Status):
                self.statuses.append(item)
            elif isinstance(item, EndOfStream):
                self.ended = item
            self._cut(self.cutter.advance(self.source.stream_now_ns() or 0))
        assert until is None or until(), f"not within {seconds:g} s; said: {self.lines}"
        return self

    def _cut(self, cuts: list[object]) -> None:
        self.segments += [c.segment for c in cuts if isinstance(c, ClosedSegment)]

    @property
    def lines(self) -> list[str]:
        return [f"{s.device} {s.state}: {s.reason}" for s in self.statuses]

    def states(self, device: str) -> list[str]:
        out: list[str] = []
        for s in self.statuses:
            if s.device == device and (not out or out[-1] != s.state):
                out.append(s.state)
        return out

    def passed(self, device: str, *wanted: str) -> bool:
        """Whether the device went through these states, in this order, others between allowed."""
        seen = iter(self.states(device))
        return all(any(s == w for s in seen) for w in wanted)

    def now_s(self) -> float:
        return (self.source.stream_now_ns() or 0) / 1e9

    def flashes(self, from_s: float = 0.0) -> list[float]:
        """When it became bright: halfway between the last dark and the first bright picture."""
        out = []
        for (t0, dark), (t1, bright) in zip(self.frames, self.frames[1:], strict=False):
            if dark < 128 <= bright and t0 >= from_s and t1 - t0 < 0.12:
                out.append((t0 + t1) / 2)
        return out

    def beeps(self, from_s: float = 0.0) -> list[float]:
        """When it became loud after being quiet."""
        out: list[float] = []
        last = -1.0
        for block in self.audio:
            for i in np.flatnonzero(np.abs(block.samples) > 0.1):
                t = (block.position + int(i)) / SAMPLE_RATE
                if t - last > 0.3 and t >= from_s:
                    out.append(t)
                last = t
        return out

    def skew_ms(self, from_s: float = 0.0) -> float:
        """Median of flash minus nearest beep."""
        flashes, beeps = self.flashes(from_s), np.array(self.beeps(from_s))
        assert len(flashes) >= 3, f"{len(flashes)} flashes since {from_s:.1f} s"
        assert len(beeps) >= 3, f"{len(beeps)} beeps since {from_s:.1f} s"
        nearest = [f - beeps[np.argmin(np.abs(beeps - f))] for f in flashes]
        return 1e3 * float(np.median(nearest))

    def measured_skew_ms(self, from_s: float, count: int = 4, limit_s: float = 40.0) -> float:
        """Watch until there are enough flashes and beeps since `from_s`, then `skew_ms`."""

        def enough() -> bool:
            return min(len(self.flashes(from_s)), len(self.beeps(from_s))) >= count

        self.watch(limit_s, until=enough)
        return self.skew_ms(from_s)

    def check_segments(self) -> None:
        """None lost, none doubled, no sound twice at one place."""
        assert [s.index for s in self.segments] == list(range(len(self.segments)))
        ends = [0]
        for block in self.audio:
            assert block.position >= ends[-1]
            ends.append(block.position + len(block.samples))
        times = [t for t, _ in self.frames]
        assert times == sorted(times)
