"""Fakes for the layer below the devices: a capture and a sound stream that the test drives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from avel_live.realtime.core.errors import SourceError
from avel_live.realtime.core.messages import Status
from avel_live.realtime.sources.capture import CameraOptions, CaptureFormat
from avel_live.realtime.sources.microphone import MicOptions, Opened
from avel_live.realtime.sources.portaudio import InputDevice


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = 15.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout_s:g} s")
        time.sleep(0.005)


class States:
    """Collects statuses."""

    def __init__(self) -> None:
        self.all: list[Status] = []

    def __call__(self, status: Status) -> None:
        self.all.append(status)

    @property
    def states(self) -> list[str]:
        out: list[str] = []
        for s in self.all:
            if not out or out[-1] != s.state:
                out.append(s.state)
        return out

    def said(self, text: str) -> bool:
        return any(text in s.reason for s in self.all)


class FakeCapture:
    """Like cv2.VideoCapture; `mode` decides what `grab` does: ok, fail, hang, stale (True, no news)."""

    def __init__(self, width: int = 64, height: int = 48, fps: float = 100.0) -> None:
        self.shape = (height, width, 3)
        self.mode = "ok"
        self.fps = fps
        self.released = threading.Event()
        self.unhang = threading.Event()
        self.count = 0
        self.retrieved = 0
        self.frozen = False

    def grab(self) -> bool:
        if self.mode == "fail":
            return False
        if self.mode == "hang":
            self.unhang.wait(20)
            return True
        time.sleep(1 / self.fps)
        self.count += 1
        return True

    def retrieve(self) -> tuple[bool, Any]:
        if self.mode == "stale":
            return False, None
        self.retrieved += 1
        image = np.zeros(self.shape, np.uint8)
        image[..., 0] = 200  # blue: OpenCV hands over BGR
        if not self.frozen:
            image[0, 0] = self.count % 251
            image[:, :, 1] = self.count % 7
        return True, image

    def release(self) -> None:
        self.released.set()


class FakeCameras:
    """An opener: hands out what is in `next`, or fails while it is None."""

    def __init__(self) -> None:
        self.next: Callable[[], FakeCapture] | None = FakeCapture
        self.opened: list[FakeCapture] = []

    def __call__(self, options: CameraOptions) -> tuple[Any, CaptureFormat]:
        if self.next is None:
            raise SourceError("camera fake: unplugged")
        capture = self.next()
        self.opened.append(capture)
        return capture, CaptureFormat(capture.shape[1], capture.shape[0], capture.fps, "MJPG", "FAKE")


class FakeStream:
    """Like sounddevice.InputStream; the test calls `deliver`."""

    def __init__(self, callback: Any, finished: Callable[[], None], rate: int, channels: int) -> None:
        self.callback, self.finished = callback, finished
        self.rate, self.channels = rate, channels
        self.active = False
        self.closed = False
        self.k = 0

    def start(self) -> None:
        self.active = True

    def abort(self, ignore_errors: bool = True) -> None:
        self.active = False

    def close(self, ignore_errors: bool = True) -> None:
        self.closed = True

    def deliver(self, n: int = 480, value: float | None = 0.1, overflow: bool = False) -> None:
        flags = type("Flags", (), {"input_overflow": overflow})()
        data = np.full((n, self.channels), 0.0 if value is None else value, np.float32)
        data[:, 1:] += 0.5
        self.callback(data, n, None, flags)
        self.k += 1

    def die(self) -> None:
        self.active = False
        self.finished()


class FakeMicrophones:
    """An opener: `rate` may change between openings; `absent` fails."""

    def __init__(self, rate: int = 48_000, channels: int = 2) -> None:
        self.rate, self.channels = rate, channels
        self.name = "USB microphone"
        self.absent = False
        self.opened: list[FakeStream] = []
        self.known: list[str | None] = []
        self.rescans = 0

    def __call__(self, options: MicOptions, callback: Any, finished: Any, known: str | None) -> Opened:
        self.known.append(known)
        if self.absent:
            raise SourceError("microphone fake: not there")
        stream = FakeStream(callback, finished, self.rate, self.channels)
        self.opened.append(stream)
        device = InputDevice(3, self.name, "ALSA", self.channels, self.rate)
        return Opened(stream, device, self.rate, self.channels)

    def rescan(self) -> bool:
        self.rescans += 1
        return True
