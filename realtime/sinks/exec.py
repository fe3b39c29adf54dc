"""`--exec CMD`: a program run for every event record, with the record as JSON on its standard input.

There is no shell: the command is split once, as a POSIX shell would, and started as it is. What it prints
is not shown; its last line on standard error explains a failure. A program that outlives its time limit
is ended with everything it started.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from typing import IO, Final

from ..clock import Clock, SystemClock
from ..errors import OutputError, UsageError
from ..messages import Status
from .records import Record, RecordSink
from .runner import Report
from .worker import Worker, WorkerCounts

_EXPLANATION_BYTES: Final = 4096


@dataclass(frozen=True)
class ExecSettings:
    """What to run."""

    command: str
    name: str = "avel"
    timeout_s: float = 10.0
    at_once: int = 4
    """Programs running at the same time; the rest wait their turn."""
    buffer: int = 1_000
    """Events that may wait; beyond it the oldest are dropped, counted and reported."""
    lossless: bool = False
    """Wait for room in the buffer instead (for recordings)."""
    flush_s: float = 10.0
    """How long the end waits for programs still running or due."""


class ExecSink(RecordSink):
    """Runs the program. `write` only queues (and where `lossless` waits for room).

    Raises:
        UsageError: the command can't be split, or is empty.
        OutputError: no such program, or it may not be run.

    """

    events_only = True

    def __init__(self, settings: ExecSettings, report: Report, clock: Clock | None = None) -> None:
        super().__init__()
        try:
            argv = shlex.split(settings.command)
        except ValueError as error:
            # Not the command itself: keys are passed to programs.
            raise UsageError(f"--exec: the command can't be split into words ({error})") from None
        if not argv:
            raise UsageError("--exec: the command is empty")
        program = shutil.which(os.path.expanduser(argv[0]))
        if program is None:
            raise OutputError(f"--exec {argv[0]}: no such program, or it may not be run; give its full path")
        self._argv = [program, *argv[1:]]
        self._settings, self._report = settings, report
        self._clock = clock or SystemClock()
        self._failing = False
        self._worker: Worker[bytes] = Worker(
            "exec",
            self._execute,
            capacity=settings.buffer,
            on_drop=lambda n: self._say("dropping", f"{argv[0]} is too slow: {n} events dropped so far"),
            threads=settings.at_once,
            lossless=settings.lossless,
            clock=self._clock,
        )

    @property
    def counts(self) -> WorkerCounts:
        """Runs that succeeded, failed, were dropped, and are waiting or running."""
        return self._worker.counts

    def write(self, record: Record) -> None:
        """Queue a run; waits only where `lossless`."""
        self._worker.put(
            json.dumps({"stream": self._settings.name, **record}, ensure_ascii=False).encode() + b"\n"
        )

    def close(self) -> None:
        """Let what runs or is due finish, at most for `flush_s`."""
        before = self._worker.counts.dropped
        dropped = self._worker.close(self._settings.flush_s).dropped - before
        if dropped:
            self._say("failed", f"{self._argv[0]}: not run for the last {dropped} events")

    def _execute(self, payload: bytes) -> bool:
        # A file, not a pipe: a program that floods its standard error must not block, nor fill memory.
        with tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(
                    self._argv,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    start_new_session=True,
                )
            except OSError as error:
                return self._failed(error.strerror or str(error))
            try:
                process.communicate(payload, timeout=self._settings.timeout_s)
            except subprocess.TimeoutExpired:
                return self._failed(f"ended after its {self._settings.timeout_s:g} s were over")
            except BrokenPipeError:
                # It did not want its input; that is its own business.
                process.wait()
            finally:
                # Its session may outlive it, or it may still run: end whatever is left of it.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                if process.stdin is not None:
                    with contextlib.suppress(OSError):
                        process.stdin.close()
            if process.returncode:
                return self._failed(f"exit code {process.returncode}{_last_line(errors)}")
        if self._failing:
            self._failing = False
            self._say("running", f"{self._argv[0]} works again")
        return True

    def _failed(self, why: str) -> bool:
        if not self._failing:
            self._failing = True
            self._say("failing", f"{self._argv[0]}: {why}")
        return False

    def _say(self, state: str, reason: str) -> None:
        self._report(Status("exec", state, reason, self._clock.now_ns()))


def _last_line(file: IO[bytes]) -> str:
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - _EXPLANATION_BYTES))
    lines = file.read().decode(errors="replace").strip().splitlines()
    return f": {lines[-1][:200]}" if lines else ""
