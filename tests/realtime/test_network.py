"""Network streams: a real RTSP server on loopback, and the sender's clock by itself."""

from __future__ import annotations

import pytest
from avel_live.realtime.core.clock import SystemClock
from avel_live.realtime.core.errors import SourceError
from avel_live.realtime.core.messages import EndOfStream
from avel_live.realtime.sources.clocks.sender import SenderClock
from avel_live.realtime.sources.connect import NetworkOptions
from avel_live.realtime.sources.health import HealthOptions
from avel_live.realtime.sources.network import NetworkSource
from hypothesis import given
from hypothesis import strategies as st
from support.rtsp import RtspServer
from support.watching import Viewer

FRAME_MS = 1000 / 25
HEALTH = HealthOptions(
    stall_after_s=1.0, lose_after_s=10.0, open_timeout_s=30.0, backoff_s=0.3, backoff_max_s=1.0
)


def open_stream(server: RtspServer) -> NetworkSource:
    source = NetworkSource(NetworkOptions(server.url, read_timeout_s=2.5, health=HEALTH), SystemClock())
    source.open()
    return source


def test_rtsp_in_step_through_stall_loss_and_return() -> None:
    server = RtspServer()
    source = open_stream(server)
    try:
        assert source.info.kind == "network"
        assert "320x240" in source.info.video
        assert "48000 Hz" in source.info.audio
        viewer = Viewer(source)
        assert viewer.measured_skew_ms(from_s=0.5) == pytest.approx(0.0, abs=FRAME_MS)
        assert source.skew_ms is None
        assert any(s.video and s.sound for s in viewer.segments[-4:])
        # A short stall: the connection outlives it.
        server.stall()
        viewer.watch(20.0, until=lambda: viewer.passed("stream", "running", "stalled"))
        server.resume()
        viewer.watch(20.0, until=lambda: viewer.states("stream")[-1] == "running")
        # A long one: the connection is given up and made anew.
        server.stall()
        viewer.watch(30.0, until=lambda: viewer.passed("stream", "running", "stalled", "lost", "recovering"))
        server.resume()
        viewer.watch(40.0, until=lambda: viewer.states("stream")[-1] == "running")
        # Gone and back.
        viewer.watch(1.0)
        server.kill()
        viewer.watch(20.0, until=lambda: viewer.states("stream")[-1] == "lost")
        gone_s = viewer.now_s()
        viewer.watch(2.5)
        server = RtspServer(server.port)
        viewer.watch(40.0, until=lambda: viewer.states("stream")[-1] == "running")
        back_s = viewer.now_s()
        assert viewer.measured_skew_ms(from_s=back_s) == pytest.approx(0.0, abs=FRAME_MS)
        viewer.check_segments()
        missing = [
            s for s in viewer.segments if s.start_ns / 1e9 > gone_s + 0.5 and s.end_ns / 1e9 < back_s - 0.5
        ]
        assert not any(s.video or s.sound for s in missing)
        assert any(s.video and s.sound for s in viewer.segments[-4:])
        assert not any(word in line for line in viewer.lines for word in ("Traceback", "Error("))
    finally:
        source.close()
        server.kill()
    viewer.watch(5.0, until=lambda: viewer.ended)
    assert isinstance(viewer.ended, EndOfStream)


def test_an_offset_in_the_stream_is_seen() -> None:
    """The measure can fail: a beep 200 ms late is 200 ms late."""
    with RtspServer(audio_delay_ms=200) as server:
        source = open_stream(server)
        try:
            assert Viewer(source).measured_skew_ms(from_s=0.5) == pytest.approx(-200.0, abs=FRAME_MS)
        finally:
            source.close()


@pytest.mark.parametrize(
    "url", ["rtsp://me:geheim@127.0.0.1:9/x", "http://me:geheim@127.0.0.1:9/x?token=geheim"]
)
def test_a_stream_that_is_not_there(url: str) -> None:
    source = NetworkSource(NetworkOptions(url, open_timeout_s=2.0), SystemClock())
    with pytest.raises(
        SourceError, match=r"stream \w+://\*\*\*@127.0.0.1:9/x.*refused.*check the address"
    ) as caught:
        source.open()
    assert "geheim" not in str(caught.value)
    assert "geheim" not in str(source.info)
    source.close()


@given(
    ppm=st.floats(-300, 300),
    delays=st.lists(st.floats(0, 0.5), min_size=20, max_size=60),
    hours=st.floats(0.01, 48),
)
def test_the_present_follows_the_senders_clock(ppm: float, delays: list[float], hours: float) -> None:
    clock = SenderClock()
    start = 10**15
    clock.place(0, start)
    step_s = max(41.0, hours * 3600 / len(delays))  # time only goes on
    present = 0
    for k, delay in enumerate([*delays, *delays[:5]], 1):
        for part in (0.0, 10.0, 20.0, 40.0):  # some packets close together: one of them came quickly
            sent_s = k * step_s + part
            now = start + round((sent_s * (1 + ppm * 1e-6) + (delay if part < 40 else 0.0)) * 1e9)
            t_ns = clock.place(round(sent_s * 1e9), now)
            assert t_ns == round(sent_s * 1e9)
            seen = clock.present_ns(now)
            assert seen is not None
            assert seen >= present
            assert seen >= t_ns - 1 - clock.held_ns
            present = seen


def test_a_reconnection_goes_on_where_the_present_is() -> None:
    clock = SenderClock()
    for k in range(100):
        clock.place(k * 40_000_000, 10**9 + k * 40_000_000)
    clock.reconnected()
    now = 10**9 + 100 * 40_000_000 + 7 * 10**9
    t_ns = clock.place(123_456_789_000, now)
    assert t_ns == pytest.approx(11 * 10**9, abs=50_000_000)
    assert clock.place(123_496_789_000, now + 40_000_000) == t_ns + 40_000_000


def test_the_present_waits_for_packets_that_usually_come_late() -> None:
    clock, held = SenderClock(), []
    for k in range(2000):
        late_s = 0.0 if k % 50 == 0 else 0.8  # a radio link: few packets come at once
        clock.place(k * 40_000_000, 10**9 + k * 40_000_000 + round(late_s * 1e9))
        held.append(clock.held_ns)
    assert held[-1] == 650_000_000
    for k in range(2000, 4000):
        clock.place(k * 40_000_000, 10**9 + k * 40_000_000)
    assert clock.held_ns == 0
