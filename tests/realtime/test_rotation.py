"""Rotation over months: restarts, clocks that are set, names of any kind, logrotate, a full disk."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import pytest
from avel_live.realtime.core.clock import ManualClock
from avel_live.realtime.core.messages import Status
from avel_live.realtime.core.states import CONFIGURATION
from avel_live.realtime.sinks import rotating
from avel_live.realtime.sinks.csv import HEADER, CsvFile
from avel_live.realtime.sinks.rotating import RETRY_S, RotatingFile, Rotation
from avel_live.realtime.sinks.thread import SinkThread
from hypothesis import given, settings
from hypothesis import strategies as st
from support.about import Said, about
from support.peers import eventually

NOON = datetime(2027, 1, 15, 12, tzinfo=timezone.utc).timestamp()
DAY_S = 86_400.0

OPENED: list[RotatingFile] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


@dataclass
class Log:
    """A log that is opened again and again, on a clock that a test sets."""

    path: Path
    rotation: Rotation
    header: str | None = None
    now_s: float = NOON
    clock: ManualClock = field(default_factory=ManualClock)
    said: Said = field(default_factory=Said)

    def __post_init__(self) -> None:
        self.file = self.open()

    def open(self) -> RotatingFile:
        told = about(self.said, self.clock, wall_s=lambda: self.now_s)
        file = RotatingFile(self.path, "log", told, rotation=self.rotation, fsync="never", header=self.header)
        OPENED.append(file)
        return file

    def restart(self) -> None:
        self.file.close()
        os.utime(self.path, (self.now_s, self.now_s))
        self.file = self.open()

    def lines(self) -> list[str]:
        files = [*self.file.closed_files(), self.path]
        return [line for path in files for line in path.read_text().splitlines() if line != self.header]


def test_several_rotations_within_a_second_keep_the_newest(tmp_path: Path) -> None:
    log = Log(tmp_path / "e.jsonl", Rotation(megabytes=100e-6, keep=3))
    for number in range(1300):
        log.file.write(f"{number:019d}")
    kept = [int(line) for line in log.lines()]
    assert kept == list(range(kept[0], 1300))
    assert len(kept) >= 3 * 5
    assert len(log.file.closed_files()) == 3


@pytest.mark.parametrize("step_s", [-3600.0, -365 * DAY_S, 3600.0])
def test_a_clock_that_is_set_does_not_cost_the_newest(tmp_path: Path, step_s: float) -> None:
    log = Log(tmp_path / "e.jsonl", Rotation(megabytes=100e-6, keep=3))
    for number in range(60):
        log.now_s += 10 + (step_s if number == 30 else 0)
        log.file.write(f"{number:019d}")
        if number == 45:
            log.restart()
    kept = [int(line) for line in log.lines()]
    assert kept == list(range(kept[0], 60))
    assert len(kept) >= 15


@pytest.mark.parametrize(
    "name", ["cam[1].jsonl", "a*b?.log", "no suffix", "e.2.jsonl", "[!x].csv", "tür-(1).jsonl"]
)
def test_any_name_is_pruned_and_no_other(tmp_path: Path, name: str) -> None:
    log = Log(tmp_path / name, Rotation(megabytes=100e-6, keep=3))
    stem, suffix = log.path.stem, log.path.suffix
    others = [tmp_path / f"{stem}-20200101T000000-mine{suffix}", tmp_path / f"{stem}-2020{suffix}"]
    for other in others:
        other.write_text("not ours")
    for number in range(200):
        log.file.write(f"{number:019d}")
    assert len(log.file.closed_files()) == 3
    assert len(list(tmp_path.iterdir())) == 4 + len(others)


@pytest.mark.parametrize("noted", [True, False])
def test_a_program_that_restarts_daily_rotates_weekly_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noted: bool
) -> None:
    """Where the file system keeps no attributes, the first line of a live log says when it began."""
    if not noted:
        monkeypatch.setattr(rotating, "_BEGUN", "not.a.name.space")
    log = Log(tmp_path / "e.jsonl", Rotation(days=7, keep=100))
    for _ in range(60):
        moment = datetime.fromtimestamp(log.now_s, timezone.utc).isoformat()
        log.file.write(f'{{"type": "start", "wall_clock": "{moment}"}}')
        for _ in range(23):
            log.now_s += 3600
            log.file.write('{"type": "hop"}')
        log.now_s += 3600
        log.restart()
    assert len(log.file.closed_files()) == 60 // 7
    for path in log.file.closed_files():
        assert path.read_text().count('"start"') == 7


def test_a_fraction_of_a_day_is_hours_since_the_first_line(tmp_path: Path) -> None:
    log = Log(tmp_path / "e.csv", Rotation(days=0.5, keep=100), header="head")
    for _ in range(12):
        for _ in range(4):
            log.file.write("row")
            log.now_s += 3600
        log.restart()
    assert [path.read_text().count("row") for path in log.file.closed_files()] == [12] * 3


def test_a_file_begun_in_the_future_is_not_kept_until_then(tmp_path: Path) -> None:
    log = Log(tmp_path / "e.jsonl", Rotation(days=1, keep=10), now_s=NOON + 400 * DAY_S)
    log.file.write("before the clock was set")
    log.now_s = NOON
    for _ in range(3):
        log.file.write("after")
        log.now_s += DAY_S
    assert len(log.file.closed_files()) == 2


def test_what_was_lost_is_said_at_the_latest_when_the_file_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    log = Log(tmp_path / "e.jsonl", Rotation())
    log.file.write("one")
    disk.full = True
    for _ in range(3):
        log.file.write("lost")
    log.file.close()
    log.file.close()
    assert [status.reason for status in log.said][1:] == ["e.jsonl is closed; 3 lines were lost"]


# Others who touch the file ------------------------------------------------------------------------------


def renamed(path: Path) -> None:
    path.rename(path.with_name(path.name + ".1"))


def remade(path: Path) -> None:
    renamed(path)
    path.touch()


def moved_with_its_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("old"))


@pytest.mark.parametrize("rotate", [renamed, remade, Path.unlink, moved_with_its_folder])
def test_logrotate_takes_the_file_away_and_a_new_one_begins(
    tmp_path: Path, rotate: Callable[[Path], None]
) -> None:
    (tmp_path / "logs").mkdir()
    log = Log(tmp_path / "logs" / "e.csv", Rotation(), header="head")
    log.file.write("one")
    rotate(log.path)
    log.file.write("two")
    log.file.close()
    assert log.path.read_text() == "head\ntwo\n"
    assert not log.said
    taken = [tmp_path / "logs" / "e.csv.1", tmp_path / "old" / "e.csv"]
    assert [p.read_text() for p in taken if p.exists()] in ([], ["head\none\n"])


def test_logrotate_copies_and_truncates(tmp_path: Path) -> None:
    log = Log(tmp_path / "e.csv", Rotation(megabytes=0.001), header="head")
    log.file.write("x" * 900)
    os.truncate(log.path, 0)
    log.file.write("y" * 300)
    assert not log.file.closed_files()
    assert log.path.read_text() == f"head\n{'y' * 300}\n"


def test_a_table_is_there_again_with_the_reload_not_only_with_its_next_row(tmp_path: Path) -> None:
    log = Log(tmp_path / "e.csv", Rotation(), header=HEADER)
    sink = SinkThread("csv", CsvFile(log.file), log.said, log.clock)
    renamed(log.path)
    sink.status(Status("camera", "running", "", 0))
    sink.status(Status(CONFIGURATION, "reloaded", "nothing", 0))
    eventually(log.path.exists, "the new table")
    sink.close()
    assert log.path.read_text() == f"{HEADER}\n"
    assert sink.counts.delivered == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_neither_rotated_nor_missed(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = Log(path, Rotation(megabytes=10e-6, days=0.01))
    for _ in range(5):
        log.now_s += DAY_S
        log.file.write("x" * 30)
    assert os.read(reader, 1000) == (b"x" * 30 + b"\n") * 5
    os.close(reader)
    assert list(tmp_path.iterdir()) == [path]


# Everything at once -------------------------------------------------------------------------------------


class Disk:
    """Fails every write and rename while it is full, as a disk does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        real = RotatingFile._append

        def append(file: RotatingFile, data: bytes) -> None:
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(file, data)

        monkeypatch.setattr(RotatingFile, "_append", append)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 12)),
        st.tuples(st.just("clock"), st.sampled_from([-400 * DAY_S, -3600.0, -1.0, 0.0, 1.0, 3600.0, DAY_S])),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("full"), st.integers(1, 4)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(ACTIONS, st.integers(1, 4), st.sampled_from([None, 0.25, 1.0, 7.0]))
def test_what_is_kept_is_the_newest_in_order_and_whole(
    actions: list[tuple[str, float]], keep: int, days: float | None
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch)
        log = Log(Path(folder) / "e[1].jsonl", Rotation(150e-6, days, keep), header="head")
        written, told, lost = [], 0, 0
        for what, amount in actions:
            if what == "write":
                for _ in range(int(amount)):
                    written.append(told)
                    log.file.write(f"{told:019d}")
                    told += 1
                    log.now_s += 1
            elif what == "clock":
                log.now_s = max(log.now_s + amount, DAY_S)
            elif what == "restart":
                log.restart()
            else:
                before = log.file.lost
                disk.full = True
                for _ in range(int(amount)):
                    log.file.write(f"{told:019d}")
                    told += 1
                disk.full = False
                log.clock.advance(RETRY_S)
                assert log.file.lost - before == int(amount)
                lost += int(amount)
        kept = [int(line) for line in log.lines()]
        closed = log.file.closed_files()
        log.file.close()
        assert kept == (written[-len(kept) :] if kept else [])
        assert len(closed) <= keep
        if len(closed) < keep:
            assert kept == written  # nothing had to go
        for path in [*closed, log.path]:
            text = path.read_text()
            assert not text or text.startswith("head\n")
            assert not text or text.endswith("\n")
        assert len(written) + lost == told
