"""Camera and microphone as one source, both faked: one goes, the other goes on; nobody left, it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from avel_live.realtime.config.schema import Config
from avel_live.realtime.core.clock import SystemClock
from avel_live.realtime.core.errors import SourceError, UsageError
from avel_live.realtime.session.sources import live_options, make_source
from avel_live.realtime.sources.camera import Camera
from avel_live.realtime.sources.capture import CameraOptions
from avel_live.realtime.sources.health import HealthOptions
from avel_live.realtime.sources.live import LiveOptions, LiveSource
from avel_live.realtime.sources.microphone import MicOptions, Microphone
from avel_live.realtime.sources.network import NetworkSource
from support.devices import FakeCameras, FakeMicrophones
from support.watching import Viewer

QUICK = HealthOptions(
    stall_after_s=1.0, lose_after_s=2.0, open_timeout_s=4.0, backoff_s=0.02, backoff_max_s=0.1, give_up_s=1.5
)


class Rig:
    """A live source on fakes, with somebody speaking into the microphone every 10 ms."""

    def __init__(self) -> None:
        clock = SystemClock()
        self.cameras, self.microphones = FakeCameras(), FakeMicrophones()
        options = LiveOptions(CameraOptions("fake"), MicOptions(), wait_s=1.0, camera_health=QUICK)
        self.source = LiveSource(options, clock)
        source = self.source
        source.camera = Camera(
            CameraOptions("fake"), clock, source.take_frame, source._buffer.put, QUICK, self.cameras
        )
        source.microphone = Microphone(
            MicOptions(), clock, source.take_block, source.take_status, QUICK, self.microphones,
            self.microphones.rescan,
        )  # fmt: skip
        self.speaking = threading.Event()
        self.speaking.set()
        self._stop = threading.Event()
        threading.Thread(target=self._speak, daemon=True).start()

    def _speak(self) -> None:
        stream, begun, said = None, 0.0, 0
        while not self._stop.wait(0.005):
            newest = self.microphones.opened[-1] if self.microphones.opened else None
            if newest is not stream or not self.speaking.is_set():
                stream, begun, said = newest, time.monotonic(), 0
            if stream is None or not stream.active or not self.speaking.is_set():
                continue
            while said < (time.monotonic() - begun) * 100:  # in step with the clock, however busy the machine
                stream.deliver(480)
                said += 1

    def close(self) -> None:
        self._stop.set()
        self.source.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


def test_each_device_fails_alone_and_both_end_the_stream(rig: Rig) -> None:
    rig.source.open()
    assert rig.source.info.kind == "live"
    assert "USB microphone" in rig.source.info.audio
    viewer = Viewer(rig.source)
    viewer.watch(30.0, until=lambda: len(viewer.segments) >= 2)
    assert rig.source.skew_ms is not None
    rig.cameras.next = None
    for capture in rig.cameras.opened:
        capture.mode = "fail"
    viewer.watch(40.0, until=lambda: viewer.states("camera")[-1] == "failed")
    gone = viewer.now_s()
    viewer.watch(30.0, until=lambda: viewer.segments[-1].start_ns / 1e9 > gone + 0.5)
    assert viewer.segments[-1].sound
    assert not viewer.segments[-1].video
    assert viewer.ended is None
    rig.microphones.absent = True
    rig.microphones.opened[-1].die()
    viewer.watch(40.0, until=lambda: viewer.ended)
    assert viewer.ended is not None
    assert viewer.ended.reason == "every device is lost for good"
    viewer.check_segments()
    assert rig.source.read(0.0) == viewer.ended


def test_a_microphone_that_says_nothing_does_not_hold_up_the_camera(rig: Rig) -> None:
    rig.speaking.clear()
    rig.source.open()
    viewer = Viewer(rig.source)
    viewer.watch(30.0, until=lambda: viewer.segments)
    assert viewer.segments[0].video
    assert not viewer.segments[0].sound
    rig.speaking.set()
    viewer.watch(40.0, until=lambda: any(s.sound for s in viewer.segments))


def test_a_device_that_is_not_there_closes_the_other(rig: Rig) -> None:
    rig.cameras.next = None
    with pytest.raises(SourceError, match="unplugged"):
        rig.source.open()
    assert rig.microphones.opened[0].closed


def test_two_that_say_nothing_are_an_error(rig: Rig) -> None:
    rig.speaking.clear()
    rig.cameras.next = lambda: _mute()
    with pytest.raises(SourceError, match=r"opened, but nothing was delivered within \d+ s"):
        rig.source.open()


def _mute() -> object:
    from support.devices import FakeCapture

    capture = FakeCapture()
    capture.mode = "stale"
    return capture


def test_configuration_becomes_options() -> None:
    options = live_options(
        Config(camera="rtsp://a:b@c/d", mic="USB", size="640x480", fps=15, channel=2, sync_offset_ms=-40),
        10.0,
    )
    assert options.camera == CameraOptions("rtsp://a:b@c/d", (640, 480), 15.0, wanted_fps=8.0)
    assert options.microphone == MicOptions("USB", 2)
    assert options.camera_delay_ms == 40.0  # shifting the camera's time by -40 ms; overrides the calibration
    assert live_options(Config(), 10.0).camera_delay_ms == 10.0
    assert live_options(Config(camera="none"), 0.0).camera is None
    with pytest.raises(UsageError):
        LiveSource(LiveOptions(), SystemClock())


def test_an_address_for_both_becomes_a_network_source() -> None:
    source = make_source(Config(url="rtsp://a:secret@c/d", mic="none"), SystemClock())
    assert isinstance(source, NetworkSource)
    assert not source.options.audio
    assert "secret" not in source.info.name
    source.close()
