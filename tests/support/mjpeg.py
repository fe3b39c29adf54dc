"""An HTTP-MJPEG camera on loopback, in a process of its own: it can be stopped, killed, started again.

As a program (`python -m support.mjpeg PORT [...]`) it serves pictures on http://127.0.0.1:PORT/, steadily.
The flash: for FLASH_S after every multiple of PERIOD_S of the monotonic clock (plus --flash-offset)
the picture is white, otherwise it is dark with a moving bar, so that no two pictures are the same.
"""

from __future__ import annotations

import argparse
import http.server
import os
import sys
import time
from pathlib import Path

from .server_process import ServerProcess, free_port

PERIOD_S = 1.0
FLASH_S = 0.1


class MjpegServer(ServerProcess):
    """The server as a subprocess."""

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
        content_type: str = "image/jpeg",
    ) -> None:
        port = port or free_port()
        self.url = f"http://{auth + '@' if auth else ''}127.0.0.1:{port}/cam.mjpg"
        args = [str(port), "--width", str(width), "--height", str(height), "--fps", str(fps)]
        args += ["--flash-offset", str(flash_offset_s)] + (["--frozen"] if frozen else [])
        args += ["--content-type", content_type]
        # As a module: it must find its neighbours when it runs as a program too.
        folder = Path(__file__).resolve().parents[1]
        path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        super().__init__(
            [sys.executable, "-m", "support.mjpeg", *args], port, env={**os.environ, "PYTHONPATH": path}
        )


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
    parser.add_argument("--content-type", default="image/jpeg")
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

    kind = a.content_type.encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
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
                        b"--frame\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind, len(body))
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
