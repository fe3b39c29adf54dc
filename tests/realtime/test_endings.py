"""However it is ended (a stuck reader, a closed terminal, a broker that is away), the end is written down."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from avel_live.realtime.core.errors import OutputError
from avel_live.realtime.sinks.lines import LineWriter
from support.media import make_clip
from support.peers import eventually
from support.server_process import free_port

F_SETPIPE_SZ = 1031
"""fcntl's, by name only in newer Pythons."""
LIVE = [sys.executable, "-c", "from avel_live.realtime.commands import live_main; live_main()"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("media") / "clip.mkv"
    return make_clip(path, seconds=2.6, fps=4, size=(96, 72), rate=16_000, channels="mono")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AVEL_")}
    keep = {name: os.environ[name] for name in ("AVEL_CACHE_DIR",) if name in os.environ}
    return {
        **clean,
        **keep,
        "OMP_NUM_THREADS": "1",
        "XDG_CONFIG_HOME": str(tmp_path),
        "TERM": "xterm-256color",
    }


def records(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def hops(log: Path) -> int:
    return sum(1 for record in records(log) if record["type"] == "hop")


def fill(pipe: int) -> None:
    os.set_blocking(pipe, False)
    try:
        while True:
            os.write(pipe, b"x" * 512)
    except BlockingIOError:
        os.set_blocking(pipe, True)


def ended_well(process: subprocess.Popen[bytes], log: Path, limit_s: float) -> None:
    began = time.monotonic()
    assert process.wait(60) == 0
    assert time.monotonic() - began < limit_s
    assert records(log)[-1]["type"] == "end"
    assert records(log)[-1]["reason"] == "stopped"


@pytest.mark.parametrize("form", ["--json", pytest.param("--no-ui", marks=pytest.mark.slow)])
def test_a_reader_that_stopped_reading_does_not_hold_a_stop(
    form: str, clip: Path, env: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    args = [
        "--file",
        str(clip),
        "--loop",
        "--fast",
        form,
        "--log",
        str(log),
        "--enter",
        "0.01",
        "--leave",
        "0",
    ]
    reader, writer = os.pipe()
    fcntl.fcntl(writer, F_SETPIPE_SZ, 16_384)
    process = subprocess.Popen([*LIVE, *args], stdout=writer, stderr=subprocess.PIPE, env=env, cwd=tmp_path)
    if form == "--no-ui":
        fill(writer)  # the few lines of a log would take a day
    os.close(writer)
    try:
        if form == "--json":
            last = -1

            def stands_still() -> bool:
                nonlocal last
                before, last = last, hops(log)
                time.sleep(1.0)
                return last > 0 and before == last

            eventually(stands_still, "the pipe is full", 120)
        else:
            time.sleep(5.0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        if form == "--json":
            assert records(log)[-1]["type"] == "end"
            assert process.stderr is not None
            assert b"lines were lost" in process.stderr.read()
            os.set_blocking(reader, False)
            got = b""
            while chunk := os.read(reader, 65536):
                got += chunk
            for line in got.splitlines()[:-1]:
                json.loads(line)  # each is whole
    finally:
        process.kill()
        process.wait()
        os.close(reader)
        assert process.stderr is not None
        process.stderr.close()


@pytest.mark.slow
def test_a_broker_that_is_away_does_not_hold_a_stop(clip: Path, env: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    args = ["--file", str(clip), "--loop", "--fast", "--no-ui", "--log", str(log)]
    args += ["--enter", "0.01", "--leave", "0", "--min-event", "0", "--hold", "0"]
    env |= {
        "AVEL_MQTT__URL": f"mqtt://127.0.0.1:{free_port()}",
        "AVEL_MQTT__BUFFER": "1",
        "AVEL_WEBHOOK__URL": f"http://127.0.0.1:{free_port()}/",
        "AVEL_WEBHOOK__BUFFER": "1",
    }
    process = subprocess.Popen(
        [*LIVE, *args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env, cwd=tmp_path
    )
    try:
        eventually(lambda: hops(log) > 3, "it runs", 120)
        time.sleep(2.0)
        process.send_signal(signal.SIGTERM)
        ended_well(process, log, 15)
    finally:
        process.kill()
        process.wait()


def test_a_reader_that_goes_away_leaves_the_end_in_the_log(
    clip: Path, env: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    args = ["--file", str(clip), "--loop", "--fast", "--json", "--log", str(log)]
    process = subprocess.Popen(
        [*LIVE, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=tmp_path
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        ended_well(process, log, 15)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


# Terminals ----------------------------------------------------------------------------------------------


class Terminal:
    """A program with a controlling terminal of its own, that can be closed."""

    def __init__(self, args: list[str], env: dict[str, str], folder: Path) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(args[0], args, env)
        self.text = b""
        self.read = threading.Event()
        self.read.set()
        self._closing = False
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def _pump(self) -> None:
        while not self._closing:
            if not self.read.wait(0.1) or not select.select([self.master], [], [], 0.1)[0]:
                continue
            try:
                self.text += os.read(self.master, 65536)
            except OSError:
                return

    def close(self) -> None:
        self._closing = True
        self._thread.join(10)
        os.close(self.master)

    def ended(self, limit_s: float) -> int | None:
        """Exit code within the time; None while it runs."""
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
        return None

    def kill(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    started: list[Terminal] = []
    yield started
    for terminal in started:
        terminal.kill()


@pytest.mark.parametrize(
    "form", [["--no-ui"], pytest.param([], marks=pytest.mark.slow)], ids=["lines", "screen"]
)
def test_a_closed_terminal_ends_a_foreground_run_as_ctrl_c_does(
    form: list[str], clip: Path, env: dict[str, str], tmp_path: Path, terminals: list[Terminal]
) -> None:
    log = tmp_path / "log.jsonl"
    args = [*LIVE, "--file", str(clip), "--loop", *form, "--log", str(log), "--threads", "1"]
    terminal = Terminal(args, env, tmp_path)
    terminals.append(terminal)
    eventually(lambda: hops(log) > 2, "it runs", 120)
    terminal.close()
    assert terminal.ended(20) == 0
    assert records(log)[-1]["type"] == "end"


@pytest.mark.slow
def test_a_terminal_that_takes_nothing_does_not_hold_a_stop(
    clip: Path, env: dict[str, str], tmp_path: Path, terminals: list[Terminal]
) -> None:
    log = tmp_path / "log.jsonl"
    args = [*LIVE, "--file", str(clip), "--loop", "--log", str(log), "--threads", "1"]
    terminal = Terminal(args, env, tmp_path)
    terminals.append(terminal)
    eventually(lambda: hops(log) > 1, "it runs", 120)
    termios.tcflow(terminal.master, termios.TCOOFF)  # Ctrl-S
    terminal.read.clear()
    time.sleep(2.0)
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.ended(25) == 0
    assert records(log)[-1]["type"] == "end"
    terminal.close()


@pytest.mark.slow
def test_with_nohup_a_closed_terminal_changes_nothing(
    clip: Path, env: dict[str, str], tmp_path: Path, terminals: list[Terminal]
) -> None:
    log = tmp_path / "log.jsonl"
    line = ["--file", str(clip), "--loop", "--no-ui", "--log", str(log), "--threads", "1"]
    terminal = Terminal(["nohup", *LIVE, *line], env, tmp_path)
    terminals.append(terminal)
    eventually(lambda: hops(log) > 1, "it runs", 120)
    terminal.close()
    now = hops(log)
    eventually(lambda: hops(log) > now + 2, "it goes on", 60)
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.ended(20) == 0
    assert records(log)[-1]["type"] == "end"


SCRIPT = """
import os, signal
from avel_live.realtime.commands.early import hold_hang_ups
hold_hang_ups()
{before}
from avel_live.realtime.commands.live.signals import Signals
signals = Signals()
{between}
signals.on_reload(lambda: print("reload", flush=True))
{after}
print("alive", flush=True)
"""
KICK = "os.kill(os.getpid(), signal.SIGHUP)"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (SCRIPT.format(before=KICK, between="", after=""), "reload\nalive\n"),
        (SCRIPT.format(before="", between=KICK, after=""), "reload\nalive\n"),
        (SCRIPT.format(before="", between="", after=KICK), "reload\nalive\n"),
        (SCRIPT.format(before="", between="", after=""), "alive\n"),
    ],
    ids=["while importing", "while loading", "while running", "never"],
)
def test_a_hang_up_before_there_is_anything_to_reload_is_kept(script: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, start_new_session=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")


# Lines --------------------------------------------------------------------------------------------------


def test_a_line_is_whole_or_not_there_and_what_is_lost_is_counted() -> None:
    reader, writer = os.pipe()
    stream = os.fdopen(writer, "w")
    lines = LineWriter(stream, wait_s=0.2)
    long = "x" * 9_000  # longer than a piece that a pipe takes at once
    for number in range(40):
        lines.write(f"{number} {long}")
    assert lines.lost > 20
    os.set_blocking(reader, False)
    got = b""

    def drain() -> None:
        nonlocal got
        try:
            while chunk := os.read(reader, 65536):
                got += chunk
        except BlockingIOError:
            return

    drain()
    for number in range(40, 45):
        lines.write(f"{number} {long}")
        drain()
    lines.close()
    drain()
    os.close(reader)
    stream.close()
    whole = [line.split() for line in got.decode().splitlines()]
    assert all(text == long for _, text in whole)
    numbers = [int(number) for number, _ in whole]
    assert numbers[-5:] == [40, 41, 42, 43, 44]
    assert len(numbers) + lines.lost == 45


def test_a_full_disk_is_an_error_and_a_closed_pipe_is_told() -> None:
    reader, writer = os.pipe()
    told: list[str] = []
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        lines = LineWriter(stream, gone=lambda: told.append("gone"))
        lines.write("a")
        lines.write("b")
    assert told == ["gone"]
    with open("/dev/full", "w") as full, pytest.raises(OutputError, match="standard output"):
        LineWriter(full).write("a")
