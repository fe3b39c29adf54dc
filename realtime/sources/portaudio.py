"""PortAudio, held at arm's length: lazy import, device search by name, safe re-enumeration.

PortAudio takes the list of devices once, when it is initialised; what is plugged in later is unseen
until it is terminated and initialised again, and that may only be done while no stream of this process
is open: terminating closes every stream under the feet of its owner. `streams` counts them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..core.errors import SourceError

_lock = threading.RLock()
_open_streams = 0

INSTALL = "install it with: sudo apt install libportaudio2"


def sounddevice() -> Any:
    """The module.

    Raises:
        SourceError: PortAudio is not installed; the message has the line that installs it.

    """
    try:
        import sounddevice as module
    except OSError as error:
        raise SourceError(f"microphones need PortAudio, which is not installed; {INSTALL}") from error
    return module


@dataclass(frozen=True, slots=True)
class InputDevice:
    """A microphone as PortAudio lists it. `index` changes when devices come and go; `name` rarely does."""

    index: int
    name: str
    api: str
    channels: int
    rate: int
    default: bool = False

    def __str__(self) -> str:
        return f"{self.index}: {self.name} ({self.api}, {self.channels} ch, {self.rate} Hz)"


def input_devices() -> list[InputDevice]:
    """Everything that can record, in PortAudio's order."""
    sd = sounddevice()
    with exclusive():
        apis = [api["name"] for api in sd.query_hostapis()]
        chosen = sd.default.device[0]
        default = chosen if isinstance(chosen, int) and chosen >= 0 else _default_input(sd)
        return [
            InputDevice(
                k,
                str(d["name"]),
                apis[d["hostapi"]],
                int(d["max_input_channels"]),
                round(d["default_samplerate"]),
                k == default,
            )
            for k, d in enumerate(sd.query_devices())
            if d["max_input_channels"] > 0
        ]


def _default_input(sd: Any) -> int:
    """Index of the default input, -1 where there is none."""
    return next(
        (int(a["default_input_device"]) for a in sd.query_hostapis() if a["default_input_device"] >= 0), -1
    )


def find_device(spec: str, devices: list[InputDevice]) -> InputDevice:
    """The device that `default`, an index, a name or a part of a name means.

    Raises:
        SourceError: none or several match; the message lists the candidates.

    """
    listing = "; ".join(str(d) for d in devices) or "none"
    if not devices:
        raise SourceError(
            f"microphone {spec}: no sound input on this machine; plug one in, or check that your user is in "
            "the audio group (sudo usermod -aG audio $USER) and that the sound server runs (`avel doctor`)"
        )
    if spec == "default":
        return next((d for d in devices if d.default), devices[0])
    if spec.isdigit():
        for d in devices:
            if d.index == int(spec):
                return d
        raise SourceError(f"microphone {spec}: no input with that index; there are: {listing}")
    exact = [d for d in devices if d.name == spec]
    found = exact or [d for d in devices if spec.lower() in f"{d.name} ({d.api})".lower()]
    if not found:
        raise SourceError(f"microphone {spec!r}: no input has that in its name; there are: {listing}")
    if len(found) > 1:
        candidates = "; ".join(str(d) for d in found)
        raise SourceError(
            f"microphone {spec!r} is ambiguous: {candidates}; give more of the name or the index"
        )
    return found[0]


def opened() -> None:
    """A stream of this process was opened."""
    global _open_streams
    with _lock:
        _open_streams += 1


def closed() -> None:
    """A stream of this process was closed (or abandoned inside the driver: then never call this)."""
    global _open_streams
    with _lock:
        _open_streams -= 1


@contextlib.contextmanager
def exclusive(timeout_s: float = 3.0) -> Iterator[None]:
    """Nobody else opens, closes or rescans meanwhile.

    Raises:
        SourceError: a call into PortAudio hangs in another thread.

    """
    if not _lock.acquire(timeout=timeout_s):
        raise SourceError("the sound system hangs; restart it: systemctl --user restart pipewire pulseaudio")
    try:
        yield
    finally:
        _lock.release()


def rescan() -> bool:
    """Restart PortAudio so that it sees what was plugged in; False (not done) while streams are open.

    Raises:
        SourceError: a call into PortAudio hangs in another thread.

    """
    sd = sounddevice()
    with exclusive():
        if _open_streams > 0:
            return False
        sd._terminate()
        sd._initialize()
        return True


_MONITOR_WORDS = ("monitor", "loopback", "stereo mix", "what u hear", "wave out mix")


def looks_like_monitor(device: InputDevice) -> str | None:
    """Name of the monitor (what is *played*, not what is heard) that `device` stands for, or None.

    PortAudio sees a PulseAudio or PipeWire server as one device, `pulse` or `default`; what is behind it
    is asked of the server with `pactl`, where that exists.
    """
    if any(word in device.name.lower() for word in _MONITOR_WORDS):
        return device.name
    if device.name.lower() in ("pulse", "default", "pipewire", "sysdefault"):
        source = os.environ.get("PULSE_SOURCE") or _pulse_default_source()
        if source and (source.endswith(".monitor") or "monitor" in source.lower()):
            return source
    return None


def _pulse_default_source() -> str | None:
    pactl = shutil.which("pactl")
    if pactl is None:
        return None
    try:
        done = subprocess.run(
            [pactl, "get-default-source"], capture_output=True, text=True, timeout=2, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
