"""Looking at devices: which there are, and what each really delivers when it is opened for a moment."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...model.level import dbfs
from ..core.clock import NS_PER_S, Clock
from ..core.errors import SourceError
from ..core.messages import AudioBlock, Status, VideoFrame
from ..core.redact import redact
from .camera import Camera
from .capture import CameraOptions, camera_paths
from .clocks import ClockFit
from .microphone import MicOptions, Microphone
from .portaudio import InputDevice, looks_like_monitor


@dataclass(frozen=True, slots=True)
class CameraDevice:
    """A camera as the system names it."""

    spec: str
    name: str


def cameras() -> list[CameraDevice]:
    """Cameras of this machine (those that capture: a webcam has a second node for metadata)."""
    found = []
    for path in camera_paths():
        node = Path("/sys/class/video4linux") / Path(path).name
        name = index = ""
        with contextlib.suppress(OSError):
            name = (node / "name").read_text().strip()
            index = (node / "index").read_text().strip()
        if index in ("", "0"):
            found.append(CameraDevice(path, name or "camera"))
    return found


@dataclass(frozen=True, slots=True)
class CameraResult:
    """What a camera did. `fps` is measured, `granted` is what it says; `image` [H, W, 3] RGB is the last."""

    granted: str
    size: tuple[int, int]
    fps: float
    jitter_ms: float
    image: NDArray[np.uint8]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MicResult:
    """What a microphone did. `rate_hz` is measured against this machine's clock."""

    device: InputDevice
    nominal_hz: int
    rate_hz: float
    jitter_ms: float
    peak_dbfs: float
    rms_dbfs: float
    overflows: int
    remarks: tuple[str, ...]


def try_camera(options: CameraOptions, clock: Clock, seconds: float) -> CameraResult:
    """Open a camera and watch it for some seconds.

    Raises:
        SourceError: it can't be opened or delivers nothing.

    """
    stamps: list[int] = []
    latest: list[VideoFrame] = []
    remarks: list[str] = []

    def frame(f: VideoFrame) -> None:
        stamps.append(f.t_ns)
        latest[:] = [f]

    def status(s: Status) -> None:
        if s.state not in ("running", "ended"):
            remarks.append(f"{s.state}: {s.reason}")

    camera = Camera(options, clock, frame, status)
    camera.wanted_fps = 1000.0
    camera.start()
    try:
        _sit(clock, seconds, lambda: bool(stamps), "camera", options.spec)
    finally:
        camera.close()
    gaps = np.diff(stamps) / 1e6
    fps = 1e3 / float(np.mean(gaps)) if len(gaps) else 0.0
    image = latest[0].image
    if len(gaps) and float(np.std(image)) < 1.0:
        remarks.append("the picture is one flat colour: lens cap, or a privacy shutter?")
    return CameraResult(
        str(camera.granted),
        (image.shape[1], image.shape[0]),
        fps,
        float(np.std(gaps)) if len(gaps) else 0.0,
        image,
        tuple(remarks),
    )


def try_microphone(
    options: MicOptions, clock: Clock, seconds: float, level: Callable[[float], None] = lambda dbfs: None
) -> MicResult:
    """Open a microphone and listen for some seconds; `level` is called with each block's peak in dBFS.

    Raises:
        SourceError: it can't be opened or delivers nothing.

    """
    fit: list[ClockFit] = []
    peak, power, count = 0.0, 0.0, 0
    remarks: list[str] = []

    def block(b: AudioBlock) -> None:
        nonlocal peak, power, count
        if not fit:
            fit.append(ClockFit(b.rate))
        fit[0].observe(b.first_sample + len(b.samples), b.t_ns)
        loudest = float(np.max(np.abs(b.samples)))
        peak, count = max(peak, loudest), count + len(b.samples)
        power += float(np.sum(np.square(b.samples, dtype=np.float64)))
        level(dbfs(loudest))

    def status(s: Status) -> None:
        if s.state not in ("running", "ended") or "zeros" in s.reason:
            remarks.append(s.reason)

    microphone = Microphone(options, clock, block, status)
    microphone.start()
    try:
        _sit(clock, seconds, lambda: count > 0, "microphone", options.spec)
    finally:
        microphone.close()
    assert microphone.opened is not None
    if peak >= 0.999:
        remarks.append("it clips: turn the gain down")
    elif count and peak == 0.0:
        remarks.append("digital silence: muted, or the monitor of a silent output?")
    return MicResult(
        microphone.opened.device,
        microphone.opened.rate,
        fit[0].rate_hz,
        fit[0].jitter_ms,
        dbfs(peak),
        dbfs((power / max(1, count)) ** 0.5),
        microphone.overflows,
        tuple(remarks),
    )


def safe(spec: str) -> str:
    """A camera's name without its credentials."""
    return redact(spec)


def monitor_remark(device: InputDevice) -> str:
    """What to say beside a device that is no microphone; empty otherwise."""
    monitor = looks_like_monitor(device)
    return f"monitor of what is played ({monitor})" if monitor else ""


def _sit(clock: Clock, seconds: float, delivered: Callable[[], bool], what: str, spec: str) -> None:
    """Wait for first data (at most 8 s), then for `seconds`."""
    never = threading.Event()
    limit = clock.now_ns() + 8 * NS_PER_S
    while not delivered():
        if clock.now_ns() > limit:
            raise SourceError(f"{what} {spec}: it opens, but delivers nothing; another program may hold it")
        clock.wait_until(clock.now_ns() + NS_PER_S // 20, never)
    clock.wait_until(clock.now_ns() + round(seconds * NS_PER_S), never)
