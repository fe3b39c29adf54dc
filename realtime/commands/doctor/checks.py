"""What works on this machine and what is missing, each with the way to mend it (`avel doctor`).

Every check is a function that returns `Check`s and raises nothing; what is only nice to have is a `note`.
"""

from __future__ import annotations

import grp
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

State = Literal["ok", "note", "missing"]


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `missing` means that something a user will want does not work; `fix` says what to do."""

    name: str
    state: State
    found: str
    fix: str = ""


def checks() -> Iterator[Check]:
    """All of them, in order of how often they are the cause."""
    for check in (
        packages,
        portaudio,
        sound_server,
        microphones,
        opencv,
        cameras,
        groups,
        av_codecs,
        runtimes,
        gpu,
    ):
        yield from guarded(check)


def guarded(check: Callable[[], list[Check]]) -> list[Check]:
    """A check that breaks is itself a finding."""
    try:
        return check()
    except Exception as error:
        name = check.__name__.replace("_", " ")
        return [Check(name, "missing", f"the check itself failed: {type(error).__name__}: {error}")]


def _version(name: str) -> str:
    """Version of an installed distribution, empty where it is absent."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def packages() -> list[Check]:
    """Python and the packages without which nothing runs."""
    out = []
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 10)
    out.append(
        Check("Python", "ok" if good else "missing", version, "" if good else "install Python 3.10 or newer")
    )
    for name in ("avel-live", "torch", "numpy"):
        found = _version(name)
        if found:
            out.append(Check(name, "ok", found))
        else:
            out.append(Check(name, "missing", "not installed", f"pip install {name}"))
    return out


def portaudio() -> list[Check]:
    """The library below every microphone."""
    from ...core.errors import SourceError
    from ...sources.portaudio import sounddevice

    try:
        module = sounddevice()
    except SourceError:
        return [Check("PortAudio", "missing", "not installed", "sudo apt install libportaudio2")]
    version = str(module.get_portaudio_version()[1]).split(",")[0]
    apis = ", ".join(api["name"] for api in module.query_hostapis())
    return [Check("PortAudio", "ok", f"{version}; {apis}")]


def sound_server() -> list[Check]:
    """PulseAudio or PipeWire: nice to have, ALSA alone is enough."""
    pactl = shutil.which("pactl")
    if pactl is None:
        return [Check("sound server", "note", "pactl is not installed", "sudo apt install pulseaudio-utils")]
    try:
        done = subprocess.run([pactl, "info"], capture_output=True, text=True, timeout=3, check=False)
    except subprocess.TimeoutExpired:
        return [
            Check(
                "sound server",
                "missing",
                "it hangs",
                "systemctl --user restart pipewire pipewire-pulse (or pulseaudio)",
            )
        ]
    if done.returncode != 0:
        return [Check("sound server", "note", "none is running; microphones are reached through ALSA itself")]
    name = next(
        (line.partition(":")[2].strip() for line in done.stdout.splitlines() if "Server Name" in line), ""
    )
    out = [Check("sound server", "ok", name or "running")]
    if not any(Path("/usr/lib").glob("**/alsa-lib/libasound_module_pcm_pulse.so")):
        out.append(
            Check(
                "ALSA to sound server",
                "missing",
                "the plug-in is absent: PortAudio can't reach the server's microphones",
                "sudo apt install libasound2-plugins",
            )
        )
    return out


def microphones() -> list[Check]:
    """Inputs that PortAudio sees."""
    from ...core.errors import SourceError
    from ...sources.portaudio import input_devices, looks_like_monitor

    try:
        found = input_devices()
    except SourceError:
        return []  # said by `portaudio`
    if not found:
        return [
            Check(
                "microphone",
                "missing",
                "no sound input",
                "plug one in; check `arecord -l` and the group audio",
            )
        ]
    default = next((d for d in found if d.default), found[0])
    monitor = looks_like_monitor(default)
    if monitor:
        return [
            Check(
                "microphone",
                "missing",
                f"the default is {monitor}, which records what is played",
                "choose a real one: pactl list short sources; pactl set-default-source NAME",
            )
        ]
    return [Check("microphone", "ok", f"{default.name} ({len(found)} in all)")]


def opencv() -> list[Check]:
    """OpenCV and the ways it can reach cameras."""
    import cv2

    from ...sources.capture import has_gstreamer

    info = cv2.getBuildInformation()

    def has(word: str) -> bool:
        return any(line.strip().lower().startswith(word) and "YES" in line for line in info.splitlines())

    ways = [name for name, word in (("FFmpeg", "ffmpeg"), ("V4L2", "v4l")) if has(word)]
    out = [Check("OpenCV", "ok" if "FFmpeg" in ways else "missing", f"{cv2.__version__}; {', '.join(ways)}")]
    if not has_gstreamer():
        out.append(
            Check(
                "OpenCV with GStreamer",
                "missing" if Path("/etc/nv_tegra_release").exists() else "note",
                "no; needed for CSI cameras (csi:N) only",
                "on a Jetson: apt install python3-opencv, venv with --system-site-packages",
            )
        )
    else:
        out.append(Check("OpenCV with GStreamer", "ok", "yes"))
    return out


def cameras() -> list[Check]:
    """Video devices, and whether they may be opened."""
    from ...sources.capture import camera_paths
    from ...sources.probe import cameras as listed

    paths = camera_paths()
    if not paths:
        return [
            Check(
                "camera", "note", "no /dev/video*", "plug one in, or use a network camera (--camera rtsp://…)"
            )
        ]
    shut = [p for p in paths if not os.access(p, os.R_OK | os.W_OK)]
    if shut:
        return [
            Check(
                "camera",
                "missing",
                f"no permission for {', '.join(shut)}",
                "sudo usermod -aG video $USER, then log in again",
            )
        ]
    return [Check("camera", "ok", "; ".join(f"{c.spec} {c.name}" for c in listed()))]


def groups() -> list[Check]:
    """Membership of the groups that own devices; root needs none."""
    if os.geteuid() == 0:
        return [Check("groups", "ok", "running as root")]
    mine = {grp.getgrgid(g).gr_name for g in os.getgroups()}
    out = []
    for name, what in (("video", "cameras"), ("audio", "microphones without a sound server")):
        state: State = "ok" if name in mine else "note"
        fix = "" if name in mine else f"sudo usermod -aG {name} $USER, then log in again"
        out.append(
            Check(f"group {name}", state, f"{'member' if name in mine else 'not a member'} ({what})", fix)
        )
    return out


def av_codecs() -> list[Check]:
    """FFmpeg through PyAV: files, network streams, clips."""
    import av

    wanted = ("h264", "hevc", "mjpeg", "aac", "opus", "pcm_s16le")
    absent = [name for name in wanted if name not in av.codecs_available]
    found = f"PyAV {av.__version__}"
    if absent:
        return [
            Check("codecs", "missing", f"{found} without {', '.join(absent)}", "pip install --upgrade av")
        ]
    return [Check("codecs", "ok", f"{found}; {', '.join(wanted)}")]


def runtimes() -> list[Check]:
    """What the networks can run on."""
    out = []
    for name, what, fix in (
        ("onnxruntime", "ONNX Runtime", "pip install onnxruntime"),
        ("torch-tensorrt", "Torch-TensorRT", "pip install 'avel-live[tensorrt]' (NVIDIA GPUs, Linux)"),
        ("tensorrt", "TensorRT", "comes with JetPack, or pip install tensorrt"),
        ("tensorrt-rtx-cu13", "TensorRT for RTX", "pip install 'avel-live[rtx]' (RTX GPUs; builds anywhere)"),
    ):
        found = _version(name)
        if found:
            out.append(Check(what, "ok", found))
        else:
            out.append(Check(what, "note", "not installed (optional)", fix))
    return out


def gpu() -> list[Check]:
    """An NVIDIA GPU and a torch that can use it."""
    import torch

    smi = shutil.which("nvidia-smi")
    tegra = Path("/etc/nv_tegra_release").exists()
    if torch.cuda.is_available():
        return [Check("GPU", "ok", f"{torch.cuda.get_device_name(0)}, CUDA {torch.version.cuda}")]
    if smi is None and not tegra:
        return [Check("GPU", "note", "none; the CPU does the work")]
    if torch.version.cuda is None:
        return [
            Check(
                "GPU",
                "missing",
                "there is one, but this torch was built for CPUs only",
                "install a CUDA build of torch (model/README.md, which torch)",
            )
        ]
    return [Check("GPU", "missing", "torch can't use it", "check the driver: nvidia-smi")]
