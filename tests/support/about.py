"""What an output is told about its stream, and somebody who listens to its reports."""

from __future__ import annotations

from collections.abc import Callable

from avel_live.realtime.core.clock import Clock, SystemClock, wall_clock_s
from avel_live.realtime.core.messages import Status
from avel_live.realtime.core.states import Severity, State
from avel_live.realtime.sinks.base import About


class Said(list[Status]):
    """A `Report` that remembers."""

    def __call__(self, device: str, state: State, reason: str, severity: Severity | None = None) -> None:
        self.append(
            Status(device, state, reason, 0)
            if severity is None
            else Status(device, state, reason, 0, severity)
        )


def about(
    said: Said | None = None,
    clock: Clock | None = None,
    *,
    name: str = "avel",
    live: bool = True,
    flush_s: float | None = None,
    wall_s: Callable[[], float] = wall_clock_s,
) -> About:
    """A live stream on the machine's clock, unless told otherwise."""
    report = Said() if said is None else said
    return About(name, live, report, clock or SystemClock(), wall_s, flush_s)
