"""Health is kept per device: whatever is said, in whatever order, one that is away counts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from avel_live.realtime.core.clock import ManualClock
from avel_live.realtime.core.messages import Status
from avel_live.realtime.sinks.metrics import MetricsOptions, MetricsSink
from avel_live.realtime.sinks.presence import Presence
from avel_live.realtime.sinks.switchboard import Switchboard
from avel_live.realtime.sources.health import LEGAL, DeviceHealth, HealthOptions
from avel_live.realtime.ui.state import ScreenState, is_well
from hypothesis import given
from hypothesis import strategies as st
from support.about import about
from support.stream import make_start

DEVICES = ("camera", "microphone", "stream")
ASIDES = (
    "damaged",
    "truncated",
    "late",
    "overloaded",
    "effort",
    "reloaded",
    "failing",
    "dropping",
    "overrun",
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(10**12)


@pytest.fixture
def sink(clock: ManualClock) -> Iterator[MetricsSink]:
    sink = MetricsSink(MetricsOptions(0), about(clock=clock))
    sink.start(make_start())
    yield sink
    sink.close()


def test_a_camera_that_is_being_reopened_is_still_gone(sink: MetricsSink, clock: ManualClock) -> None:
    health = DeviceHealth("camera", clock, sink.status, HealthOptions())
    health.data(clock.now_ns())
    assert sink.troubles() == {}
    health.to("lost", "unplugged")
    for attempt in range(3):
        health.to("recovering", f"attempt {attempt}")
        assert sink.troubles() == {"camera": f"recovering: attempt {attempt}"}
        health.to("lost", "no such device")
        health.say("frozen")
        assert "camera" in sink.troubles()
    health.to("recovering", "attempt 4")
    health.data(clock.now_ns())
    assert sink.troubles() == {}


def test_words_about_damage_do_not_bring_a_stream_back(sink: MetricsSink, clock: ManualClock) -> None:
    sink.status(Status("stream", "lost", "nothing came", 0))
    for state in ASIDES:
        sink.status(Status("stream", state, "1 packet could not be decoded", 0))  # type: ignore[arg-type]
    assert sink.troubles() == {"stream": "lost: nothing came"}
    clock.advance(60)
    assert sink.troubles() == {"stream": "no answer for 60 s; lost: nothing came"}


def test_one_device_does_not_heal_another(sink: MetricsSink) -> None:
    sink.status(Status("camera", "lost", "unplugged", 0))
    sink.status(Status("microphone", "running", "", 0))
    sink.status(Status("machine", "running", "keeps up again", 0))
    assert set(sink.troubles()) == {"camera"}


steps = st.lists(
    st.one_of(
        st.tuples(st.just("to"), st.sampled_from(DEVICES), st.integers(0, 3)),
        st.tuples(st.just("say"), st.sampled_from(DEVICES), st.just(0)),
        st.tuples(st.just("aside"), st.sampled_from((*DEVICES, "machine", "mqtt")), st.integers(0, 99)),
    ),
    max_size=40,
)


@given(steps)
def test_what_is_away_is_what_the_devices_say_they_are(script: list[tuple[str, str, int]]) -> None:
    """Real device states along every legal path, with any other words between."""
    clock, presence, screen = ManualClock(), Presence(), ScreenState()

    def told(status: Status) -> None:
        presence.take(status)
        screen.take_status(status)

    healths = {device: DeviceHealth(device, clock, told, HealthOptions()) for device in DEVICES}
    gone: set[str] = set()
    for what, device, number in script:
        if what == "aside":
            told(Status(device, ASIDES[number % len(ASIDES)], "", 0))  # type: ignore[arg-type]
            continue
        health = healths[device]
        if what == "say":
            health.say("something")
        elif LEGAL[health.state]:
            choices = sorted(LEGAL[health.state])
            health.to(choices[number % len(choices)], "why")
        if health.state in ("stalled", "lost", "recovering", "failed"):
            gone.add(device)
        elif health.state == "running":
            gone.discard(device)
    assert set(presence.all) == gone
    assert {d for d in gone if not is_well(screen.devices[d])} == gone


def test_a_server_that_comes_with_a_reload_knows_what_is_away(sink: MetricsSink, clock: ManualClock) -> None:
    board = Switchboard([sink])
    board.start(make_start())
    board.status(Status("camera", "lost", "unplugged", 0))
    board.status(Status("mqtt", "running", "", 0))
    other = MetricsSink(MetricsOptions(0), about(clock=clock))
    board.exchange([sink], [other])
    assert other.troubles() == {"camera": "lost: unplugged"}
    board.close()


def test_a_lost_camera_is_not_crowded_off_the_screen() -> None:
    screen = ScreenState()
    screen.take_status(Status("camera", "lost", "unplugged", 0))
    for number in range(20):
        screen.take_status(Status(f"output {number}", "running", "", 0))
    assert screen.devices["camera"].state == "lost"
