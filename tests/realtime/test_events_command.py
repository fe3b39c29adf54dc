"""`avel events`: what people ask, how it is printed, and how it fails."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from avel_live.realtime.commands import main
from avel_live.realtime.memory import EventRow, Memory, Run, Writer
from avel_live.realtime.memory.times import micro

NOW = datetime.now(timezone.utc)
NOON = NOW.astimezone().replace(hour=12, minute=0, second=0, microsecond=0)
YESTERDAY_NOON = micro(NOON - timedelta(days=1))
SPEECH = "Male speech, man speaking"
RUN = Run("door", YESTERDAY_NOON, "rtsp://door", "lite onnxruntime int8", "", "0.1.0", "UTC")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [n for n in os.environ if n.startswith("AVEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("AVEL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    path = tmp_path / "data" / "memory.sqlite"
    writer = Writer(path)
    door, yard = writer.begin(RUN), writer.begin(replace(RUN, stream="yard"))

    def row(number: int, label: str, at_s: int, confidence: float) -> EventRow:
        start_us = YESTERDAY_NOON + at_s * 1_000_000
        return EventRow(number, label, start_us, start_us + 2_500_000, confidence)

    writer.add(door, [row(0, "Bark", 0, 0.9), row(1, "Bark", 60, 0.6), row(2, SPEECH, 90, 0.8)])
    writer.add(yard, [row(0, "Bark", 30, 0.95), replace(row(1, "Bark", 40, 0.5), retracted=True)])
    writer.add(yard, [row(2, "Bus <17> & co", -86_400, 0.7)])
    writer.add(yard, [replace(row(3, "Bus <17> & co", 120, 0.7), end_us=None)])
    writer.close()
    return Memory(path)


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["events", *args])
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def test_the_newest_come_first_and_are_readable(memory: Memory, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys)
    assert (code, err) == (0, "")
    head, *rows = out.splitlines()
    assert head.split() == ["when", "lasted", "stream", "class", "sure", "mark", "clip"]
    assert [row.split()[3] for row in rows] == ["open", "2.5", "2.5", "2.5", "2.5", "2.5"]
    assert "12:01:30  2.5 s   door    Male speech, man speaking  80%" in rows[1]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((), 6),
        (("--class", "bark"), 3),
        (("--class", "male_speech, man speaking", "--class", "Bark"), 4),
        (("--stream", "yard"), 3),
        (("--since", "yesterday", "--until", "yesterday", "--class", "Bark", "--stream", "door"), 2),
        (("--since", "yesterday", "--until", "yesterday"), 5),
        (("--min-confidence", "0.8"), 3),
        (("--retracted",), 7),
        (("--until", "3w"), 0),
    ],
)
def test_what_is_asked_for_is_counted_and_listed(
    memory: Memory, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], expected: int
) -> None:
    assert run(capsys, *args, "--count") == (0, f"{expected}\n", "")
    code, out, _ = run(capsys, *args, "--format", "jsonl")
    assert (code, len(out.splitlines())) == (0, expected)


def test_exports_are_read_by_others_and_hold_the_same(
    memory: Memory, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [json.loads(line) for line in run(capsys, "--format", "jsonl")[1].splitlines()]
    rows = list(csv.DictReader(io.StringIO(run(capsys, "--format", "csv")[1])))
    assert [row["label"] for row in rows] == [line["label"] for line in lines]
    assert [float(row["confidence"]) for row in rows] == [line["confidence"] for line in lines]
    starts = [datetime.fromisoformat(line["start"]) for line in lines]
    assert starts == sorted(starts), "oldest first"
    assert micro(starts[1]) == YESTERDAY_NOON
    assert lines[-1]["end"] is None
    cues = run(capsys, "--format", "vtt")[1]
    assert cues.startswith("WEBVTT\nNOTE begins ")
    assert "00:00:00.000 --> 00:00:02.500\nyard: Bus &lt;17&gt; &amp; co (70%)" in cues
    assert "24:01:30.000 --> 24:01:32.500\ndoor: Male speech, man speaking (80%)" in cues


def test_deleting_asks_and_forgets(memory: Memory, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "--class", "Bark", "--delete")
    assert (code, "say --yes" in err) == (2, True)
    assert memory.count() == 6
    assert run(capsys, "--class", "Bark", "--delete", "--yes") == (0, "", "3 events forgotten\n")
    assert memory.count() == 3
    assert sum(memory.totals(0, 10**6).by_day.values()) == 3


def test_reading_goes_on_while_a_stream_writes(memory: Memory, capsys: pytest.CaptureFixture[str]) -> None:
    holder = sqlite3.connect(memory.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        assert run(capsys, "--count") == (0, "6\n", "")
        code, _, err = run(capsys, "--delete", "--yes")
        assert (code, "locked" in err) == (5, True)
    finally:
        holder.close()


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--class", "Barks"), 2, "did you mean 'Bark'?"),
        (("--stream", "zzz"), 2, "there are: door, yard"),
        (("--since", "soon"), 2, "--since: 'soon' is no time"),
        (("--format", "xml"), 2, "expected one of table, csv, jsonl, vtt"),
        (("--min-confidence", "2"), 2, "less than or equal to 1"),
        (("--memory-file", "nowhere.sqlite"), 5, "no memory there yet"),
        (("import", "nowhere"), 2, "no such file or folder"),
    ],
)
def test_errors_are_one_line_that_helps(
    memory: Memory, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], code: int, said: str
) -> None:
    got, out, err = run(capsys, *args)
    assert (got, out) == (code, "")
    assert said in err
    assert err.count("\n") == 1


FOUND = [
    {"id": k, "label": "Bark", "start_s": 6.0 * k, "end_s": 6.0 * k + 2, "confidence": 0.9} for k in range(3)
]
RESULT = {
    "schema": 1, "version": "0.1.0",
    "input": {"name": "garden.mp4", "size": 1, "mtime_ns": 1_795_000_060 * 10**9, "sha256": ""},
    "profile": "lite", "backend": "onnxruntime", "precision": "int8", "calibration": None, "seconds": 60.0,
}  # fmt: skip


def test_results_of_localize_are_remembered_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    path = tmp_path / "data" / "memory.sqlite"
    for events in (FOUND, FOUND[:2]):
        (out / "garden.mp4.json").write_text(json.dumps({**RESULT, "events": events}))
        code, _, err = run(capsys, "import", str(out))
        assert (code, err) == (0, f"{len(events)} events of 1 recordings remembered in {path}\n")
        kept = Memory(path).events()
        assert len(kept) == len(events)
    assert [(one.start_us, one.stream) for one in kept] == [
        (1_795_000_006_000_000, "garden.mp4"),
        (1_795_000_000_000_000, "garden.mp4"),
    ]
    assert run(capsys, "import", str(out), "--stream", "yard", "--at", "2026-01-01T00:00Z")[0] == 0
    assert Memory(path).events(oldest_first=True)[0].start_us == 1_767_225_600_000_000

    (out / "other.json").write_text("{}")
    code, _, err = run(capsys, "import", str(out))
    assert (code, "not the JSON of" in err) == (2, True)


def test_a_reader_that_leaves_is_no_error(memory: Memory) -> None:
    writer = Writer(memory.path)
    rows = [EventRow(k, "Bark", YESTERDAY_NOON + k, YESTERDAY_NOON + k, 0.5) for k in range(3000)]
    writer.add(writer.begin(replace(RUN, stream="many")), rows)
    writer.close()
    code = "from avel_live.realtime.commands import main; main()"
    command = [sys.executable, "-c", code, "events", "--format", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline().startswith(b"{")
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 0
