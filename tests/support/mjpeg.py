"""An HTTP-MJPEG camera on loopback, in a process of its own: it can be stopped, killed, started again.

As a program (`python mjpeg.py PORT [...]`) it serves pictures on http://127.0.0.1:PORT/ at a steady pace.
The flash: for FLASH_S after every multiple of PERIOD_S of the monotonic clock (plus --flash-offset)
the picture is white, otherwise it is dark with a moving bar, so that no two pictures are the same.
"""

from __future__ import annotations

import argparse
import http.server
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

PERIOD_S = 1.0
FLASH_S = 0.1


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class MjpegServer:
    """The server as a subprocess. `stall` and `resume` are SIGSTOP and SIGCONT, `kill` is SIGKILL."""

    def __init__(
        self,
        port: int | None = None,
        *,
        width: int = 320,
        height: int = 240,
        fps: float = 25.0,
        flash_offset_s: float = 0.0,
        frozen: bool = False,
        auth: str | None = None,
    ) -> None:
        self.port = port or free_port()
        args = [str(self.port), "--width", str(width), "--height", str(height), "--fps", str(fps)]
        args += ["--flash-offset", str(flash_offset_s)] + (["--frozen"] if frozen else [])
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), *args])
        self.url = f"http://{auth + '@' if auth else ''}127.0.0.1:{self.port}/cam.mjpg"
        self._wait()

    def _wait(self) -> None:
        for _ in range(200):
            if self._answers():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.kill()
        raise RuntimeError("the MJPEG server did not start")

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=1).close()
        except OSError:
            return False
        return True

    def stall(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(5)

    def __enter__(self) -> MjpegServer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()


def main() -> None:
    import cv2
    import numpy as np

    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--fps", type=float, default=25.0)
    parser.add_argument("--flash-offset", type=float, default=0.0)
    parser.add_argument("--frozen", action="store_true")
    a = parser.parse_args()
    rng = np.random.default_rng(0)
    backdrop = rng.integers(20, 60, (a.height, a.width, 3), np.uint8)

    def jpeg(picture: np.ndarray) -> bytes:
        return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()

    dark = []
    for k in range(32):
        picture = backdrop.copy()
        x = k * a.width // 32
        picture[:, x : x + a.width // 32] = 130
        dark.append(jpeg(picture))
    white = [jpeg(np.clip(backdrop.astype(int) + 190 + k, 0, 255).astype(np.uint8)) for k in range(4)]

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            if self.path == "/ready":
                self.end_headers()
                return
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            k = 0
            due = time.monotonic()
            try:
                while True:
                    now = time.monotonic()
                    phase = (now - a.flash_offset) % PERIOD_S
                    if a.frozen:
                        body = dark[0]
                    else:
                        body = white[k % 4] if phase < FLASH_S else dark[k % 32]
                    k += 1
                    self.wfile.write(
                        b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body)
                        + body
                        + b"\r\n"
                    )
                    self.wfile.flush()
                    due = max(due + 1 / a.fps, time.monotonic() - 0.2)
                    time.sleep(max(0.0, due - time.monotonic()))
            except OSError:
                return

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True

    Server(("127.0.0.1", a.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
