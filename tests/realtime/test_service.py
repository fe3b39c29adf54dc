"""Life under a service manager: ready, watchdog, reload. The manager is a real datagram socket."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from avel_live.realtime.commands.live.service import Notifier, Service
from avel_live.realtime.config.load import Loaded, load_config
from avel_live.realtime.config.schema import Config
from avel_live.realtime.core.clock import ManualClock, SystemClock
from avel_live.realtime.core.messages import TimedAudio
from avel_live.realtime.events import Decoder, DecoderConfig
from avel_live.realtime.session.outputs import make_outputs
from avel_live.realtime.session.reload import Reloader, plan_reload
from avel_live.realtime.sinks.switchboard import Switchboard
from support.about import Said
from support.event_flood import flood
from support.media import make_clip
from support.peers import Receiver, eventually
from support.server_process import free_port
from support.stream import make_scores, make_start, make_stream


class Manager:
    """The receiving end of sd_notify."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.path = path
        self.messages: list[str] = []

    def read(self) -> list[str]:
        while select.select([self.socket], [], [], 0)[0]:
            self.messages.append(self.socket.recv(4096).decode())
        return self.messages


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.socket.close()


def test_ready_watchdog_and_stopping(manager: Manager) -> None:
    clock = ManualClock()
    environ = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "3000000"}
    said = Said()
    service = Service(clock, lambda: "reloaded: thresholds", said, Notifier(environ))
    service.stopping()
    assert manager.read() == []  # nothing was ready yet
    for _ in range(40):
        service.beat()
        clock.advance(0.25)
    service.stopping()
    messages = manager.read()
    assert messages[0].startswith("READY=1\n")
    assert messages[1:-1] == ["WATCHDOG=1"] * 9  # every second of ten: a third of the interval
    assert messages[-1].startswith("STOPPING=1")
    assert said == []


def test_silent_where_there_is_no_manager() -> None:
    assert not Notifier({}).send("READY=1")
    assert not Notifier({"NOTIFY_SOCKET": "/nowhere/notify"}).send("READY=1")
    assert Notifier({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}).watchdog_ns == 0
    assert Notifier({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": str(os.getpid())}).watchdog_ns == 5 * 10**9


def test_a_hang_up_reloads_on_the_next_turn_and_an_error_is_only_told(manager: Manager) -> None:
    said = Said()
    answers = iter(["reloaded: mqtt"])
    service = Service(
        ManualClock(), lambda: next(answers), said, Notifier({"NOTIFY_SOCKET": str(manager.path)})
    )
    before = signal.getsignal(signal.SIGHUP)
    try:
        service.listen()
        service.beat()
        os.kill(os.getpid(), signal.SIGHUP)
        service.beat()
        os.kill(os.getpid(), signal.SIGHUP)
        service.beat()
        service.beat()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert [(s.device, s.state) for s in said] == [("configuration", "reloaded"), ("configuration", "failed")]
    assert said[0].reason == "reloaded: mqtt"
    told = [m.split("\n")[0] for m in manager.read()]
    assert told == ["READY=1", "RELOADING=1", "READY=1", "RELOADING=1", "READY=1"]


def test_what_a_reload_can_change() -> None:
    old = load_config({}, environ={}).config

    def plan(**flags: object) -> str:
        flags = {name.replace("__", "."): value for name, value in flags.items()}
        return str(plan_reload(old, load_config(flags, environ={}).config))

    assert plan() == "reloaded: nothing that can change now"
    assert plan(enter=0.6, ignore=("Cat",)) == "reloaded: thresholds"
    assert plan(mqtt__url="mqtt://hub", notify=True) == "reloaded: mqtt, notify"
    assert plan(profile="paper", enter=0.6) == "reloaded: thresholds; only a restart changes profile"
    assert "restart changes clips.dir" in plan(record__dir="clips")
    assert plan(name="door") == "reloaded: mqtt, webhook, exec, clips, memory, web, notify"


def test_thresholds_change_under_a_running_decoder() -> None:
    decoder = Decoder(DecoderConfig(enter=0.99, leave=0.98))
    quiet = [e for k in range(10) for e in decoder.push(make_scores(k)).events]
    assert quiet == []
    decoder.reconfigure(DecoderConfig())
    steps = [decoder.push(make_scores(k)) for k in range(10, 25)]
    assert any(e.kind == "start" for step in steps for e in step.events)
    # Every second is settled once, in order, across the change.
    settled = [s.index for step in steps for s in step.settled] + [s.index for s in decoder.finish().settled]
    assert settled == list(range(8, 25))


def test_a_reload_exchanges_outputs_without_losing_an_event(tmp_path: Path) -> None:
    first, second = Receiver(), Receiver()
    port = free_port()
    file = tmp_path / "avel.toml"

    def write(url: str, enter: float, metrics: int) -> None:
        file.write_text(f"enter = {enter}\n[webhook]\nurl = '{url}'\n[metrics]\nport = {metrics}\n")

    write(first.url, 0.5, port)
    loaded = load_config({}, path=file, environ={})
    said = Said()
    clock = SystemClock()
    outputs = make_outputs(loaded.config, said, clock)
    switchboard = Switchboard(list(outputs.values()))
    decoder = Decoder(DecoderConfig())

    def decoding(config: Config) -> DecoderConfig:
        return replace(DecoderConfig(), enter=config.enter or 0.4)

    reloader = Reloader(loaded, outputs, switchboard, decoder, decoding, said, clock)
    switchboard.start(make_start())
    records = list(flood(40))
    for record in records[:10]:
        switchboard.hop(record)
    write(second.url, 0.7, port)
    assert reloader() == "reloaded: thresholds, webhook"
    assert decoder.config.enter == 0.7
    for record in records[10:]:
        switchboard.hop(record)
    assert reloader() == "reloaded: nothing that can change now"
    file.write_text("entr = 0.5\n")
    with pytest.raises(ValueError, match="entr"):
        reloader()
    other = free_port()
    write(second.url, 0.7, other)
    assert reloader() == "reloaded: metrics"
    with socket.create_connection(("127.0.0.1", other), 10):
        pass
    switchboard.media(TimedAudio(0, np.zeros(1, np.float32)))  # nobody there wants it
    switchboard.end(replace(make_stream(1)[2], last_events=(), last_settled=()))
    switchboard.close()
    assert len(first.requests) == 20
    assert len(second.requests) == 20
    first.close()
    second.close()
    assert said == []


def test_loaded_can_be_read_again(tmp_path: Path) -> None:
    file = tmp_path / "avel.toml"
    file.write_text("enter = 0.5\nleave = 0.2\n")
    loaded = load_config({"enter": 0.6}, path=file, environ={})
    file.write_text("enter = 0.1\nleave = 0.05\n")
    assert loaded.again is not None
    again: Loaded = loaded.again()
    assert again.config.enter == 0.6  # the flag still wins
    assert again.config.leave == 0.05


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP on this system")
def test_the_program_itself(tmp_path: Path, manager: Manager) -> None:
    """Ready after loading, signs of life, a reload on SIGHUP, a clean end on SIGTERM."""
    clip = make_clip(tmp_path / "clip.mp4", seconds=3.0, fps=5.0)
    (tmp_path / "avel.toml").write_text("enter = 0.5\n")
    environ = {
        **os.environ,
        "NOTIFY_SOCKET": str(manager.path),
        "WATCHDOG_USEC": "1000000",
        "OMP_NUM_THREADS": "1",
    }
    code = "from avel_live.realtime.commands import live_main; live_main()"
    command = [sys.executable, "-c", code, "--file", str(clip), "--loop", "--no-ui"]
    command += ["--config", "avel.toml", "--backend", "torch"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines: list[str] = []
    assert process.stdout is not None
    output = process.stdout
    reader = threading.Thread(target=lambda: lines.extend(output))
    reader.start()
    try:
        eventually(lambda: "WATCHDOG=1" in manager.read(), "ready and alive", 300)
        assert manager.messages[0].startswith("READY=1")
        (tmp_path / "avel.toml").write_text("enter = 0.9\n")
        process.send_signal(signal.SIGHUP)
        eventually(lambda: any("reloaded: thresholds" in line for line in lines), "the reload is logged")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        reader.join(10)
        output.close()
    assert any(m.startswith("STOPPING=1") for m in manager.read())
