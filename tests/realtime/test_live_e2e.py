"""Real OpenCV on an HTTP-MJPEG camera, real PortAudio on a Pulse null sink: flash and beep, then trouble.

The servers are processes of their own on loopback; they are stopped (SIGSTOP), killed and started again.
A missing package fails these tests, it does not skip them.
"""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from avel_live.realtime.commands.doctor import checks as diagnosis
from avel_live.realtime.core.clock import SystemClock
from avel_live.realtime.sources import portaudio
from avel_live.realtime.sources.capture import CameraOptions
from avel_live.realtime.sources.health import HealthOptions
from avel_live.realtime.sources.live import LiveOptions, LiveSource
from avel_live.realtime.sources.microphone import MicOptions
from support.mjpeg import MjpegServer
from support.pulse import Beeper, PulseServer
from support.watching import Viewer

FRAME_MS = 1000 / 30
QUICK = HealthOptions(backoff_s=0.3, backoff_max_s=1.0)
QUICK_MIC = HealthOptions(
    stall_after_s=0.7, lose_after_s=2.5, open_timeout_s=4.0, backoff_s=0.3, backoff_max_s=1.0
)


def open_both(camera: MjpegServer, delay_ms: float = 0.0) -> LiveSource:
    options = LiveOptions(
        CameraOptions(camera.url),
        MicOptions("default"),
        camera_delay_ms=delay_ms,
        camera_health=QUICK,
        microphone_health=QUICK_MIC,
    )
    source = LiveSource(options, SystemClock())
    source.open()
    return source


@pytest.mark.parametrize(
    ("injected_ms", "corrected_ms"), [(0.0, 0.0), (120.0, 0.0), (-200.0, 0.0), (120.0, 120.0)]
)
def test_measured_skew_is_the_injected_one(
    pulse: PulseServer, injected_ms: float, corrected_ms: float
) -> None:
    with MjpegServer(flash_offset_s=injected_ms / 1e3) as camera, Beeper(pulse):
        source = open_both(camera, corrected_ms)
        try:
            # The first two seconds are left out: the player's own buffer finds its level in them.
            viewer = Viewer(source)
            assert viewer.measured_skew_ms(from_s=2.0, count=6) == pytest.approx(
                injected_ms - corrected_ms, abs=FRAME_MS
            )
            assert abs(source.skew_ms or 0.0) < 15.0
            viewer.check_segments()
            assert all(s.video and s.sound for s in viewer.segments[1:])
            assert viewer.lines[-1].startswith(("camera running", "microphone running"))
        finally:
            source.close()


def test_camera_trouble_leaves_the_sound_alone(pulse: PulseServer) -> None:
    with Beeper(pulse):
        camera = MjpegServer()
        source = open_both(camera)
        try:
            viewer = Viewer(source).watch(3.0)
            # A stall: the server stops in the middle of everything, and goes on.
            camera.stall()
            viewer.watch(16.0, until=lambda: viewer.passed("camera", "running", "stalled"))
            camera.resume()
            viewer.watch(30.0, until=lambda: viewer.states("camera")[-1] == "running")
            # Gone, and back with another size.
            camera.kill()
            gone_s = viewer.now_s()
            viewer.watch(30.0, until=lambda: viewer.passed("camera", "stalled", "lost", "recovering", "lost"))
            viewer.watch(2.5)
            camera = MjpegServer(camera.port, width=400, height=304)
            viewer.watch(40.0, until=lambda: viewer.states("camera")[-1] == "running")
            back_s = viewer.now_s()
            skew_ms = viewer.measured_skew_ms(from_s=back_s + 0.5)
            assert any("came back as 400x304, was 320x240" in line for line in viewer.lines)
            assert viewer.states("microphone")[-1] == "running"
            viewer.check_segments()
            dark = [s for s in viewer.segments if s.start_ns / 1e9 > gone_s and s.end_ns / 1e9 < back_s]
            assert dark
            assert not any(s.video for s in dark)
            heard = [s.audio_fraction for s in viewer.segments[1:-1]]
            assert min(heard) > 0.5
            assert sorted(heard)[len(heard) // 2] == 1.0
            assert viewer.segments[-1].video
            assert skew_ms == pytest.approx(0.0, abs=FRAME_MS)
        finally:
            source.close()
            camera.kill()


def test_microphone_trouble_leaves_the_picture_alone(pulse: PulseServer) -> None:
    with MjpegServer() as camera:
        beeper = Beeper(pulse)
        source = open_both(camera)
        try:
            viewer = Viewer(source).watch(3.0)
            # The sound server dies and is started again.
            pulse.kill()
            beeper.close()
            gone_s = viewer.now_s()
            viewer.watch(
                30.0, until=lambda: viewer.passed("microphone", "running", "lost", "recovering", "lost")
            )
            viewer.watch(3.5)  # long enough for a whole second without sound
            pulse.start()
            beeper = Beeper(pulse)
            viewer.watch(40.0, until=lambda: viewer.states("microphone")[-1] == "running")
            back_s = viewer.now_s()
            assert viewer.measured_skew_ms(from_s=back_s + 2.0) == pytest.approx(0.0, abs=FRAME_MS)
            quiet = [
                s for s in viewer.segments if s.start_ns / 1e9 > gone_s and s.end_ns / 1e9 < back_s - 0.7
            ]
            assert quiet
            assert not any(s.sound for s in quiet)
            assert all(s.video for s in viewer.segments)
            # A stall of the sound server, longer than the patience.
            pulse.stall()
            viewer.watch(30.0, until=lambda: viewer.passed("microphone", "running", "stalled", "lost"))
            pulse.resume()
            viewer.watch(40.0, until=lambda: viewer.states("microphone")[-1] == "running")
            # Reopened at another rate.
            assert source.microphone is not None
            source.microphone.options = replace(source.microphone.options, rate=16_000)
            pulse.kill()
            beeper.close()
            viewer.watch(20.0, until=lambda: viewer.states("microphone")[-1] == "lost")
            pulse.start()
            beeper = Beeper(pulse)
            viewer.watch(40.0, until=lambda: viewer.states("microphone")[-1] == "running")
            again_s = viewer.now_s()
            assert viewer.measured_skew_ms(from_s=again_s + 2.0) == pytest.approx(0.0, abs=FRAME_MS)
            assert any("at 16000 Hz, was" in line for line in viewer.lines)
            assert viewer.states("camera") == ["running"]
            viewer.check_segments()
        finally:
            source.close()
            beeper.close()


def test_a_reader_that_sleeps_gets_fresh_pictures_and_a_count(pulse: PulseServer) -> None:
    with MjpegServer(fps=30) as camera, Beeper(pulse):
        source = open_both(camera)
        try:
            viewer = Viewer(source).watch(2.0)
            assert source.dropped == 0
            time.sleep(6.0)
            viewer.late_s.clear()
            viewer.watch(4.0)
            assert source.dropped > 0
            assert set(source.drop_causes) <= {"older than the reader may lag", "too much sound waiting"}
            # What came after the nap is as fresh as ever: nothing piled up in OpenCV or the socket.
            assert sorted(viewer.late_s[-30:])[15] < 0.3
            assert any("overloaded" in line for line in viewer.lines)
            assert viewer.states("camera") == ["running"]
        finally:
            source.close()


def test_closing_is_quick_and_leaves_no_stream_open(pulse: PulseServer) -> None:
    with MjpegServer() as camera:
        source = open_both(camera)
        camera.stall()
        begun = time.monotonic()
        source.close()
        source.close()
        assert time.monotonic() - begun < 6.0
        assert portaudio._open_streams == 0


def test_the_doctor_sees_what_is_wrong_with_this_set_up(pulse: PulseServer) -> None:
    found = {c.name: c for check in (diagnosis.sound_server, diagnosis.microphones) for c in check()}
    assert found["sound server"].state == "ok"
    assert found["microphone"].state == "missing"
    assert "fake.monitor, which records what is played" in found["microphone"].found
    assert "pactl set-default-source" in found["microphone"].fix
