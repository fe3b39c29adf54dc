"""`--exec CMD`: a program run for every event record, with the record as JSON on its standard input.

There is no shell: the command is split once, as a POSIX shell would, and started as it is, with what it needs
of our environment and no secret of ours (`environment`). What it prints is not shown; its last line on
standard error explains a failure. A program that outlives its time limit is ended with everything it started.
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from typing import IO, Annotated, Final

from ..core.errors import OutputError, UsageError
from ..core.options import OUTPUTS, Ge, Gt, Le, Names, Option
from ..core.states import State
from .base import About, Sink, SinkOptions, words
from .delivery import DeliveryCounts, DeliveryQueue
from .environment import clean_environment
from .records import JsonSink, Record, to_bytes

_EXPLANATION_BYTES: Final = 4096


FLUSH_S: Final = 10.0


@dataclass(frozen=True)
class ExecOptions(SinkOptions):
    """A program to run on every event."""

    command: Annotated[
        str | None,
        Option(
            "--exec",
            panel=OUTPUTS,
            metavar="CMD",
            help="run a program on every event (no shell; the event as JSON on its stdin)",
        ),
    ] = None
    env: Annotated[
        Names,
        Option(
            "--exec-env",
            panel=OUTPUTS,
            metavar="NAME[=VALUE]",
            secret=True,
            help="a variable for the program of --exec, beside PATH, HOME and the like (repeat the flag)",
        ),
    ] = field(default=(), repr=False)
    timeout_s: Annotated[float, Gt(0), Le(86_400)] = 10.0
    at_once: Annotated[int, Ge(1)] = 4
    """Programs running at the same time; the rest wait their turn."""
    buffer: Annotated[int, Ge(1)] = 1_000
    """Events that may wait; beyond it the oldest are dropped, counted and reported."""

    def build(self, about: About) -> Sink | None:
        """A sink with a queue and threads of its own."""
        return ExecSink(self, about) if self.command is not None else None


class ExecSink(JsonSink):
    """Runs the program. `write` only queues (and where `lossless` waits for room).

    Raises:
        UsageError: the command can't be split, or is empty.
        OutputError: no such program, or it may not be run.

    """

    events_only = True

    def __init__(self, options: ExecOptions, about: About) -> None:
        super().__init__()
        try:
            argv = shlex.split(options.command or "")
        except ValueError as error:
            # Not the command itself: keys are passed to programs.
            raise UsageError(f"--exec: the command can't be split into words ({error})") from None
        if not argv:
            raise UsageError("--exec: the command is empty")
        program = shutil.which(os.path.expanduser(argv[0]))
        if program is None:
            raise OutputError(f"--exec {argv[0]}: no such program, or it may not be run; give its full path")
        self._argv = [program, *argv[1:]]
        self._environment = clean_environment(options.env)
        self._options, self._about = options, about
        self._failing = False
        self._queue: DeliveryQueue[bytes] = DeliveryQueue(
            "exec",
            self._execute,
            capacity=options.buffer,
            on_drop=lambda n: self._say("dropping", f"{argv[0]} is too slow: {n} events dropped so far"),
            clock=about.clock,
            threads=options.at_once,
            room=about.room(),
            on_error=lambda error: self._failed(words(error)),
        )

    @property
    def counts(self) -> DeliveryCounts:
        """Runs that succeeded, failed, were dropped, and are waiting or running."""
        return self._queue.counts

    def write(self, record: Record) -> None:
        """Queue a run; waits only where `lossless`."""
        self._queue.put(to_bytes({"stream": self._about.name, **record}) + b"\n")

    def close(self) -> None:
        """Let what runs or is due finish, at most for `flush_s`."""
        before = self._queue.counts.dropped
        dropped = self._queue.close(lambda: self._about.flush_s(FLUSH_S)).dropped - before
        if dropped:
            self._say("failed", f"{self._argv[0]}: not run for the last {dropped} events")

    def _execute(self, payload: bytes) -> bool:
        # A file, not a pipe: a program that floods its standard error must not block, nor fill memory.
        with _somewhere() as errors:
            try:
                process = subprocess.Popen(
                    self._argv,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env=self._environment,
                    start_new_session=True,
                )
            except OSError as error:
                return self._failed(error.strerror or str(error))
            try:
                process.communicate(payload, timeout=self._options.timeout_s)
            except subprocess.TimeoutExpired:
                return self._failed(f"ended after its {self._options.timeout_s:g} s were over")
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

    def _say(self, state: State, reason: str) -> None:
        self._about.report("exec", state, reason)


def _somewhere() -> IO[bytes]:
    """A file for what a program complains of; where the disk is full, the program runs all the same."""
    try:
        import tempfile

        return tempfile.TemporaryFile()
    except OSError:
        return open(os.devnull, "r+b")


def _last_line(file: IO[bytes]) -> str:
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - _EXPLANATION_BYTES))
    lines = file.read().decode(errors="replace").strip().splitlines()
    return f": {lines[-1][:200]}" if lines else ""
