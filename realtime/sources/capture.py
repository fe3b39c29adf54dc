"""Opening a camera with OpenCV: device, address or CSI sensor; what was asked for and what came of it."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..core.errors import SourceError
from ..core.redact import redact
from .jpegs import open_jpegs


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """Which camera, and what to ask of it.

    `spec`: an index ("0"), a device path, an address (rtsp://, http://), or `csi:N`.
    `size` (width, height) and `fps` are requests; what was granted is read back.
    `wanted_fps`: decode and hand on at most this many pictures a second; all are grabbed.
    `frozen_after_s`: identical pictures for so long are reported.
    """

    spec: str = "0"
    size: tuple[int, int] | None = None
    fps: float | None = None
    wanted_fps: float = 32.0
    open_timeout_ms: int = 5000
    read_timeout_ms: int = 2000
    frozen_after_s: float = 10.0
    keep_original: bool = False


@dataclass(frozen=True, slots=True)
class CaptureFormat:
    """What a camera says it delivers: read back after opening. `fps` 0 when it does not say.

    `aspect`: width : height of a pixel; analogue cameras behind an encoder have pixels that are not square.
    """

    width: int
    height: int
    fps: float
    fourcc: str
    backend: str
    aspect: Fraction = Fraction(1)

    def __str__(self) -> str:
        fps = f" at {self.fps:g} fps" if 0 < self.fps < 1000 else ""
        return f"{self.width}x{self.height}{fps} {self.fourcc} ({self.backend})".replace("  ", " ")


def is_address(spec: str) -> bool:
    """Whether `spec` is an address rather than a device."""
    return "://" in spec


def csi_pipeline(sensor: int, size: tuple[int, int] | None, fps: float | None) -> str:
    """The GStreamer pipeline of a Jetson's CSI sensor (not run on a Jetson by us)."""
    width, height = size or (1280, 720)
    rate = f"{fps or 30:g}"
    return (
        f"nvarguscamerasrc sensor-id={sensor} ! video/x-raw(memory:NVMM),width={width},height={height},"
        f"framerate={rate}/1 ! nvvidconv ! video/x-raw,format=BGRx ! videoconvert ! video/x-raw,format=BGR ! "
        "appsink drop=true max-buffers=1"
    )


def has_gstreamer() -> bool:
    """Whether this OpenCV was built with GStreamer (pip's is not)."""
    import cv2

    return any(re.match(r"\s*GStreamer:\s+YES", line) for line in cv2.getBuildInformation().splitlines())


def camera_paths() -> list[str]:
    """Video devices of this machine, in order of their numbers."""
    found = Path("/dev").glob("video[0-9]*")
    return sorted((str(p) for p in found), key=lambda p: int(re.sub(r"\D", "", p)))


def opencv() -> Any:
    """The module `cv2`, silent: it reads how loud to be when it is imported first.

    FFmpeg in it writes its complaints to stderr, credentials and all; the screen is ours.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    import cv2

    return cv2


def open_capture(options: CameraOptions) -> tuple[Any, CaptureFormat]:
    """Open a capture and ask for MJPG, then size, then fps (any other order is refused by many drivers).

    Raises:
        SourceError: it can't be opened; the message says why as far as can be found out.

    """
    cv2 = opencv()
    spec = options.spec
    if is_address(spec):
        if spec.lower().startswith("http") and (jpegs := open_jpegs(options)) is not None:
            return jpegs, CaptureFormat(*jpegs.size, 0.0, "MJPG", "FFMPEG", jpegs.aspect)
        params = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, options.open_timeout_ms]
        params += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, options.read_timeout_ms]
        capture = cv2.VideoCapture(spec, cv2.CAP_FFMPEG, params)
        if not capture.isOpened():
            capture.release()
            raise SourceError(
                f"camera {redact(spec)}: no picture from there; check the address, the credentials, and that "
                "the server is up"
            )
    elif spec.startswith("csi:"):
        capture = _open_csi(cv2, options)
    else:
        capture = _open_device(cv2, options)
    return capture, read_back(capture)


def read_back(capture: Any) -> CaptureFormat:
    """What an open capture says of itself."""
    import cv2

    code = int(capture.get(cv2.CAP_PROP_FOURCC))
    letters = "".join(chr(code >> shift & 0xFF) for shift in (0, 8, 16, 24)) if code > 0 else ""
    return CaptureFormat(
        int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
        int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        float(capture.get(cv2.CAP_PROP_FPS)),
        letters if letters.isprintable() else "",
        capture.getBackendName(),
        _aspect(capture.get(cv2.CAP_PROP_SAR_NUM), capture.get(cv2.CAP_PROP_SAR_DEN)),
    )


def _aspect(width: float, height: float) -> Fraction:
    """Of a pixel, as OpenCV gives it: zeros and minus ones where nobody knows."""
    return Fraction(round(width), round(height)) if width >= 1 and height >= 1 else Fraction(1)


def _open_csi(cv2: Any, options: CameraOptions) -> Any:
    number = options.spec[4:]
    if not number.isdigit():
        raise SourceError(f"camera {options.spec}: expected csi:N with a sensor number, such as csi:0")
    if not has_gstreamer():
        raise SourceError(
            f"camera {options.spec}: this OpenCV has no GStreamer; pip's never has: use the system's "
            "(JetPack: apt install python3-opencv, and a venv with --system-site-packages)"
        )
    pipeline = csi_pipeline(int(number), options.size, options.fps)
    capture = cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER)
    if not capture.isOpened():
        capture.release()
        raise SourceError(
            f"camera {options.spec}: the sensor does not answer; check the ribbon cable and "
            "`systemctl restart nvargus-daemon`"
        )
    return capture


def _open_device(cv2: Any, options: CameraOptions) -> Any:
    spec = options.spec
    linux = sys.platform.startswith("linux")
    path = f"/dev/video{spec}" if spec.isdigit() and linux else spec
    if not spec.isdigit() and not spec.startswith("/"):
        raise SourceError(
            f"camera {spec!r}: expected an index (0), a device (/dev/video0), an address (rtsp://, http://) "
            "or csi:N"
        )
    if linux:
        _check_device(spec, path)
    backend = cv2.CAP_V4L2 if linux else cv2.CAP_ANY
    capture = cv2.VideoCapture(int(spec) if spec.isdigit() else path, backend)
    if not capture.isOpened():
        capture.release()
        raise SourceError(
            f"camera {spec}: {path} can't be opened; is another program using it? (`fuser -v {path}` tells)"
        )
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter_fourcc(*"MJPG"))
    if options.size is not None:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, options.size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, options.size[1])
    if options.fps is not None:
        capture.set(cv2.CAP_PROP_FPS, options.fps)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


def _check_device(spec: str, path: str) -> None:
    """Say what is wrong before OpenCV says nothing."""
    device = Path(path)
    if not device.exists():
        there = camera_paths()
        hint = f"there are {', '.join(there)}" if there else "there is no /dev/video*"
        raise SourceError(f"camera {spec}: no such device {path}; {hint} (`avel devices` lists them)")
    if not os.access(path, os.R_OK | os.W_OK):
        raise SourceError(
            f"camera {spec}: no permission for {path}; join its group: sudo usermod -aG video $USER, "
            "then log in again"
        )
