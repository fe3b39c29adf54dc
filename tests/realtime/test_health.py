"""States, legal transitions, the watchdog and the back-off, on a clock that stands still."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from avel_live.realtime.core.clock import ManualClock
from avel_live.realtime.sources.health import (
    LEGAL,
    Backoff,
    DeviceHealth,
    HealthOptions,
    IllegalTransitionError,
)
from hypothesis import given
from hypothesis import strategies as st
from support.devices import States


def make(**options: float) -> tuple[DeviceHealth, ManualClock, States]:
    clock, states = ManualClock(), States()
    return DeviceHealth("camera", clock, states, HealthOptions(**options)), clock, states


@pytest.mark.parametrize(("here", "there"), list(itertools.product(LEGAL, LEGAL)))
def test_only_legal_steps_are_possible(here: str, there: str) -> None:
    health, _, states = make()
    health.state = here  # type: ignore[assignment]
    if here == there:
        health.to(there, "again")  # type: ignore[arg-type]
        assert states.all == []
    elif there in LEGAL[here]:  # type: ignore[index]
        health.to(there, "why")  # type: ignore[arg-type]
        assert [(s.state, s.reason) for s in states.all] == [(there, "why")]
    else:
        with pytest.raises(IllegalTransitionError, match=f"{here} → {there}"):
            health.to(there, "why")  # type: ignore[arg-type]
        assert health.state == here


def test_what_is_failed_or_ended_never_runs_again() -> None:
    assert LEGAL["ended"] == frozenset()
    assert LEGAL["failed"] == {"ended"}


def test_watchdog_goes_by_the_age_of_the_data() -> None:
    health, clock, states = make(stall_after_s=1.0, lose_after_s=3.0)
    health.data(clock.now_ns(), "640x480")
    clock.advance(0.9)
    assert health.watch() == "none"
    clock.advance(0.2)
    assert health.watch() == "none"
    assert health.state == "stalled"
    clock.advance(1.0)
    health.data(clock.now_ns(), "back")
    assert health.state == "running"
    clock.advance(1.5)
    assert health.watch() == "none"
    clock.advance(2.0)
    assert health.watch() == "reopen"
    assert states.states == ["running", "stalled", "running", "stalled"]
    assert "1.1 s" in states.all[1].reason


def test_an_opened_device_that_delivers_nothing_is_reopened() -> None:
    health, clock, _ = make(open_timeout_s=5.0)
    clock.advance(4.9)
    assert health.watch() == "none"
    clock.advance(0.2)
    assert health.watch() == "reopen"


def test_recoveries_are_counted() -> None:
    health, clock, _ = make()
    health.data(clock.now_ns())
    health.to("lost", "unplugged")
    health.to("recovering", "attempt 1")
    health.data(clock.now_ns())
    assert (health.state, health.recoveries) == ("running", 1)


@given(st.floats(0.01, 10), st.floats(0.01, 100), st.integers(0, 10_000))
def test_backoff_doubles_and_is_bounded(first: float, longest: float, attempt: int) -> None:
    backoff = Backoff(first, longest)
    assert 0 < backoff.pause_s(attempt) <= longest
    assert backoff.pause_s(attempt) <= backoff.pause_s(attempt + 1) <= 2 * backoff.pause_s(attempt)


def test_a_device_of_two_tracks_runs_only_while_both_deliver() -> None:
    health, clock, states = make(stall_after_s=1.0, lose_after_s=3.0)
    health.expect("picture", "sound")

    def go(seconds: float, *tracks: str) -> list[str]:
        actions = []
        for _ in range(round(seconds * 10)):
            clock.advance(0.1)
            for track in tracks:
                health.data(clock.now_ns(), "delivering", track)
            actions.append(health.watch())
        return [a for a in actions if a != "none"]

    assert go(0.5, "sound") == []
    assert health.state == "opening"
    assert go(1.0, "sound") == []
    assert health.state == "stalled"
    assert states.all[-1].reason.startswith("no picture for 1.2 s, while the sound goes on")
    assert go(0.3, "picture", "sound") == []
    assert health.state == "running"
    assert go(1.5, "picture") == []
    assert states.all[-1].reason.startswith("no sound for 1.1 s, while the picture goes on")
    assert go(1.0) == []
    assert go(3.0) != []  # nothing at all: it is reopened


def test_a_track_is_missed_only_once_another_has_come() -> None:
    """Opening a playlist takes seconds; then its sound comes a moment before its picture."""
    health, clock, states = make(stall_after_s=1.0, lose_after_s=3.0)
    since_ns = clock.now_ns()
    clock.advance(1.5)
    health.expect("picture", "sound", since_ns=since_ns)
    health.data(clock.now_ns(), "delivering", "sound")
    assert health.watch() == "none"
    clock.advance(0.03)
    health.data(clock.now_ns(), "delivering", "picture")
    assert states.states == ["running"]


def test_a_track_that_stays_away_is_a_reason_to_reopen_with_growing_patience() -> None:
    health, clock, _ = make(stall_after_s=1.0, part_after_s=10.0)
    health.expect("picture", "sound")
    health.data(clock.now_ns(), "delivering", "picture")
    reopened = []
    for second in range(300):
        clock.advance(1.0)
        health.data(clock.now_ns(), "delivering", "sound")
        if health.watch() == "reopen":
            reopened.append(second)
            health.to("lost", "reopened")
            health.to("recovering", "attempt 1")
    assert np.diff([0, *reopened, 300]).tolist() == pytest.approx([10, 20, 40, 80, 150], abs=6)


def test_a_picture_every_five_seconds_is_a_slow_track_not_a_stalled_one() -> None:
    health, clock, states = make(stall_after_s=1.0)
    health.expect("picture")
    for k in range(100):
        clock.advance(0.5)
        if k % 10 == 0:
            health.data(clock.now_ns(), "delivering", "picture")
        health.watch()
        if k == 70:
            states.all.clear()
    assert states.all == []
    assert health.state == "running"
