"""A sound server on a private socket with a null sink whose monitor is the default microphone.

Real PortAudio reaches it through ALSA's pulse plug-in. Everything lives in a temporary folder; a sound
server of the user is neither used nor touched. A missing package is an error here, never a skip.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np

PACKAGES = "sudo apt install libportaudio2 libasound2-plugins pulseaudio pulseaudio-utils"

_ASOUND = """
pcm.pulse { type pulse }
ctl.pulse { type pulse }
pcm.!default { type pulse }
ctl.!default { type pulse }
"""


def environment(folder: Path) -> dict[str, str]:
    """Variables under which this process's PortAudio meets the server in `folder`.

    They must be set before PortAudio is loaded: ALSA reads its configuration once.
    """
    system = "/usr/share/alsa/alsa.conf"
    config = folder / "asound.conf"
    config.write_text(f"<{system}>\n{_ASOUND}")
    return {
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "PULSE_RUNTIME_PATH": str(folder / "pulse"),
        "PULSE_SERVER": f"unix:{folder / 'native'}",
        "ALSA_CONFIG_PATH": str(config),
    }


class PulseServer:
    """A PulseAudio process. `play` writes sound into the null sink, on time."""

    def __init__(self, folder: Path, rate: int = 48_000) -> None:
        for program in ("pulseaudio", "pactl", "pacat"):
            if shutil.which(program) is None:
                raise RuntimeError(f"{program} is missing; {PACKAGES}")
        self.folder = folder
        self.rate = rate
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pulse").mkdir(exist_ok=True)
        self.env = {**os.environ, **environment(folder)}
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self, rate: int | None = None) -> None:
        self.rate = rate or self.rate
        (self.folder / "native").unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [
                "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
                "--disable-shm=yes", "--realtime=no", "--high-priority=no",
                "--log-target=stderr", "--log-level=error",
                "-L", f"module-native-protocol-unix socket={self.folder / 'native'} auth-anonymous=1",
                "-L", f"module-null-sink sink_name=fake rate={self.rate} channels=1 norewinds=1",
            ],
            env=self.env, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(200):
            if self.pactl("set-default-source", "fake.monitor", check=False) == 0:
                return
            time.sleep(0.05)
        raise RuntimeError(f"pulseaudio does not start; {PACKAGES}")

    def pactl(self, *args: str, check: bool = True) -> int:
        done = subprocess.run(["pactl", *args], env=self.env, capture_output=True, check=check, timeout=10)
        return done.returncode

    def stall(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGCONT)
                self.process.kill()
            self.process.wait(5)
            self.process = None

    def __enter__(self) -> PulseServer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()


class Beeper:
    """Plays a beep at every multiple of `period_s` of the monotonic clock plus `offset_s`.

    A process `pacat` with little latency is fed in step with the clock through the smallest pipe there is;
    what does not fit is left out rather than played late, so that a player that starts slowly or stumbles
    does not shift the beeps for ever. Between beeps there is faint noise: never digital silence.
    """

    RATE = 48_000
    LEAD_S = 0.015
    """The player's own queue, as `pactl list sink-inputs` tells it (10 to 15 ms and up to 4 in the sink)."""

    def __init__(self, server: PulseServer, period_s: float = 1.0, offset_s: float = 0.0) -> None:
        self.period_s, self.offset_s = period_s, offset_s
        self._stop = threading.Event()
        self._process = subprocess.Popen(
            ["pacat", "--playback", "--device=fake", "--format=float32le", "--channels=1",
             f"--rate={self.RATE}", "--latency-msec=20", "--process-time-msec=5"],
            env=server.env, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self._process.stdin is not None
        self._pipe = self._process.stdin.fileno()
        fcntl.fcntl(self._pipe, 1031, 4096)  # F_SETPIPE_SZ: 21 ms
        os.set_blocking(self._pipe, False)
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    def _feed(self) -> None:
        rng = np.random.default_rng(0)
        start = time.monotonic()
        sent, n = 0, 240
        while not self._stop.is_set():
            ahead = sent / self.RATE - (time.monotonic() - start)
            if ahead > 0.0:
                time.sleep(min(ahead, 0.01))
                continue
            t = start + self.LEAD_S + (sent + np.arange(n)) / self.RATE
            phase = (t - self.offset_s) % self.period_s
            tone = np.where(phase < 0.1, 0.5 * np.sin(2 * np.pi * 1000 * phase), 0.0)
            sent += n
            try:
                os.write(self._pipe, (tone + 1e-3 * rng.standard_normal(n)).astype("<f4").tobytes())
            except BlockingIOError:
                continue
            except OSError:
                return

    def close(self) -> None:
        self._stop.set()
        self._thread.join(2)
        self._process.kill()
        self._process.wait(5)
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def __enter__(self) -> Beeper:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
