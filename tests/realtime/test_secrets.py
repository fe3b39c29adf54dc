"""Secrets stay here, files of results are private, and names move no cursor."""

from __future__ import annotations

import csv
import io
import json
import os
import socket
import stat
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from avel_live.realtime.commands import main
from avel_live.realtime.config.load import load_config
from avel_live.realtime.core.clock import ManualClock
from avel_live.realtime.core.errors import UsageError
from avel_live.realtime.core.messages import Event, Status
from avel_live.realtime.core.redact import redact
from avel_live.realtime.sinks.csv import HEADER, CsvFile
from avel_live.realtime.sinks.desktop import DesktopSink, NotifyOptions
from avel_live.realtime.sinks.exec import ExecOptions, ExecSink
from avel_live.realtime.sinks.log import LogOptions
from avel_live.realtime.sinks.metrics import MetricsOptions, MetricsSink
from avel_live.realtime.sinks.rotating import RotatingFile
from avel_live.realtime.sinks.stdout import JsonLines
from avel_live.realtime.ui.plain import PlainLines
from avel_live.realtime.ui.screen import Screen
from rich.console import Console
from support.about import Said, about
from support.event_flood import flood
from support.stream import make_start, make_stream

NASTY = "a\x1b[2Jb\x9b31mc\x07d\u202ee\u2028f\x7fg\udce9h\x00i"
BAD = [c for c in NASTY if not c.isalnum() and c not in "[]"]


def given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVEL_MQTT__PASSWORD", "hunter2")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter3")
    monkeypatch.setenv("TELEGRAM_TOKEN", "hunter4")
    monkeypatch.setenv("LC_TIME", "de_DE.UTF-8")


def test_a_program_gets_what_it_needs_and_what_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(monkeypatch)
    script = tmp_path / "hook"
    script.write_text(f"#!/bin/sh\nenv > '{tmp_path}/env'\n")
    script.chmod(0o700)
    said = Said()
    options = ExecOptions(str(script), env=("TELEGRAM_TOKEN", "ROOM=door=1", "NOT_SET"))
    sink = ExecSink(options, about(said, flush_s=30))
    sink.start(make_start())
    for record in flood(1):
        sink.hop(record)
    sink.close()
    assert said == []
    got = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert got["TELEGRAM_TOKEN"] == "hunter4"
    assert got["ROOM"] == "door=1"
    assert got["PATH"] == os.environ["PATH"]
    assert got["LC_TIME"] == "de_DE.UTF-8"
    assert "NOT_SET" not in got
    assert not [name for name in got if name.startswith(("AVEL_", "AWS_", "PYTEST"))]


def test_a_desktop_gets_no_password_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch)
    program = tmp_path / "notify-send"
    program.write_text(f"#!/bin/sh\nenv > '{tmp_path}/env'\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("DISPLAY", ":9")
    said = Said()
    sink = DesktopSink(NotifyOptions(True), about(said))
    sink.start(make_start())
    for record in flood(1):
        sink.hop(record)
    sink.close()
    assert said == []
    text = (tmp_path / "env").read_text()
    assert "DISPLAY=:9" in text
    assert "hunter" not in text


def test_what_is_no_variable_is_refused_and_not_shown() -> None:
    with pytest.raises(UsageError, match="--exec-env") as caught:
        ExecSink(ExecOptions("true", env=("=hunter2",)), about())
    assert "hunter2" not in str(caught.value)


def test_the_flag_fills_the_list_and_its_values_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    loaded = load_config({"exec.env": ["A", "B=geheim-4711"]}, environ={})
    assert loaded.config.exec.env == ("A", "B=geheim-4711")
    with pytest.raises(SystemExit):
        main(["config", "show", "--exec-env", "B=geheim-4711", "--exec-env", "TOKEN"])
    shown = capsys.readouterr().out
    assert "exec.env" in shown
    assert "geheim" not in shown
    assert "geheim" not in repr(loaded.config)
    assert redact("it said geheim-4711") == "it said ***"


@pytest.mark.parametrize(("mode", "folder"), [("0600", 0o700), ("0640", 0o750), ("0644", 0o755)])
def test_new_files_are_private_or_as_asked(tmp_path: Path, mode: str, folder: int) -> None:
    before = os.umask(0o022)
    try:
        options = LogOptions(tmp_path / "logs" / "a.jsonl", tmp_path / "logs" / "a.csv", mode=mode)
        sink = options.build(about())
        assert sink is not None
        sink.start(make_start())
        sink.close()
    finally:
        os.umask(before)
    for name in ("a.jsonl", "a.csv"):
        assert stat.S_IMODE((tmp_path / "logs" / name).stat().st_mode) == int(mode, 8)
    assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == folder


def test_a_file_that_is_there_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.touch()
    path.chmod(0o664)
    RotatingFile(path, "log", about()).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o664


@pytest.mark.parametrize("mode", [416, "rw-r-----", "0999", "0240", "00640"])
def test_permissions_that_are_none_are_refused(mode: object) -> None:
    with pytest.raises(UsageError, match=r"log\.mode"):
        load_config({"log.mode": mode}, environ={})


@pytest.mark.parametrize("token", ["plain", "schlüssel-öäü", "パスワード", "caf\udce9"])
def test_tokens_are_compared_as_they_are_sent(token: str) -> None:
    sink = MetricsSink(MetricsOptions(0, "0.0.0.0", token), about())

    def asked(secret: bytes) -> int:
        with socket.create_connection(("127.0.0.1", sink.port), 10) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\nAuthorization: Bearer " + secret + b"\r\n\r\n")
            return int(connection.makefile("rb").readline().split()[1])

    try:
        raw = token.encode("utf-8", "surrogateescape")
        assert asked(raw) == 200
        assert asked(raw + b"x") == 401
        assert asked(b"\xff\xfe") == 401
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://127.0.0.1:{sink.port}/metrics", timeout=10)
        caught.value.close()
    finally:
        sink.close()


def nasty_stream() -> tuple[object, list[object], object]:
    start, records, end = make_stream(14)
    names = tuple(f"{NASTY}{k}" if k < 20 else label for k, label in enumerate(start.labels))
    start = replace(start, labels=names, source=replace(start.source, name=NASTY), version=NASTY)

    def renamed(event: Event) -> Event:
        return replace(event, name=names[event.label])

    records = [replace(r, events=tuple(map(renamed, r.events))) for r in records]
    end = replace(end, reason=NASTY, last_events=tuple(map(renamed, end.last_events)))
    return start, records, end  # type: ignore[return-value]


def told(sink: object) -> None:
    start, records, end = nasty_stream()
    sink.start(start)  # type: ignore[attr-defined]
    sink.status(Status(NASTY, "lost", NASTY, 0))  # type: ignore[attr-defined]
    for record in records:
        sink.hop(record)  # type: ignore[attr-defined]
    sink.end(end)  # type: ignore[attr-defined]
    sink.close()  # type: ignore[attr-defined]


def test_no_control_character_reaches_a_line() -> None:
    plain, lines = io.StringIO(), io.StringIO()
    told(PlainLines(plain))
    told(JsonLines(lines))
    for text in (plain.getvalue(), lines.getvalue()):
        assert len(text) > 500
        assert [c for c in BAD if c in text] == []
    # What is read is what was written.
    read = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert read[0]["source"]["name"] == NASTY


def test_no_control_character_reaches_a_table(tmp_path: Path) -> None:
    told(CsvFile(RotatingFile(tmp_path / "a.csv", "csv", about(), header=HEADER)))
    text = (tmp_path / "a.csv").read_text()
    assert [c for c in BAD if c in text] == []
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) > 1
    assert all(len(row) == len(rows[0]) for row in rows)


def test_no_control_character_reaches_the_screen() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system="truecolor", width=120, height=40)
    screen = Screen(console, ManualClock(), threaded=False)
    start, records, end = nasty_stream()
    screen.start(start)  # type: ignore[arg-type]
    screen.status(Status(NASTY, "lost", NASTY, 0))
    for record in records:
        screen.hop(record)  # type: ignore[arg-type]
        screen.refresh()
    screen.end(end)  # type: ignore[arg-type]
    screen.close()
    text = out.getvalue()
    assert "\x1b[2Jb" not in text
    assert [c for c in BAD if c in text and c != "\x1b"] == []
