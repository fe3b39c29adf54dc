"""A place with a camera and a microphone in which things happen when a test says so.

The camera is HTTP-MJPEG on loopback, the microphone the monitor of a null sink (`support.pulse`). Between
events it shows one picture, with a sensor's noise, and there is faint hiss.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.server
import os
import subprocess
import threading
import time

import cv2
import numpy as np

from .pulse import PulseServer

FPS = 8
RATE = 48_000
SOURCE_RATE = 16_000
_CHUNK = RATE // 100


class Stage:
    """Runs until it is closed.

    Args:
        server: of the sound.
        picture: [h, w, 3] RGB that is shown while nothing happens.

    """

    def __init__(self, server: PulseServer, picture: np.ndarray) -> None:
        self._still = _jpegs(picture)
        self._shown, self._until = self._still, 0.0
        self._sound, self._at = np.zeros(0, np.float32), 0
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._player = subprocess.Popen(
            ["pacat", "--playback", "--device=fake", "--format=float32le", "--channels=1",
             f"--rate={RATE}", "--latency-msec=40"],
            env=server.env, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self._player.stdin is not None
        self._pipe = self._player.stdin.fileno()
        fcntl.fcntl(self._pipe, 1031, 8192)  # F_SETPIPE_SZ: what is written is heard soon
        self._camera = _camera(self)
        self.url = f"http://127.0.0.1:{self._camera.server_port}/stage.mjpg"
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._camera.serve_forever, self._play)
        ]
        for thread in self._threads:
            thread.start()

    def happen(self, sound: np.ndarray, picture: np.ndarray | None = None) -> float:
        """Play [S] at 16 kHz, show a picture meanwhile; how many seconds it takes."""
        at = np.arange(len(sound) * RATE // SOURCE_RATE) * SOURCE_RATE / RATE
        wave = np.interp(at, np.arange(len(sound)), sound).astype(np.float32)
        lasts = len(sound) / SOURCE_RATE
        with self._lock:
            self._sound, self._at = wave, 0
            if picture is not None:
                self._shown, self._until = _jpegs(picture), time.monotonic() + lasts
        return lasts

    def jpeg(self, number: int) -> bytes:
        """What the camera sees now."""
        with self._lock:
            if time.monotonic() > self._until:
                self._shown = self._still
            return self._shown[number % len(self._shown)]

    def _play(self) -> None:
        rng = np.random.default_rng(0)
        while not self._stop.is_set():
            block = 1e-3 * rng.standard_normal(_CHUNK).astype(np.float32)
            with self._lock:
                piece = self._sound[self._at : self._at + _CHUNK]
                self._at += len(piece)
            block[: len(piece)] += piece
            try:
                os.write(self._pipe, block.astype("<f4").tobytes())  # waits while the pipe is full
            except OSError:
                return

    def close(self) -> None:
        """End the camera and the player."""
        self._stop.set()
        self._camera.shutdown()
        self._camera.server_close()
        self._player.kill()
        self._player.wait(5)
        self._threads[1].join(5)
        if self._player.stdin is not None:
            with contextlib.suppress(OSError):
                self._player.stdin.close()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _jpegs(picture: np.ndarray) -> list[bytes]:
    """Four of it, as a sensor would see it."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(4):
        noisy = picture[..., ::-1].astype(np.int16) + rng.integers(-5, 6, picture.shape, dtype=np.int16)
        made.append(cv2.imencode(".jpg", np.clip(noisy, 0, 255).astype(np.uint8))[1].tobytes())
    return made


def _camera(stage: Stage) -> http.server.ThreadingHTTPServer:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            number, due = 0, time.monotonic()
            with contextlib.suppress(OSError):
                while not stage._stop.is_set():
                    body = stage.jpeg(number)
                    head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body)
                    self.wfile.write(head + body + b"\r\n")
                    self.wfile.flush()
                    number, due = number + 1, max(due + 1 / FPS, time.monotonic() - 0.2)
                    time.sleep(max(0.0, due - time.monotonic()))

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

    return Server(("127.0.0.1", 0), Handler)
