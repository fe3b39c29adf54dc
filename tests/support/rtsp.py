"""An RTSP server on loopback (gst-rtsp-server), run by the system's Python in a process of its own.

Picture and sound come from one live GStreamer pipeline: a flash and a beep at the same instant, every two
seconds of running time. A missing package is an error here, never a skip.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from .mjpeg import free_port

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


class RtspServer:
    """`stall` and `resume` are SIGSTOP and SIGCONT, `kill` is SIGKILL."""

    def __init__(self, port: int | None = None, *, audio_delay_ms: int = 0) -> None:
        self.port = port or free_port()
        self.url = f"rtsp://127.0.0.1:{self.port}/test"
        script = Path(__file__).with_name("rtsp_server.py")
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PULSE", "ALSA"))}
        self.process = subprocess.Popen(
            [_system_python(), str(script), str(self.port), str(audio_delay_ms)],
            env=env,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(200):
            with socket.socket() as s:
                s.settimeout(0.5)
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"the RTSP server does not start; {PACKAGES}")

    def stall(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(5)

    def __enter__(self) -> RtspServer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
