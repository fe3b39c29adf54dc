"""A server on loopback in a process of its own: it can stall, go on, be killed and started again."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Self

START_S = 60.0  # generous: only a failing test waits this long


def free_port() -> int:
    """A TCP port of loopback that nobody uses now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class ServerProcess:
    """`stall` and `resume` are SIGSTOP and SIGCONT, `kill` is SIGKILL. Ready once its port is open.

    Args:
        argv: the program.
        port: of loopback, on which it will listen.
        env: its environment; None for ours.
        missing: what to say when it does not start.
        quiet: throw away what it prints on standard error.

    """

    def __init__(
        self,
        argv: Sequence[str],
        port: int,
        *,
        env: Mapping[str, str] | None = None,
        missing: str = "",
        quiet: bool = False,
    ) -> None:
        self.port = port
        self.process = subprocess.Popen(argv, env=env, stderr=subprocess.DEVNULL if quiet else None)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with socket.socket() as s:
                s.settimeout(0.5)
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"the server does not start: {' '.join(argv)}; {missing}")

    def stall(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
