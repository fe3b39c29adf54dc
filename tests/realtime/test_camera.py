"""The camera's thread and its watchdog, on a fake capture; and what is said about wrong cameras."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from avel_live.realtime.core.clock import SystemClock
from avel_live.realtime.core.errors import SourceError
from avel_live.realtime.core.messages import VideoFrame
from avel_live.realtime.core.redact import redact
from avel_live.realtime.sources import capture as capture_module
from avel_live.realtime.sources.camera import Camera
from avel_live.realtime.sources.capture import CameraOptions, csi_pipeline, has_gstreamer, open_capture
from avel_live.realtime.sources.detectors import BacklogFilter, FrozenDetector
from avel_live.realtime.sources.health import HealthOptions
from hypothesis import given
from hypothesis import strategies as st
from support.devices import FakeCameras, FakeCapture, States, wait_for

QUICK = HealthOptions(
    stall_after_s=0.3, lose_after_s=0.6, open_timeout_s=1.0, backoff_s=0.02, backoff_max_s=0.1
)


class Rig:
    def __init__(self, health: HealthOptions = QUICK, **options: object) -> None:
        self.cameras, self.states = FakeCameras(), States()
        self.frames: list[VideoFrame] = []
        self.camera = Camera(
            CameraOptions("fake", **options),  # type: ignore[arg-type]
            SystemClock(),
            self.frames.append,
            self.states,
            health,
            self.cameras,
        )
        self._stop = threading.Event()

    def watch(self) -> None:
        def loop() -> None:
            while not self._stop.wait(0.05):
                self.camera.watch()

        threading.Thread(target=loop, daemon=True).start()

    def reaches(self, *states: str) -> None:
        """Until the states of that order have been passed through."""

        def passed() -> bool:
            seen = iter(self.states.states)
            return all(any(s == wanted for s in seen) for wanted in states)

        wait_for(passed, f"states {states}")

    def close(self) -> None:
        self._stop.set()
        for capture in self.cameras.opened:
            capture.unhang.set()
        self.camera.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


def test_pictures_come_as_rgb_with_stamps_in_order(rig: Rig) -> None:
    rig.camera.start()
    wait_for(lambda: len(rig.frames) > 5, "frames")
    assert rig.frames[0].image[5, 5, 2] == 200  # blue last
    stamps = [f.t_ns for f in rig.frames]
    assert stamps == sorted(stamps)
    assert rig.states.states == ["running"]


def test_everything_is_grabbed_only_what_is_wanted_is_decoded() -> None:
    rig = Rig(wanted_fps=10.0)
    rig.camera.start()
    wait_for(lambda: rig.camera.grabbed > 100, "grabs")
    rig.close()
    assert rig.cameras.opened[0].retrieved <= 0.5 * rig.camera.grabbed


def test_a_slow_receiver_never_stops_the_grabbing() -> None:
    rig = Rig()
    busy = threading.Event()
    rig.camera._on_frame = lambda frame: (rig.frames.append(frame), busy.wait(0.05))[0]  # type: ignore[func-returns-value]
    rig.camera.start()
    wait_for(lambda: rig.camera.grabbed > 120, "grabs")
    rig.close()
    # 50 ms for each picture, at most half of the time: about one picture in ten grabs.
    assert len(rig.frames) < 0.35 * rig.camera.grabbed


def test_a_camera_that_fails_to_read_comes_back(rig: Rig) -> None:
    rig.watch()
    rig.camera.start()
    rig.reaches("running")
    rig.cameras.next = None
    rig.cameras.opened[0].mode = "fail"
    rig.reaches("running", "lost", "recovering", "lost")
    rig.cameras.next = lambda: FakeCapture(80, 60)
    rig.reaches("running", "lost", "recovering", "running")
    assert rig.cameras.opened[0].released.is_set()
    assert rig.states.said("came back as 80x60, was 64x48")
    assert rig.camera.health.recoveries == 1


def test_true_without_pictures_is_a_stall(rig: Rig) -> None:
    """An unplugged camera may go on returning True."""
    rig.watch()
    rig.camera.start()
    rig.reaches("running")
    rig.cameras.opened[0].mode = "stale"
    rig.reaches("running", "stalled", "lost", "recovering", "running")
    assert len(rig.cameras.opened) == 2


def test_a_thread_that_hangs_in_the_driver_is_abandoned(rig: Rig) -> None:
    rig.watch()
    rig.camera.start()
    rig.reaches("running")
    rig.cameras.opened[0].mode = "hang"
    rig.reaches("running", "stalled", "lost", "recovering", "running")
    before = len(rig.states.all)
    rig.cameras.opened[0].mode = "ok"
    rig.cameras.opened[0].unhang.set()  # it wakes up at last: nothing it does may count
    wait_for(rig.cameras.opened[0].released.is_set, "release of the abandoned capture")
    assert len(rig.states.all) == before
    assert rig.camera.health.state == "running"


def test_giving_up_is_final() -> None:
    rig = Rig(HealthOptions(backoff_s=0.02, backoff_max_s=0.05, give_up_s=0.2))
    rig.camera.start()
    rig.reaches("running")
    rig.cameras.next = None
    rig.cameras.opened[0].mode = "fail"
    rig.reaches("running", "lost", "recovering", "lost", "failed")
    rig.close()
    assert rig.camera.health.state == "failed"


def test_a_size_that_changes_while_running_is_said(rig: Rig) -> None:
    rig.camera.start()
    rig.reaches("running")
    rig.cameras.opened[0].shape = (96, 128, 3)
    wait_for(lambda: rig.states.said("now 128x96, was 64x48"), "message")


def test_a_frozen_picture_is_said() -> None:
    rig = Rig(frozen_after_s=0.3)
    rig.camera.start()
    rig.reaches("running")
    rig.cameras.opened[0].frozen = True
    wait_for(lambda: rig.states.said("has not changed at all"), "message")
    rig.cameras.opened[0].frozen = False
    wait_for(lambda: rig.states.said("moves again"), "message")
    rig.close()
    assert set(rig.states.states) == {"running", "ended"}


def test_frozen_is_said_once() -> None:
    detector = FrozenDetector(1.0)
    image = np.ones((48, 64, 3), np.uint8)
    lines = [detector.look(k * 100_000_000, image) for k in range(100)]
    assert sum(line is not None for line in lines) == 1


def test_backlog_after_a_pause_is_not_believed() -> None:
    backlog = BacklogFilter()
    t = 0
    for _ in range(50):
        t += 40_000_000
        assert backlog.fresh(t)
    t += 2_000_000_000
    assert not backlog.fresh(t)
    for _ in range(40):  # what piled up comes in one go
        t += 2_000_000
        assert not backlog.fresh(t)
    t += 40_000_000
    assert backlog.fresh(t)
    t += 40_000_000
    assert backlog.fresh(t)


@given(st.lists(st.integers(25, 60), min_size=1, max_size=200))
def test_no_picture_of_a_natural_pace_is_taken_for_backlog(steps_ms: list[int]) -> None:
    backlog, t = BacklogFilter(), 0
    for step in steps_ms:
        t += step * 1_000_000
        assert backlog.fresh(t)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("77", r"no such device /dev/video77; there (is no|are) /dev/video.*avel devices"),
        ("/dev/video78", "no such device /dev/video78"),
        ("front door", r"expected an index \(0\), a device \(/dev/video0\), an address"),
        ("csi:x", "expected csi:N"),
        (
            "http://me:geheim@127.0.0.1:9/x?token=geheim",
            r"http://\*\*\*@127.0.0.1:9/x\?token=\*\*\*: no picture",
        ),
    ],
)
def test_a_camera_that_is_not_there(spec: str, says: str) -> None:
    with pytest.raises(SourceError, match=says) as caught:
        open_capture(CameraOptions(spec, open_timeout_ms=1000))
    assert "geheim" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_permission_names_the_group(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(capture_module.os, "access", lambda path, mode: False)
    with pytest.raises(SourceError, match="usermod -aG video"):
        open_capture(CameraOptions("/dev/null"))


def test_csi_without_gstreamer_says_where_to_get_it() -> None:
    assert not has_gstreamer()  # pip's OpenCV never has it
    with pytest.raises(SourceError, match=r"no GStreamer.*python3-opencv"):
        open_capture(CameraOptions("csi:0"))


def test_csi_pipeline_names_sensor_size_and_rate() -> None:
    text = csi_pipeline(1, (1920, 1080), 60)
    assert "sensor-id=1 " in text
    assert "width=1920,height=1080,framerate=60/1" in text
    assert text.endswith("appsink drop=true max-buffers=1")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("rtsp://bob:s3cret@10.0.0.2:554/a", "rtsp://***@10.0.0.2:554/a"),
        ("rtsp://bob:p@ss@cam/a b", "rtsp://***@cam/a b"),
        ("rtsp://bob:p/s?s#@cam/a", "rtsp://***@cam/a"),
        ("see http://h/x?user=a&password=b#c.", "see http://h/x?user=***&password=***#c."),
        ("http://h/x?channel=2", "http://h/x?channel=2"),
        ("rtsp:/bob:s3cret@cam: no such file", "rtsp:/***@cam: no such file"),
        ("no address: a@b", "no address: a@b"),
    ],
)
def test_credentials_are_redacted(text: str, clean: str) -> None:
    assert redact(text) == clean


@given(
    user=st.text(st.characters(categories=("L", "N")), min_size=1, max_size=8),
    password=st.text(st.characters(categories=("L", "N", "P"), exclude_characters="'\""), min_size=4),
)
def test_no_password_survives(user: str, password: str) -> None:
    secret = "§" + password
    assert "§" not in redact(f"camera rtsp://{user}:{secret}@cam.local/live is gone")
