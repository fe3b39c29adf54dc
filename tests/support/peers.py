"""Real peers on loopback: a broker, a receiver of webhooks. In CI a missing program fails the test."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .server_process import free_port

WAIT_S = 60.0  # generous: only a failing test waits this long


def program(name: str, package: str) -> str:
    """Path of a program that a test needs; CI must have it, elsewhere the test is skipped."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    if found:
        return found
    message = f"{name} is not installed (Debian package {package})"
    if os.environ.get("CI"):
        pytest.fail(f"CI must have it: {message}")
    pytest.skip(message)


def eventually(condition: Callable[[], bool], what: str, timeout_s: float = WAIT_S) -> None:
    """Wait for another thread or program."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.01)


class Mosquitto:
    """A broker that keeps its memory on disk, so that it can be killed and started again."""

    def __init__(self, folder: Path, *extra: str) -> None:
        self._program = program("mosquitto", "mosquitto")
        self.port = free_port()
        self._log = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        anonymous = [] if any("password_file" in line for line in extra) else ["allow_anonymous true"]
        self._config.write_text(
            "\n".join(
                [
                    "user root",  # or it leaves root and can't write into the test's folder
                    f"listener {self.port} 127.0.0.1",
                    "persistence true",
                    f"persistence_location {folder}/",
                    "autosave_on_changes true",
                    "autosave_interval 1",
                    "max_inflight_messages 0",
                    "max_queued_messages 0",
                    *anonymous,
                    *extra,
                    "",
                ]
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-c", str(self._config)], stdout=log, stderr=subprocess.STDOUT
            )

        def listening() -> bool:
            assert self._process is not None
            if self._process.poll() is not None:
                pytest.fail(f"mosquitto ended: {self._log.read_text()[-500:]}")
            with socket.socket() as s:
                s.settimeout(1)
                return s.connect_ex(("127.0.0.1", self.port)) == 0

        eventually(listening, "mosquitto listens")

    def kill(self) -> None:
        """As a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None


class Subscriber:
    """Keeps every message, also over a restart of the broker."""

    def __init__(self, port: int, pattern: str = "#", **client: Any) -> None:
        import paho.mqtt.client as paho

        self.messages: list[tuple[str, bytes, bool]] = []
        self.ready = threading.Event()
        self._client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id="subscriber", clean_session=False
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda c, *_: c.subscribe(pattern, qos=1)
        self._client.on_subscribe = lambda *_: self.ready.set()
        self._client.on_message = lambda _c, _u, m: self.messages.append((m.topic, m.payload, m.retain))
        if "username" in client:
            self._client.username_pw_set(client["username"], client["password"])
        if "ca" in client:
            self._client.tls_set(ca_certs=client["ca"])
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self.ready.wait(WAIT_S)

    def json(self, suffix: str) -> list[dict[str, Any]]:
        return [json.loads(payload) for topic, payload, _ in list(self.messages) if suffix in topic]

    def last(self, suffix: str) -> bytes | None:
        found = [payload for topic, payload, _ in list(self.messages) if topic.endswith(suffix)]
        return found[-1] if found else None

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Receiver:
    """An HTTP receiver that can be told how to answer. `answers` are used up first, then 204."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int | tuple[int, dict[str, str]]] = []
        self.delay_s = 0.0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.delay_s:
                    time.sleep(receiver.delay_s)
                answer = receiver.answers.pop(0) if receiver.answers else 204
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                receiver.requests.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(status)
                for name, value in {"Content-Length": "0", "Connection": "close", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
