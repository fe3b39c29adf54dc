"""The sender's clock that steps, lags and comes in bursts: pure arithmetic, no sockets."""

from __future__ import annotations

import numpy as np
import pytest
from avel_live.realtime.core.clock import NS_PER_S
from avel_live.realtime.sources.clocks.sender import SenderClock, Stamped, step_words
from hypothesis import given, settings
from hypothesis import strategies as st

START = 10**15


def packet(track: str, stamp_s: float, now_s: float, length_s: float = 0.04) -> Stamped:
    pts = round(stamp_s * NS_PER_S)
    return Stamped(pts, START + round(now_s * NS_PER_S), track, pts, round(length_s * NS_PER_S))


@settings(max_examples=25)
@given(
    step_s=st.one_of(st.floats(-90_000, -0.5), st.floats(1.5, 90_000)),
    delays=st.lists(st.floats(0, 0.3), min_size=200, max_size=200),
    sound_lags=st.integers(0, 20),
    at=st.integers(30, 100),
)
def test_both_tracks_follow_a_step_by_one_decision(
    step_s: float, delays: list[float], sound_lags: int, at: int
) -> None:
    """25 pictures and 25 blocks of sound a second; the sound is sent up to 0.8 s after its picture."""
    clock = SenderClock()
    clock.begin(START)
    placed: dict[str, list[tuple[int, float]]] = {"video": [], "audio": []}
    for k in range(200):
        now_s = k * 0.04 + delays[k]
        for track, number in (("video", k), ("audio", k - sound_lags)):
            if number >= 0:
                stamp_s = 1000 + number * 0.04 + (step_s if number >= at else 0.0)
                placed[track].append((number, clock.place_packet(packet(track, stamp_s, now_s)) / NS_PER_S))
    (told,) = clock.steps()
    assert told / NS_PER_S == pytest.approx(step_s, abs=0.5)
    video, audio = dict(placed["video"]), dict(placed["audio"])
    for number in audio:
        assert video[number] == pytest.approx(audio[number], abs=1e-6)  # in step before and after
    times = [video[k] for k in range(200)]
    assert max(np.diff(times)) < 0.5
    assert times[-1] == pytest.approx(200 * 0.04, abs=0.7)


@settings(max_examples=25)
@given(step_s=st.floats(-0.24, 0.99), at=st.integers(30, 100), again=st.integers(110, 180))
def test_a_step_below_a_second_costs_its_own_length_and_no_more(step_s: float, at: int, again: int) -> None:
    """No telling it from a link that got faster: both tracks keep their stamps, nothing is late for it."""
    clock = SenderClock()
    clock.begin(START)
    placed: dict[str, list[float]] = {"video": [], "audio": []}
    for k in range(200):
        stamp_s = 1000 + k * 0.04 + step_s * ((k >= at) + (k >= again))
        for track, times in placed.items():
            times.append(clock.place_packet(packet(track, stamp_s, k * 0.04)) / NS_PER_S)
    assert placed["video"] == placed["audio"]
    steps = np.diff(placed["video"])
    assert max(steps) < max(0.0, step_s) + 0.05
    assert min(steps) > min(0.0, step_s)
    present = clock.present_ns(START + round(200 * 0.04 * NS_PER_S))
    assert present is not None
    assert -0.05 < present / NS_PER_S - placed["video"][-1] < 2 * max(0.0, -step_s) + 0.05


def test_a_step_back_that_was_taken_for_the_end_of_the_counter_is_called_one_back() -> None:
    counter_s = 2**33 / 90_000  # MPEG's: FFmpeg goes on counting above it
    assert "stepped back by 7200.0 s" in step_words(round((counter_s - 7200) * NS_PER_S))
    assert "stepped back by 8.2 s" in step_words(round(-8.2 * NS_PER_S))
    assert "stepped forward by 7190.5 s" in step_words(round(7190.5 * NS_PER_S))
    assert "stepped forward by 100000.0 s" in step_words(100_000 * NS_PER_S)


def test_a_loss_is_no_step() -> None:
    """A link that is down for 5 s: what comes then was sent then, or all at once."""
    for caught_up in (False, True):
        clock = SenderClock()
        clock.begin(START)
        for k in range(50):
            clock.place_packet(packet("video", k * 0.04, k * 0.04))
        first = 50 if caught_up else 175
        for k in range(first, 300):
            clock.place_packet(packet("video", k * 0.04, max(7.0, k * 0.04)))
        assert clock.steps() == []


def test_what_came_first_is_of_the_past_its_end_is_the_present() -> None:
    """A server that sends two seconds at once, sound 0.5 s behind: nothing is waited for twice."""
    clock = SenderClock()
    clock.begin(START)
    burst = [packet("video", k * 0.04, 1.0) for k in range(50)]
    burst += [packet("audio", k * 0.04, 1.0) for k in range(38)]
    times = clock.place_first(burst)
    present = clock.present_ns(START + NS_PER_S)
    assert present == pytest.approx(NS_PER_S, abs=1)
    assert times[-1] == pytest.approx(present, abs=1)
    assert times[49] - times[87] == 12 * 40_000_000
    assert times[0] < 0


@settings(max_examples=25)
@given(
    segment=st.integers(2, 12),
    late=st.lists(st.floats(0, 3), min_size=30, max_size=30),
    waiting=st.integers(1, 3),
)
def test_segments_are_taken_in_step_from_the_first_on(segment: int, late: list[float], waiting: int) -> None:
    """A playlist: `waiting` segments at once, then one whenever it is ready, give or take."""
    clock = SenderClock(paced=True)
    clock.begin(START)
    lates, arrival = 0, 0.0
    for number, delay in enumerate(late):
        arrival = max(arrival, max(0, number - waiting + 1) * segment + (delay if number >= waiting else 0.0))
        for k in range(segment * 5):
            t_ns = clock.place_packet(packet("video", number * segment + k / 5, arrival, 0.2))
            present = clock.present_ns(START + round(arrival * NS_PER_S)) or 0
            lates += present - t_ns > 200_000_000
    assert clock.steps() == []
    assert lates == 0  # what comes late is moved, not lost
    assert clock.present_ns(START) == pytest.approx(arrival * NS_PER_S, abs=10)
