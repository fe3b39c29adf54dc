"""Decoding on hardware where there is any (`--hwaccel`); where there is none the CPU decodes, and it is said.

    given          FFmpeg's device      where
    vaapi          vaapi                Intel and AMD graphics, Linux
    cuda           cuda                 NVIDIA
    videotoolbox   videotoolbox         macOS
    v4l2           drm                  small boards
    auto           the first of these that opens

FFmpeg brings each picture back to ordinary memory, so what follows is the same. Whether a device works is
asked before a file or a stream is opened: FFmpeg's own way back to the CPU covers codecs that a device does
not know, not devices that are not there. Tried on machines without any such device only.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from av.codec.hwaccel import HWAccel

Hwaccel = Literal["none", "auto", "vaapi", "cuda", "videotoolbox", "v4l2"]

_DEVICES: Final = {"videotoolbox": "videotoolbox", "cuda": "cuda", "vaapi": "vaapi", "v4l2": "drm"}
"""In the order in which `auto` tries them."""


class Hardware(NamedTuple):
    """What is to decode.

    Attributes:
        wanted: what was asked for.
        accel: to open a container with; None = the CPU decodes.
        device: its name, as it is asked for.
        why_not: why the CPU decodes though something else was asked for.

    """

    wanted: Hwaccel = "none"
    accel: HWAccel | None = None
    device: str = ""
    why_not: str = ""

    def word(self, stream: Any) -> str:
        """What decodes an opened stream, for the line that describes it; empty if nothing was asked for."""
        if self.wanted == "none":
            return ""
        if self.accel is None:
            return f"decoded on the CPU ({self.why_not})"
        if not stream.codec_context.is_hwaccel:
            return f"decoded on the CPU ({self.device} takes no {stream.codec_context.name})"
        return f"decoded by {self.device}"

    def remark(self, stream: Any) -> str:
        """What is to be said where a device asked for by name does not decode; else empty."""
        word = self.word(stream)
        return f"--hwaccel {self.wanted}: {word}" if self.wanted != "auto" and "on the CPU" in word else ""


def hardware(wanted: Hwaccel) -> Hardware:
    """What `--hwaccel` means on this machine."""
    if wanted == "none":
        return Hardware()
    reasons = []
    for name in _DEVICES if wanted == "auto" else (wanted,):
        if not (reason := _trouble(name)):
            from av.codec.hwaccel import HWAccel

            return Hardware(wanted, HWAccel(_DEVICES[name]), name)
        reasons.append(f"{name}: {reason}")
    return Hardware(wanted, why_not="no hardware decoder" if wanted == "auto" else reasons[0])


@lru_cache(maxsize=8)
def _trouble(name: str) -> str:
    """Why a device can't decode here; empty where it can."""
    try:
        from av import CodecContext
        from av.codec.hwaccel import HWAccel, hwdevices_available
    except ImportError:
        return "this PyAV knows no hardware"
    if _DEVICES[name] not in hwdevices_available():
        return "not in this FFmpeg"
    try:
        # Nearly every device knows H.264: opening its decoder opens the device.
        context = CodecContext.create("h264", "r", hwaccel=HWAccel(_DEVICES[name]))
    except (OSError, NotImplementedError, RuntimeError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return "" if context.is_hwaccel else "no such device"
