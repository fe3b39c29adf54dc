"""The whole program as a subprocess, in front of a sound server of its own."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import psutil

from .pulse import PulseServer

LIVE = "from avel_live.realtime.commands import live_main; live_main()"


class Program:
    """avel-live as a subprocess; its records are read as they come."""

    def __init__(self, pulse: PulseServer, *args: str) -> None:
        env = {**pulse.env, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", LIVE, *args, "--json"],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.records: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._pump, daemon=True).start()
        threading.Thread(target=self._complain, daemon=True).start()

    def _pump(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self._lines.put(line)
        self._lines.put(None)

    def _complain(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr:
            self.errors += self.process.stderr

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Records of a kind so far."""
        return [r for r in self.records if r["type"] == kind]

    def pin(self, processor: int) -> None:
        """All of its threads onto one processor."""
        for thread in psutil.Process(self.process.pid).threads():
            os.sched_setaffinity(thread.id, {processor})

    def need(self, hops: int) -> float:
        """Processor seconds a second of stream costs, over so many hops."""
        times = psutil.Process(self.process.pid).cpu_times
        first, before = len(self.of("hop")), times()
        self.until("hop", first + hops, 120.0)
        after = times()
        return (after.user + after.system - before.user - before.system) / hops

    def until(self, kind: str, count: int, limit_s: float, **wanted: Any) -> list[dict[str, Any]]:
        """Records of a kind with these values, once there are so many."""
        end = time.monotonic() + limit_s

        def found() -> list[dict[str, Any]]:
            return [r for r in self.of(kind) if all(r.get(k) == v for k, v in wanted.items())]

        while len(found()) < count:
            try:
                line = self._lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"no {count} × {kind} {wanted}: {self.records[-3:]} {self.errors[-5:]}")
            self.records.append(json.loads(line))
        return found()

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        code = self.process.wait(30)
        while (line := self._lines.get(timeout=10)) is not None:
            self.records.append(json.loads(line))
        return code

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(5)
