"""Stop-watches around the stages, and what the kernel knows about this process."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ...core.clock import Clock

T = TypeVar("T")
_RAPL = Path("/sys/class/powercap")


class Stopwatch:
    """Collects how long each stage took, call by call.

    Args:
        clock: to read.

    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.taken: dict[str, list[float]] = {}
        """Stage → milliseconds of each call."""

    def timed(self, stage: str, function: Callable[..., T]) -> Callable[..., T]:
        """The same function, each call noted under `stage`."""
        notes = self.taken.setdefault(stage, [])

        def call(*args: Any, **kwargs: Any) -> T:
            start_ns = self._clock.now_ns()
            try:
                return function(*args, **kwargs)
            finally:
                notes.append((self._clock.now_ns() - start_ns) / 1e6)

        return call

    def summary(self, seconds: float) -> dict[str, dict[str, float]]:
        """Per stage: percentiles of one call, calls, and milliseconds per second of stream."""
        return {
            stage: {
                **percentiles(ms),
                "calls": float(len(ms)),
                "ms_per_s": round(sum(ms) / seconds, 3) if seconds else 0.0,
            }
            for stage, ms in self.taken.items()
            if ms
        }


class TimedEngine:
    """An engine with a stop-watch on its three networks."""

    def __init__(self, engine: Any, watch: Stopwatch) -> None:
        self.info, self.profile = engine.info, engine.profile
        self.visual = watch.timed("visual", engine.visual)
        self.audio = watch.timed("audio", engine.audio)
        self.head = watch.timed("DIIA", engine.head)
        self.warm_up, self.close = engine.warm_up, engine.close


def percentiles(ms: list[float]) -> dict[str, float]:
    """p50, p95, p99, rounded to microseconds."""
    values = np.percentile(ms, (50, 95, 99)) if ms else (0.0, 0.0, 0.0)
    return {name: round(float(v), 3) for name, v in zip(("p50", "p95", "p99"), values, strict=True)}


def peak_memory_mb() -> float:
    """Largest resident set of this process so far.

    From `VmHWM`, which starts anew with the program; `ru_maxrss` is inherited from the parent.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def energy_j() -> float | None:
    """Joules counted by the CPU packages so far; None where they can't be read."""
    total = 0.0
    found = False
    for domain in _RAPL.glob("intel-rapl:?"):
        try:
            total += int((domain / "energy_uj").read_text()) / 1e6
        except (OSError, ValueError):
            continue
        found = True
    return total if found else None
