"""Time, injected. No other module of the live path calls `time.*`.

Instants are integers in nanoseconds on one monotonic axis (`*_ns`); seconds appear at the edges only.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Protocol

NS_PER_S = 1_000_000_000


class Clock(Protocol):
    """A monotonic clock that can be waited on."""

    def now_ns(self) -> int:
        """The present instant, in nanoseconds on a monotonic axis of unspecified origin."""

    def wait_until(self, t_ns: int, wake: threading.Event | None = None) -> bool:
        """Sleep until `t_ns`, or until `wake` is set; True when woken early by `wake`."""


class SystemClock:
    """The machine's monotonic clock."""

    def now_ns(self) -> int:
        """The present instant (`time.monotonic_ns`)."""
        return time.monotonic_ns()

    def wait_until(self, t_ns: int, wake: threading.Event | None = None) -> bool:
        """Sleep until `t_ns`, or until `wake` is set; True when woken early by `wake`."""
        remaining_s = (t_ns - time.monotonic_ns()) / NS_PER_S
        if wake is not None:
            return wake.wait(max(0.0, remaining_s))
        if remaining_s > 0:
            time.sleep(remaining_s)
        return False


class ManualClock:
    """A clock that stands still until it is told to advance; waiting jumps it forward at once.

    For tests and for simulations of days: nothing ever sleeps.
    """

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns
        self._lock = threading.Lock()

    def now_ns(self) -> int:
        """The instant it was last set to."""
        with self._lock:
            return self._now_ns

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds`."""
        with self._lock:
            self._now_ns += round(seconds * NS_PER_S)

    def wait_until(self, t_ns: int, wake: threading.Event | None = None) -> bool:
        """Jump to `t_ns` unless `wake` is already set."""
        if wake is not None and wake.is_set():
            return True
        with self._lock:
            self._now_ns = max(self._now_ns, t_ns)
        return False


def wall_clock_s() -> float:
    """The time of day as Unix time; for records people read, never for intervals."""
    return time.time()


def cpu_s() -> float:
    """Processor time of all threads of this process so far."""
    times = os.times()
    return times.user + times.system
