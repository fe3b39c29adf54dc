"""An RTSP server on loopback (gst-rtsp-server), run by the system's Python in a process of its own.

Picture and sound come from one live GStreamer pipeline: a flash and a beep at the same instant, every two
seconds of running time. A missing package is an error here, never a skip.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from .server_process import ServerProcess, free_port

PACKAGES = (
    "sudo apt install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base "
    "gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"
)


def _system_python() -> str:
    for candidate in ("/usr/bin/python3", shutil.which("python3")):
        if candidate and Path(candidate).exists():
            check = "import gi; gi.require_version('GstRtspServer', '1.0')"
            if subprocess.run([candidate, "-c", check], capture_output=True, check=False).returncode == 0:
                return candidate
    raise RuntimeError(f"no Python with gst-rtsp-server; {PACKAGES}")


class RtspServer(ServerProcess):
    """The server as a subprocess.

    Args:
        port: of loopback; None takes a free one.
        audio_delay_ms: puts picture and sound out of step.
        protocol: the only transport it knows, tcp or udp; None knows all.
        size: of the pictures.

    """

    def __init__(
        self,
        port: int | None = None,
        *,
        audio_delay_ms: int = 0,
        protocol: str | None = None,
        size: tuple[int, int] = (320, 240),
    ) -> None:
        port = port or free_port()
        self.url = f"rtsp://127.0.0.1:{port}/test"
        script = Path(__file__).with_name("rtsp_server.py")
        super().__init__(
            [
                _system_python(),
                str(script),
                str(port),
                str(audio_delay_ms),
                protocol or "all",
                *map(str, size),
            ],
            port,
            env={k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PULSE", "ALSA"))},
            missing=PACKAGES,
            quiet=True,  # GStreamer grumbles
        )
