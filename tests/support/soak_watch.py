"""What a soak measures, second by second, and its verdict."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from avel_live.realtime.core.clock import NS_PER_S
from avel_live.realtime.core.messages import Hop, StreamEnd
from avel_live.realtime.sinks.base import Sink

_HOUR_S = 3600.0
_SETTLED_S = 600.0
_FIRST_MINUTE_S = 60.0
"""Clocks are still being fitted."""


@dataclass
class Measured:
    """Of one stream, however it was run."""

    latency_ms: list[tuple[float, float]] = field(default_factory=list)
    """(stream second, latency) of the seconds that were seen and followed by one that was seen.

    Where the camera is lost the cutter waits for its pictures, as it should; that would hide what computing
    takes.
    """
    resources: list[tuple[float, float, int, int]] = field(default_factory=list)
    """(stream second, resident MB, descriptors, threads), once a stream minute."""
    worst_skew_ms: float = 0.0
    deaf: int = 0
    """Seconds in which sound is missing."""
    seconds: float = 0.0
    hops: int = 0
    skipped: int = 0
    dropped: int = 0
    _last: tuple[float, float] | None = None

    def second(
        self, end_s: float, latency_ms: float, skew_ms: float | None, *, seen: bool, deaf: bool
    ) -> None:
        """One answer."""
        if seen and self._last is not None:
            self.latency_ms.append(self._last)
        self._last = (end_s, latency_ms) if seen else None
        if end_s > _FIRST_MINUTE_S:
            self.worst_skew_ms = max(self.worst_skew_ms, abs(skew_ms or 0.0))
            self.deaf += deaf


def verdict(found: Measured) -> list[tuple[str, str, bool]]:
    """(what, figure, within its bound) for everything that is bounded.

    A run of less than an hour is too short for a slope, and for p99 of a few hundred seconds to mean much:
    there memory may grow by 1 MB after its first third, and the medians of the latency are compared.
    """
    short = found.seconds < _HOUR_S
    table = np.array([s for s in found.resources if s[0] >= min(_SETTLED_S, found.seconds / 3)])
    first_mb, last_mb = float(table[0, 1]), float(table[-1, 1])
    grown = last_mb - first_mb if short else float(np.polyfit(table[:, 0] / _HOUR_S, table[:, 1], 1)[0])
    span = found.seconds / 3 if short else _HOUR_S
    second, latency = np.array(found.latency_ms).T
    percent = 50 if short else 99
    first = float(np.percentile(latency[second < span], percent))
    last = float(np.percentile(latency[second > found.seconds - span], percent))
    p99 = float(np.percentile(latency, 99))
    fds, threads = (int(table[-1, k] - table[0, k]) for k in (2, 3))
    memory = f"{grown:+.2f} {'MB' if short else 'MB/h'} ({first_mb:.1f} → {last_mb:.1f} MB)"
    steady = last <= max(1.1 * first, first + 2)
    return [
        ("memory", memory, grown <= 1.0),
        ("descriptors", f"{fds:+d} ({int(table[-1, 2])})", fds <= 0),
        ("threads", f"{threads:+d} ({int(table[-1, 3])})", threads <= 0),
        ("latency", f"p{percent} {first:.1f} → {last:.1f} ms, p99 {p99:.1f} ms", steady and p99 < 1000),
        ("skew, worst", f"{found.worst_skew_ms:.1f} ms", found.worst_skew_ms < 20),
        ("answers skipped", str(found.skipped), found.skipped == 0),
        ("items dropped", str(found.dropped), found.dropped == 0),
        ("seconds unheard", str(found.deaf), found.deaf == 0),
        ("answers", f"{found.hops} in {found.seconds:.0f} s", abs(found.hops - found.seconds) <= 1),
    ]


class Watch(Sink):
    """A sink that measures this process at every answer, and says so once an hour.

    Args:
        answered: called once for each second that was answered or skipped.

    """

    def __init__(self, answered: Callable[[], None]) -> None:
        self.found = Measured()
        self._answered = answered

    def end(self, end: StreamEnd) -> None:
        self.found.seconds, self.found.hops = end.seconds, end.hops
        self.found.dropped = end.dropped

    def hop(self, record: Hop) -> None:
        segment, end_s = record.segment, record.segment.end_ns / NS_PER_S
        deaf = not segment.sound or segment.audio_dropped > 0
        self.found.second(end_s, record.latency_ms, record.skew_ms, seen=segment.video, deaf=deaf)
        if segment.index % 60 == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            resident = pages * os.sysconf("SC_PAGESIZE") / 1e6
            descriptors, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
            self.found.resources.append((end_s, resident, descriptors, threads))
            if segment.index % 3600 == 0:
                said = f"{resident:6.1f} MB  {descriptors} descriptors  {threads} threads"
                print(f"{end_s / 3600:5.1f} h  {said}", flush=True)
        for _ in range(record.skipped - self.found.skipped + 1):
            self._answered()
        self.found.skipped = record.skipped
