"""JSONL and CSV files: schema 1 line by line, rotation, a full disk, a crash in the middle of a line."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from avel_live.model.labels import LABELS
from avel_live.realtime.core.clock import ManualClock
from avel_live.realtime.core.errors import OutputError
from avel_live.realtime.core.messages import Status
from avel_live.realtime.sinks.base import Sink
from avel_live.realtime.sinks.csv import COLUMNS, HEADER, CsvFile
from avel_live.realtime.sinks.jsonl import JsonlFile
from avel_live.realtime.sinks.log import LogOptions
from avel_live.realtime.sinks.rotating import RETRY_S, RotatingFile, Rotation
from avel_live.realtime.sinks.stdout import JsonLines
from support.about import Said, about
from support.stream import make_start, make_stream

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "stream.jsonl"


class Quiet(Said):
    def __call__(self, *status: object) -> None:  # type: ignore[override]
        raise AssertionError(f"nothing to report, but: {status}")


QUIET = about(Quiet())


def tell(sink: Sink, hops: int = 12, **start_changes: object) -> None:
    _, records, end = make_stream(hops)
    sink.status(Status("camera", "running", "", 0))
    sink.start(make_start(**start_changes))
    for record in records:
        sink.hop(record)
    sink.end(end)
    sink.close()
    sink.close()


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_stdout_jsonl_is_golden() -> None:
    out = io.StringIO()
    tell(JsonLines(out))
    if os.environ.get("AVEL_GOLDEN") == "write":
        GOLDEN.write_text(out.getvalue(), encoding="utf-8")
    assert out.getvalue() == GOLDEN.read_text(encoding="utf-8")


def test_records_follow_schema_1(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    tell(JsonlFile(RotatingFile(path, "log", QUIET)), hops=25)
    records = read(path)
    fields = {
        "start": "schema version profile backend precision source labels window segment_s hop_s",
        "hop": "hop segment label confidence top latency_ms skipped dropped",
        "segment": "index start_s end_s label confidence looks",
        "event": "event id label start_s end_s confidence",
        "status": "device state reason",
        "end": "seconds hops skipped dropped events real_time_factor latency_ms skew_ms",
    }
    for record in records:
        assert set(fields[str(record["type"])].split()) <= set(record)
    by_type = {t: [r for r in records if r["type"] == t] for t in fields}
    assert [len(by_type[t]) for t in ("start", "hop", "segment", "status", "end")] == [1, 25, 25, 1, 1]
    assert by_type["start"][0]["labels"] == list(LABELS)
    assert by_type["start"][0]["schema"] == 1
    assert [s["index"] for s in by_type["segment"]] == list(range(25))
    assert {len(hop["top"]) for hop in by_type["hop"]} == {5}  # type: ignore[arg-type]
    kinds = [event["event"] for event in by_type["event"]]
    assert kinds.count("start") == kinds.count("end") + kinds.count("retract") > 0
    assert records[-1]["type"] == "end"


def test_csv_has_one_row_per_event(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    tell(CsvFile(RotatingFile(path, "csv", QUIET, header=HEADER)), hops=25, wall_clock=1_700_000_000.0)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [(r["label"], float(r["start_s"]), float(r["end_s"])) for r in rows] == [
        ("Bark", 4.0, 8.0),
        ("Baby cry, infant cry", 10.0, 15.0),
        ("Bark", 16.0, 19.0),
        ("Bark", 23.0, 25.0),
    ]
    assert rows[0]["started_at"] == "2023-11-14T22:13:24.000+00:00"
    # Going on later appends rows, not a second header.
    tell(CsvFile(RotatingFile(path, "csv", QUIET, header=HEADER)), hops=8)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines.count(HEADER) == 1
    assert len(lines) == 1 + 4 + 1


def test_rotation_by_size_loses_no_line_and_keeps_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    wall = [1_700_000_000.0]
    file = RotatingFile(
        path,
        "log",
        about(Quiet(), wall_s=lambda: wall[0]),
        rotation=Rotation(megabytes=0.001, keep=3),
        fsync="never",
    )
    file.begin('{"type": "start"}')
    for number in range(400):
        wall[0] += 1
        file.write(json.dumps({"n": number}))
    file.close()
    closed = file.closed_files()
    assert len(closed) == 3
    every = [*closed, path]
    for part in every:
        assert read(part)[0] == {"type": "start"}  # each file can be read by itself
        assert part.stat().st_size <= 1_000 + 20
    numbers = [r["n"] for part in every for r in read(part) if "n" in r]
    assert numbers == list(range(numbers[0], 400))  # type: ignore[call-overload]


def test_rotation_at_midnight(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    wall = [86_400.0 * 20_000 - 30]
    file = RotatingFile(
        path, "csv", about(Quiet(), wall_s=lambda: wall[0]), rotation=Rotation(days=1), header="head"
    )
    for text in ("before", "after"):
        file.write(text)
        wall[0] += 60
    file.write("later")
    file.close()
    (closed,) = file.closed_files()
    assert closed.name == "events-20241004T000030.csv"
    assert closed.read_text() == "head\nbefore\n"
    assert path.read_text() == "head\nafter\nlater\n"


class FullDisk:
    """Wraps a raw file; while `full`, a write takes a few bytes and then fails, as a real disk does."""

    def __init__(self, file: io.FileIO) -> None:
        self.file, self.full = file, True

    def write(self, data: bytes) -> int:
        if self.full:
            self.file.write(data[:3])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file.write(data)

    def fileno(self) -> int:
        return self.file.fileno()

    def close(self) -> None:
        self.file.close()


def test_a_full_disk_is_said_once_and_survived(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    clock, said = ManualClock(), Said()
    file = RotatingFile(path, "log", about(said, clock))
    file.write("one")
    assert file._file is not None
    file._file = FullDisk(file._file)  # type: ignore[arg-type, assignment]
    for _ in range(5):
        file.write("lost")
    assert [(s.device, s.state) for s in said] == [("log", "failing")]
    assert "No space left" in said[0].reason
    assert path.read_text() == "one\n"  # not even half a line
    clock.advance(RETRY_S)
    file.write("two")
    file.close()
    assert path.read_text() == "one\ntwo\n"
    assert said[-1].state == "running"
    assert "5 lines were lost" in said[-1].reason


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_is_full_from_the_start_of_writing() -> None:
    said = Said()
    file = RotatingFile(Path("/dev/full"), "log", about(said), fsync="never")
    file.write("one")
    file.close()
    assert file.lost == 1
    assert said[0].state == "failing"


def test_a_line_cut_by_a_crash_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"a": 1}\n{"b": ', encoding="utf-8")
    file = RotatingFile(path, "log", QUIET)
    file.write('{"c": 3}')
    file.close()
    assert path.read_text(encoding="utf-8").splitlines() == ['{"a": 1}', '{"b": ', '{"c": 3}']


def test_what_was_written_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from avel_live.realtime.core.clock import SystemClock\n"
        "from avel_live.realtime.sinks.base import About\n"
        "from avel_live.realtime.sinks.rotating import RotatingFile\n"
        "f = RotatingFile(Path(sys.argv[1]), 'log', About('x', True, print, SystemClock()))\n"
        "for n in range(50): f.write(f'{n}', important=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=120)
    assert done.returncode == -9
    assert path.read_text().splitlines() == [str(n) for n in range(50)]


@pytest.mark.parametrize("where", ["file/log.jsonl", "folder"])
def test_an_unwritable_path_is_one_clear_error(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="can't be written") as caught:
        RotatingFile(tmp_path / where, "log", QUIET)
    assert "\n" not in str(caught.value)


def test_the_configuration_makes_the_files(tmp_path: Path) -> None:
    options = LogOptions(jsonl=tmp_path / "a" / "log.jsonl", csv=tmp_path / "events.csv", rotate_mb=0.01)
    sink = options.build(about(Quiet(), live=False))
    assert sink is not None
    tell(sink, hops=60)
    closed = sorted((tmp_path / "a").glob("log-*.jsonl"), key=lambda path: path.stem)
    assert closed
    records = [r for path in [*closed, tmp_path / "a" / "log.jsonl"] for r in read(path)]
    assert [r["hop"] for r in records if r["type"] == "hop"] == list(range(60))
    rows = (tmp_path / "events.csv").read_text(encoding="utf-8").splitlines()
    ended = [r for r in records if r["type"] == "event" and r["event"] == "end"]
    assert len(rows) == 1 + len(ended)
    assert LogOptions().build(QUIET) is None
