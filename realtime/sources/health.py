"""The life of a device: named states, legal transitions, a watchdog on the age of its last data.

    opening ──▶ running ◀──▶ stalled
       │           │            │
       │           ▼            ▼
       │          lost ◀────────┘          running/stalled ──▶ ended
       │           │  ▲
       ▼           ▼  │ (attempt failed)
     failed ◀── recovering ──▶ running

`stalled`: open, but no data for `stall_after_s`, of one track or of all (`opening` and
`recovering` lead here, too, when only one track delivers). `lost`: closed, or about to be. `recovering`: an
attempt to reopen is under way. `failed`: given up. Return values of drivers prove nothing (an unplugged
camera may go on returning True), so the age of the last data alone decides.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from ..core.clock import NS_PER_S, Clock
from ..core.messages import Status
from ..core.states import DeviceState, Severity

LEGAL: dict[DeviceState, frozenset[DeviceState]] = {
    "opening": frozenset({"running", "stalled", "lost", "failed", "ended"}),
    "running": frozenset({"stalled", "lost", "ended"}),
    "stalled": frozenset({"running", "lost", "ended"}),
    "lost": frozenset({"recovering", "failed", "ended"}),
    "recovering": frozenset({"running", "stalled", "lost", "failed", "ended"}),
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
    `give_up_s`: how long to try altogether; None never gives up. `part_after_s`: a device of which one track
    delivers and another does not is reopened after so long; each time the patience doubles, up to an hour.
    """

    stall_after_s: float = 1.0
    lose_after_s: float = 3.0
    open_timeout_s: float = 8.0
    backoff_s: float = 0.5
    backoff_max_s: float = 15.0
    give_up_s: float | None = None
    part_after_s: float = 60.0


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
        self._tracks = {"": _Track(self._since_ns)}
        self._first_ns: int | None = None
        """When the first of the tracks began to deliver; only from then on another one is missed."""
        self._missing: tuple[str, ...] = ()
        self._patience_s = options.part_after_s
        self.recoveries = 0

    def expect(self, *tracks: str, since_ns: int | None = None) -> None:
        """It is to deliver these, from `since_ns` (now) on; only when all of them do is it running."""
        with self._lock:
            self._data_ns = self._clock.now_ns() if since_ns is None else since_ns
            self._tracks = {name: _Track(self._data_ns) for name in tracks}
            self._first_ns = None

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
                self._tracks = {name: _Track(self._since_ns) for name in self._tracks}
                self._first_ns = None
            if state in ("running", "recovering"):
                self._missing = ()
            self._report(Status(self.device, state, reason, self._since_ns))

    def say(self, reason: str, severity: Severity | None = None) -> None:
        """Report something worth knowing without a change of state."""
        with self._lock:
            status = Status(self.device, self.state, reason, self._clock.now_ns())
            self._report(status if severity is None else replace(status, severity=severity))

    def data(self, t_ns: int, note: str = "delivering", track: str = "") -> None:
        """Data of a track arrived at `t_ns`; cheap while running."""
        self._data_ns = t_ns
        if self._first_ns is None:
            self._first_ns = t_ns
        if track in self._tracks:
            self._tracks[track].came(t_ns)
        if self.state in ("opening", "stalled", "recovering") and not self._late(t_ns):
            with self._lock:
                if self.state in ("opening", "stalled", "recovering"):
                    self.to("running", note)

    def _late(self, now_ns: int) -> tuple[str, ...]:
        """The tracks that do not deliver."""
        after_ns = round(self.options.stall_after_s * NS_PER_S)
        return tuple(name for name, track in self._tracks.items() if not track.fresh(now_ns, after_ns))

    @property
    def age_s(self) -> float:
        """Seconds since the last data (or since the device was opened)."""
        return (self._clock.now_ns() - self._data_ns) / NS_PER_S

    def watch(self) -> Action:
        """One look of the watchdog: may move to stalled; says when to reopen."""
        with self._lock:
            age = self.age_s
            all_late = len(self._late(self._clock.now_ns())) == len(self._tracks)
            if self.state == "running" and age > self.options.stall_after_s and all_late:
                self._missing = tuple(self._tracks)
                self.to("stalled", f"no data for {age:.1f} s")
            elif self.state in ("opening", "running", "recovering", "stalled"):
                self._watch_tracks()
            if self.state == "stalled" and age > self.options.lose_after_s:
                return "reopen"
            if self.state in ("opening", "recovering") and age > self.options.open_timeout_s:
                return "reopen"
            if self.state == "stalled" and self._part_s() > self._patience_s:
                self._patience_s = min(2 * self._patience_s, _MOST_PATIENT_S)
                return "reopen"
            return "none"

    def _watch_tracks(self) -> None:
        """One track delivers, another does not: say which."""
        now_ns = self._clock.now_ns()
        late = self._late(now_ns)
        after_ns = round(self.options.stall_after_s * NS_PER_S)
        first_ns = now_ns if self._first_ns is None else self._first_ns
        waited = all(now_ns - max(self._tracks[name].last_ns, first_ns) > after_ns for name in late)
        if not late or len(late) == len(self._tracks) or not waited or late == self._missing:
            return
        self._missing = late
        rest = " and ".join(name for name in self._tracks if name not in late)
        age = max((now_ns - self._tracks[name].last_ns) / NS_PER_S for name in late)
        reason = f"no {' and '.join(late)} for {age:.1f} s, while the {rest} goes on"
        if self.state == "stalled":
            self.say(reason)
        else:
            self.to("stalled", reason)

    def _part_s(self) -> float:
        """For how long a track has been missing while another delivered."""
        if len(self._missing) in (0, len(self._tracks)):
            return 0.0
        now_ns = self._clock.now_ns()
        return max((now_ns - self._tracks[name].last_ns) / NS_PER_S for name in self._missing)


_MOST_PATIENT_S = 3600.0
_SPACINGS = 5


class _Track:
    """When one track delivered last, and how often it does."""

    def __init__(self, since_ns: int) -> None:
        self.last_ns = since_ns
        self._any = False
        self._spacings: deque[int] = deque(maxlen=_SPACINGS)

    def came(self, t_ns: int) -> None:
        if self._any:
            self._spacings.append(t_ns - self.last_ns)
        self._any, self.last_ns = True, t_ns

    def fresh(self, now_ns: int, after_ns: int) -> bool:
        """Whether it delivers; a picture every five seconds is a slow track, not a stalled one."""
        usual_ns = 0
        if len(self._spacings) == _SPACINGS:
            usual_ns = sorted(self._spacings)[_SPACINGS // 2]
        return self._any and now_ns - self.last_ns <= max(after_ns, 3 * usual_ns)
