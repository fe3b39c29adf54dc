"""The life of a device: named states, legal transitions, a watchdog on the age of its last data.

    opening ──▶ running ◀──▶ stalled
       │           │            │
       │           ▼            ▼
       │          lost ◀────────┘          running/stalled ──▶ ended
       │           │  ▲
       ▼           ▼  │ (attempt failed)
     failed ◀── recovering ──▶ running

`stalled`: open, but no data for `stall_after_s`. `lost`: closed, or about to be. `recovering`: an
attempt to reopen is under way. `failed`: given up. Return values of drivers prove nothing (an unplugged
camera may go on returning True), so the age of the last data alone decides.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..clock import NS_PER_S, Clock
from ..messages import DeviceState, Status

LEGAL: dict[DeviceState, frozenset[DeviceState]] = {
    "opening": frozenset({"running", "lost", "failed", "ended"}),
    "running": frozenset({"stalled", "lost", "ended"}),
    "stalled": frozenset({"running", "lost", "ended"}),
    "lost": frozenset({"recovering", "failed", "ended"}),
    "recovering": frozenset({"running", "lost", "failed", "ended"}),
    "failed": frozenset({"ended"}),
    "ended": frozenset(),
}


class IllegalTransitionError(RuntimeError):
    """A bug of ours: a device was told to do what `LEGAL` does not allow."""


@dataclass(frozen=True, slots=True)
class HealthOptions:
    """When a device counts as stalled, lost, and gone for good.

    `stall_after_s`: age of the last data that is a stall. `lose_after_s`: age at which the device is
    closed and reopened. `open_timeout_s`: how long an opened device may deliver nothing.
    `backoff_s`, `backoff_max_s`: first and longest pause between attempts; each doubles the last.
    `give_up_s`: how long to try altogether; None never gives up.
    """

    stall_after_s: float = 1.0
    lose_after_s: float = 3.0
    open_timeout_s: float = 8.0
    backoff_s: float = 0.5
    backoff_max_s: float = 15.0
    give_up_s: float | None = None


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses 1×, 2×, 4× … of `first_s`, never above `longest_s`."""

    first_s: float
    longest_s: float

    def pause_s(self, attempt: int) -> float:
        """Pause before attempt number `attempt` (0, 1, …)."""
        return float(min(self.longest_s, self.first_s * 2.0 ** min(attempt, 30)))


Action = Literal["none", "reopen"]


class DeviceHealth:
    """State of one device; every change is reported once, in order, through `report`."""

    def __init__(
        self, device: str, clock: Clock, report: Callable[[Status], None], options: HealthOptions
    ) -> None:
        self.device = device
        self.options = options
        self.state: DeviceState = "opening"
        self.reason = ""
        self._clock = clock
        self._report = report
        self._lock = threading.RLock()
        self._since_ns = clock.now_ns()
        self._data_ns = self._since_ns
        self.recoveries = 0

    def to(self, state: DeviceState, reason: str) -> None:
        """Change state; the same state again is ignored.

        Raises:
            IllegalTransitionError: when `LEGAL` has no such step.

        """
        with self._lock:
            if state == self.state:
                return
            if state not in LEGAL[self.state]:
                raise IllegalTransitionError(f"{self.device}: {self.state} → {state} ({reason})")
            if state == "running" and self.state == "recovering":
                self.recoveries += 1
            self.state, self.reason = state, reason
            self._since_ns = self._clock.now_ns()
            if state in ("opening", "recovering"):
                self._data_ns = self._since_ns
            self._report(Status(self.device, state, reason, self._since_ns))

    def say(self, reason: str) -> None:
        """Report something worth knowing without a change of state."""
        with self._lock:
            self._report(Status(self.device, self.state, reason, self._clock.now_ns()))

    def data(self, t_ns: int, note: str = "delivering") -> None:
        """Data arrived at `t_ns`; cheap while running."""
        self._data_ns = t_ns
        if self.state in ("opening", "stalled", "recovering"):
            with self._lock:
                if self.state in ("opening", "stalled", "recovering"):
                    self.to("running", note)

    @property
    def age_s(self) -> float:
        """Seconds since the last data (or since the device was opened)."""
        return (self._clock.now_ns() - self._data_ns) / NS_PER_S

    def watch(self) -> Action:
        """One look of the watchdog: may move running → stalled; says when to reopen."""
        with self._lock:
            age = self.age_s
            if self.state == "running" and age > self.options.stall_after_s:
                self.to("stalled", f"no data for {age:.1f} s")
            if self.state == "stalled" and age > self.options.lose_after_s:
                return "reopen"
            if self.state in ("opening", "recovering") and age > self.options.open_timeout_s:
                return "reopen"
            return "none"
