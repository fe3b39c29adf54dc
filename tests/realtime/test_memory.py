"""The memory: what a stream said is there, whole, whatever happens to the process, the disk or the clock."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from avel_live.model.labels import LABELS
from avel_live.realtime.core.errors import OutputError, UsageError
from avel_live.realtime.core.messages import Event, Status
from avel_live.realtime.memory import EventRow, Filter, Memory, MemoryFileError, Run, Writer
from avel_live.realtime.memory.marks import marked
from avel_live.realtime.memory.schema import VERSION, connect
from avel_live.realtime.memory.tend import delete, expire, forget_clips, mark, shrink
from avel_live.realtime.memory.times import iso, micro, moment_us
from avel_live.realtime.memory.write import ClipRow
from avel_live.realtime.sinks.base import Clip, Predecessor
from avel_live.realtime.sinks.memory import MemoryOptions, MemorySink
from hypothesis import given, settings
from hypothesis import strategies as st
from support.about import Said, about
from support.peers import eventually
from support.stream import make_start, make_stream

NOON_US = 1_794_999_600_000_000  # in Berlin
DAY_US = 86_400_000_000
RUN = Run("door", NOON_US, "rtsp://door", "lite onnxruntime int8", "hall", "0.1.0", "Europe/Berlin")


def filled(path: Path, rows: list[EventRow], run: Run = RUN) -> Memory:
    writer = Writer(path)
    writer.add(writer.begin(run), rows)
    writer.close()
    return Memory(path)


def bark(number: int, at_us: int = NOON_US, confidence: float = 0.9, label: str = "Bark") -> EventRow:
    return EventRow(number, label, at_us, at_us + 2_000_000, confidence, offset_s=3600)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "memory.sqlite"


def test_an_event_is_remembered_with_all_that_belongs_to_it(path: Path) -> None:
    memory = filled(path, [bark(7)])
    (event,) = memory.events()
    assert (event.stream, event.label, event.confidence) == ("door", "Bark", 0.9)
    assert (event.start_us, event.end_us, event.offset_s) == (NOON_US, NOON_US + 2_000_000, 3600)
    assert (event.source, event.model, event.calibration) == (RUN.source, RUN.model, RUN.calibration)
    assert iso(event.start_us, event.offset_s) == "2026-11-18T12:00:00.000+01:00"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_is_said_later_replaces_what_was_said_before_and_is_counted(path: Path) -> None:
    writer = Writer(path)
    run = writer.begin(RUN)
    writer.add(run, [EventRow(0, "Bark", NOON_US, None, 0.6)])
    writer.add(run, [EventRow(0, "Bark", NOON_US, None, 0.8, correction=True)])
    writer.add(run, [EventRow(0, "Bark", NOON_US, NOON_US + 3_000_000, 0.8)])
    writer.add(
        run, [EventRow(1, "Bark", NOON_US, None, 0.5), EventRow(1, "Bark", NOON_US, None, 0.3, True, True)]
    )
    writer.close()
    memory = Memory(path)
    (event,) = memory.events()
    assert (event.confidence, event.end_us, event.corrections) == (0.8, NOON_US + 3_000_000, 1)
    assert [(e.retracted, e.corrections) for e in memory.events(Filter(retracted=True))] == [
        (True, 1),
        (False, 1),
    ]
    assert (memory.count(), memory.count(Filter(retracted=True))) == (1, 2)


ROWS = [
    bark(
        k,
        NOON_US - k * 3_600_000_000,
        0.5 + 0.05 * (k % 10),
        ("Bark", "Male speech, man speaking", "Bus")[k % 3],
    )
    for k in range(60)
]


@pytest.fixture
def two_streams(path: Path) -> Memory:
    filled(path, ROWS[:30])
    return filled(path, ROWS[30:], replace(RUN, stream="yard"))


def test_events_are_found_by_time_class_stream_and_confidence(two_streams: Memory) -> None:
    def wanted(row: EventRow, which: Filter) -> bool:
        stream = "door" if row.number < 30 else "yard"
        return (
            (which.since_us is None or row.start_us >= which.since_us)
            and (which.until_us is None or row.start_us < which.until_us)
            and (not which.labels or row.label in which.labels)
            and (not which.streams or stream in which.streams)
            and row.confidence >= which.min_confidence
        )

    for which in (
        Filter(),
        Filter(since_us=NOON_US - DAY_US),
        Filter(since_us=NOON_US - 2 * DAY_US, until_us=NOON_US - DAY_US),
        Filter(labels=("Bark",)),
        Filter(labels=("Bark", "Bus"), min_confidence=0.8),
        Filter(streams=("yard",), min_confidence=0.9),
        Filter(streams=("yard", "door"), labels=("Bus",), since_us=NOON_US - 40 * 3_600_000_000),
        Filter(labels=("no such class",)),
        Filter(min_confidence=0.95),
    ):
        expected = [row.start_us for row in ROWS if wanted(row, which)]
        assert [event.start_us for event in two_streams.events(which)] == expected, which
        assert [event.start_us for event in two_streams.events(which, oldest_first=True)] == expected[::-1]
        assert two_streams.count(which) == len(expected)


def test_pages_of_a_list_join_without_a_gap(two_streams: Memory) -> None:
    seen: list[int] = []
    before = None
    while page := two_streams.events(limit=7, before=before):
        seen += [event.start_us for event in page]
        before = page[-1].start_us, page[-1].id
    assert seen == [row.start_us for row in ROWS]


def test_totals_follow_every_change_and_outlive_retention(path: Path) -> None:
    day = (NOON_US // 1_000_000 + 3600) // 86400
    memory = filled(path, [bark(0), bark(1), bark(2, label="Bus"), bark(3, NOON_US - DAY_US)])
    totals = memory.totals(day - 1, day + 1)
    assert totals.by_hour["Bark"][12] == 3
    assert sum(totals.by_hour["Bark"]) == 3
    assert totals.by_day == {day - 1: 1, day: 3}
    assert totals.lasted_s == {"Bark": 6.0, "Bus": 2.0}
    assert memory.totals(day, day + 1, ["door"]).by_hour["Bark"][12] == 2
    assert memory.totals(day, day + 1, ["yard"]).by_day == {}

    writer = Writer(path)
    writer.add(1, [replace(bark(0), retracted=True), replace(bark(1), label="Bus")])
    writer.close()
    assert memory.totals(day, day + 1).lasted_s == {"Bus": 4.0}
    assert expire(path, NOON_US, NOON_US) == 1
    assert memory.totals(day - 1, day + 1).by_day == {day - 1: 1, day: 2}
    assert delete(path, Filter(labels=("Bus",))) == 2
    assert memory.totals(day - 1, day + 1).by_day == {day - 1: 1}


SAID = st.tuples(
    st.integers(0, 6),
    st.sampled_from(["Bark", "Bus"]),
    st.integers(0, 4 * 86400),
    st.booleans(),
    st.integers(0, 50) | st.none(),
    st.sampled_from([-34200, 0, 19800, 50400]),
)
"""Number, class, start, whether it is taken back, how long it lasted, the zone."""


def test_totals_are_those_of_the_events_whatever_was_said(path: Path) -> None:
    writer, memory, turn = Writer(path), Memory(path), iter(range(10**6))
    with contextlib.closing(writer):

        @settings(max_examples=25, deadline=None)
        @given(st.lists(SAID, max_size=25))
        def check(said: list[tuple[int, str, int, bool, int | None, int]]) -> None:
            stream = f"stream {next(turn)}"
            rows = []
            for number, label, at_s, back, lasted_s, away_s in said:
                start_us = NOON_US + at_s * 1_000_000
                end_us = None if lasted_s is None else start_us + lasted_s * 1_000_000
                rows.append(EventRow(number, label, start_us, end_us, 0.5, back, offset_s=away_s))
            writer.add(writer.begin(replace(RUN, stream=stream)), rows)
            days: dict[int, int] = {}
            hours: dict[tuple[str, int], int] = {}
            for one in memory.events(Filter(streams=(stream,))):
                hour = (one.start_us // 1_000_000 + one.offset_s) // 3600
                days[hour // 24] = days.get(hour // 24, 0) + 1
                hours[one.label, hour % 24] = hours.get((one.label, hour % 24), 0) + 1
            totals = memory.totals(0, 10**6, [stream])
            assert totals.by_day == days
            found = {(name, h): n for name, row in totals.by_hour.items() for h, n in enumerate(row) if n}
            assert found == hours

        check()
        whole = memory.totals(0, 10**6)
        assert sum(whole.by_day.values()) == memory.count() > 0


def test_marks_are_kept_and_keep_their_event(path: Path) -> None:
    memory = filled(path, [bark(0, NOON_US - DAY_US), bark(1, NOON_US - DAY_US)])
    second, first = memory.events()
    assert mark(path, first.id, "other", NOON_US, "Bus")
    assert mark(path, second.id, "wrong", NOON_US)
    assert mark(path, second.id, None, NOON_US), "taken back"
    assert not mark(path, 999, "right", NOON_US)
    assert expire(path, NOON_US, NOON_US) == 1
    (kept,) = memory.events()
    assert (kept.id, kept.verdict, kept.is_label) == (first.id, "other", "Bus")


def test_a_budget_forgets_the_oldest_first(path: Path) -> None:
    memory = filled(path, [bark(k, NOON_US + k) for k in range(9000)])
    with memory.reading() as db:
        pages, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    gone = shrink(path, pages * size // 2)
    assert 3000 < gone < 7000
    assert [event.start_us for event in memory.events(limit=1, oldest_first=True)] == [NOON_US + gone]


def test_clips_are_found_with_all_their_events_until_their_file_is_gone(path: Path, tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    video.touch()
    memory = filled(path, [bark(0), bark(1, NOON_US + 5_000_000), bark(2, NOON_US + DAY_US)])
    writer = Writer(path)
    writer.add(1, [ClipRow(str(video), None, NOON_US - 3_000_000, NOON_US + 10_000_000, (0, 1))])
    writer.close()
    shown = memory.events(Filter(clips=True), oldest_first=True)
    assert [event.clip for event in shown] == [str(video)] * 2
    assert [event.id for event in memory.beside(shown[1].id)] == [event.id for event in shown]
    assert forget_clips(path) == 0
    video.unlink()
    assert forget_clips(path) == 1
    assert memory.events(Filter(clips=True)) == []
    assert memory.count() == 3


BERLIN = datetime(2026, 11, 29, 12, 0, tzinfo=ZoneInfo("Europe/Berlin"))


def test_marks_say_what_each_event_really_was_and_where_its_clip_shows_it(path: Path, tmp_path: Path) -> None:
    clip = tmp_path / "a.mp4"
    clip.write_bytes(b"x")
    writer = Writer(path)
    run = writer.begin(RUN)
    writer.add(run, [bark(n, NOON_US + n * 10_000_000, label="Bark" if n < 3 else "Bus") for n in range(5)])
    writer.add(run, [ClipRow(str(clip), None, NOON_US - 3_000_000, NOON_US + 17_000_000, (0, 1))])
    writer.add(run, [ClipRow(str(tmp_path / "gone.mp4"), None, NOON_US, NOON_US + 60_000_000, (2,))])
    writer.close()
    verdicts = [("right", None), ("other", "Chainsaw"), ("wrong", None), ("right", None)]
    for number, (verdict, label) in enumerate(verdicts, 1):
        assert mark(path, number, verdict, NOON_US, label)  # type: ignore[arg-type]
    found = [(one.event.id, one.label, one.clip, one.start_s, one.end_s) for one in marked(path)]
    assert found == [
        (4, "Bus", None, 0.0, 0.0),
        (3, None, None, 0.0, 0.0),
        (2, "Chainsaw", clip, 13.0, 15.0),
        (1, "Bark", clip, 3.0, 5.0),
    ]
    assert [one.event.id for one in marked(path, Filter(labels=("Bus",)))] == [4]


def test_of_an_event_that_began_before_its_clip_the_rest_is_shown(path: Path, tmp_path: Path) -> None:
    clip = tmp_path / "a.mp4"
    clip.write_bytes(b"x")
    writer = Writer(path)
    run = writer.begin(RUN)
    writer.add(run, [bark(0, NOON_US)])
    writer.add(run, [ClipRow(str(clip), None, NOON_US + 500_000, NOON_US + 17_000_000, (0,))])
    writer.close()
    assert mark(path, 1, "right", NOON_US)
    (one,) = marked(path)
    assert (one.start_s, one.end_s) == (0.0, 1.5)


@pytest.mark.parametrize(
    ("text", "end", "expected"),
    [
        ("now", False, "2026-11-29T12:00:00+01:00"),
        ("yesterday", False, "2026-11-28T00:00:00+01:00"),
        ("Yesterday", True, "2026-11-29T00:00:00+01:00"),
        ("today", False, "2026-11-29T00:00:00+01:00"),
        ("2h", False, "2026-11-29T10:00:00+01:00"),
        ("3 d ago", False, "2026-11-26T12:00:00+01:00"),
        ("07:30", False, "2026-11-29T07:30:00+01:00"),
        ("2026-07-01", False, "2026-07-01T00:00:00+02:00"),
        ("2026-10-25", True, "2026-10-26T00:00:00+01:00"),
        ("2026-07-01 08:00", False, "2026-07-01T08:00:00+02:00"),
        ("2026-07-01T08:00:00Z", False, "2026-07-01T08:00:00+00:00"),
    ],
)
def test_times_are_read_as_people_write_them(text: str, end: bool, expected: str) -> None:
    assert moment_us(text, BERLIN, end=end) == micro(datetime.fromisoformat(expected))


@pytest.mark.parametrize("text", ["", "soon", "25:00", "2026-13-01", "-2h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|month|hour|day"):
        moment_us(text, BERLIN)


# Files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda p: p.write_bytes(b"not a database, really not; " * 100), "no memory, or damaged"),
        (
            lambda p: sqlite3.connect(p).execute("CREATE TABLE theirs (x)").connection.close(),
            "another program",
        ),
        (lambda p: connect(p, write=True).execute("PRAGMA user_version = 99").connection.close(), "later"),
        (lambda p: p.mkdir(), "is a directory"),
    ],
)
def test_a_file_that_is_no_memory_of_ours_is_left_alone(tmp_path: Path, made: object, said: str) -> None:
    path = tmp_path / "memory.sqlite"
    made(path)  # type: ignore[operator]
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(MemoryFileError, match=f"(?i){said}"):
        Writer(path)
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_reading_makes_no_file(path: Path) -> None:
    with pytest.raises(MemoryFileError, match="no memory there yet"):
        Memory(path).count()
    assert not path.exists()


CONNECT = (
    "import sys; from pathlib import Path; from avel_live.realtime.memory.schema import connect\n"
    "sys.stdin.readline(); connect(Path(sys.argv[1]), write=True).close()"
)
COUNT = (
    "import sqlite3, sys; db = sqlite3.connect(sys.argv[1])\n"
    "print(db.execute('SELECT count(*) FROM streams').fetchone()[0]); db.close()"
)


def test_streams_and_processes_that_begin_together_all_open_a_new_file(tmp_path: Path) -> None:
    for number in range(8):
        path, gate, failed = tmp_path / f"threads-{number}.sqlite", threading.Barrier(6), []

        def begin(path: Path = path, gate: threading.Barrier = gate, failed: list[str] = failed) -> None:
            gate.wait()
            try:
                connect(path, write=True).close()
            except MemoryFileError as error:
                failed.append(str(error))

        threads = [threading.Thread(target=begin) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
    for number in range(3):
        command = [sys.executable, "-c", CONNECT, str(tmp_path / f"processes-{number}.sqlite")]
        begun = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        for one in begun:
            assert one.stdin is not None
            one.stdin.write("\n")
            one.stdin.flush()
        assert [one.communicate()[1] for one in begun] == ["", "", ""]


def test_a_second_stream_leaves_the_first_ones_locks_alone(path: Path) -> None:
    """Else the next program that looks at the file takes away the log that the first one writes."""
    first = connect(path, write=True)
    first.execute("INSERT INTO streams (name) VALUES ('door')")
    second = connect(path, write=True)
    seen = []
    for name in ("yard", "hall"):
        seen.append(subprocess.check_output([sys.executable, "-c", COUNT, str(path)], text=True).strip())
        first.execute("INSERT INTO streams (name) VALUES (?)", (name,))
    seen.append(subprocess.check_output([sys.executable, "-c", COUNT, str(path)], text=True).strip())
    second.close()
    first.close()
    assert seen == ["1", "2", "3"]


def test_a_migration_is_applied_whole_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from avel_live.realtime.memory import schema

    memory = filled(path, [bark(0)])
    steps = (
        *schema.MIGRATIONS,
        "ALTER TABLE events ADD COLUMN loudness REAL;\nCREATE TABLE more (x) STRICT;\n",
    )
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    monkeypatch.setattr(schema, "VERSION", len(steps))
    with pytest.raises(MemoryFileError):  # the second statement is wrong: a STRICT column needs a type
        Writer(path)
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert "loudness" not in [row[1] for row in db.execute("PRAGMA table_info(events)")]
    db.close()
    monkeypatch.setattr(schema, "MIGRATIONS", (*steps[:-1], "ALTER TABLE events ADD COLUMN loudness REAL;\n"))
    (event,) = memory.events()  # a reader brings an old file up to date, too
    assert event.label == "Bark"
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION + 1,)
        assert db.execute("SELECT loudness FROM events").fetchone() == (None,)
    db.close()


# The sink ------------------------------------------------------------------------------------------


def sink_for(path: Path, said: Said, wall_s: float = NOON_US / 1e6) -> MemorySink:
    sink = MemoryOptions(path=path).build(about(said, name="door", wall_s=lambda: wall_s))
    assert isinstance(sink, MemorySink)
    sink.start(make_start(wall_clock=wall_s))
    return sink


def event(kind: str, end_s: float | None = None, id_: int = 0, start_s: float = 6.0) -> Event:
    return Event(kind, id_, 2, start_s, end_s, 0.8, LABELS[2])  # type: ignore[arg-type]


def test_the_memory_is_off_unless_asked_for(path: Path) -> None:
    assert MemoryOptions().build(about(Said())) is None
    with pytest.raises(UsageError, match=r"memory\.keep"):
        MemoryOptions(path=path, keep="much").build(about(Said()))


def test_a_stream_is_remembered_within_a_second(path: Path) -> None:
    said = Said()
    sink = sink_for(path, said)
    _, hops, end = make_stream(4)
    sink.status(Status("camera", "stalled", "no picture for 3 s", 2_000_000_000))
    sink.hop(replace(hops[0], events=(event("start"),), settled=()))
    memory = Memory(path)
    eventually(lambda: path.exists() and memory.count() == 1, "the event")
    sink.hop(replace(hops[1], events=(event("update"),), settled=(), wall_clock=NOON_US / 1e6 + 3600))
    began = time.monotonic()
    sink.hop(replace(hops[2], events=(event("end", 8.0), event("start", id_=1)), settled=()))
    eventually(lambda: memory.count() == 2, "both events")
    assert time.monotonic() - began < 2.0
    sink.end(replace(end, last_events=(event("retract", id_=1),), last_settled=()))
    sink.close()
    sink.close()
    assert said == []
    (kept,) = memory.events()
    # The clock was set in the middle of it: it stays where it began, and as long as it was.
    assert (kept.start_us, kept.end_us) == (NOON_US + 6_000_000, NOON_US + 8_000_000)
    assert kept.corrections == 1
    (state,) = memory.states()
    assert (state.stream, state.device, state.state, state.severity) == (
        "door",
        "camera",
        "stalled",
        "warning",
    )
    assert state.at_us == NOON_US + 2_000_000


def test_a_clip_is_remembered_also_when_it_is_written_after_the_end(path: Path, tmp_path: Path) -> None:
    said = Said()
    sink = sink_for(path, said)
    _, hops, _ = make_stream(4)
    sink.hop(replace(hops[0], events=(event("start"), event("end", 8.0)), settled=()))
    sink.close()
    sink.clip_written(Clip(tmp_path / "a.mp4", tmp_path / "a.jpg", 3.0, 11.0, (0,)))
    assert said == []
    (kept,) = Memory(path).events()
    assert (kept.clip, kept.thumbnail) == (str(tmp_path / "a.mp4"), str(tmp_path / "a.jpg"))
    assert kept.clip_start_us == NOON_US + 3_000_000


def test_a_locked_file_is_said_once_and_costs_nothing(path: Path) -> None:
    said = Said()
    sink = sink_for(path, said)
    _, hops, _ = make_stream(4)
    eventually(lambda: sink.run is not None, "the run")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    sink.hop(replace(hops[0], events=(event("start"),), settled=()))
    eventually(lambda: any(one.state == "failing" for one in said), "failing")
    sink.hop(replace(hops[1], events=(event("end", 8.0),), settled=()))
    holder.execute("ROLLBACK")
    holder.close()
    eventually(lambda: any(one.state == "running" for one in said), "running")
    assert [one.state for one in said] == ["failing", "running"]
    assert "locked" in said[0].reason
    sink.close()
    (kept,) = Memory(path).events()
    assert kept.end_us == NOON_US + 8_000_000


def test_after_a_reload_the_same_run_goes_on(path: Path) -> None:
    said = Said()
    old = sink_for(path, said)
    _, hops, _ = make_stream(4)
    old.hop(replace(hops[0], events=(event("start"),), settled=()))
    eventually(lambda: old.run is not None, "the run")
    gone = threading.Event()
    now = replace(about(said, name="door", wall_s=lambda: NOON_US / 1e6), replaces=Predecessor(old, gone))
    new = MemoryOptions(path=path).build(now)
    assert isinstance(new, MemorySink)
    new.start(make_start(wall_clock=NOON_US / 1e6))
    old.close()
    gone.set()
    new.hop(replace(hops[1], events=(event("end", 8.0),), settled=()))
    new.close()
    (kept,) = Memory(path).events()
    assert kept.end_us == NOON_US + 8_000_000


def test_what_a_killed_stream_left_open_is_ended_where_it_was_last_seen(path: Path) -> None:
    writer = Writer(path)
    run = writer.begin(RUN)
    writer.add(run, [EventRow(0, "Bark", NOON_US, None, 0.6)], seen_us=NOON_US + 9_000_000)
    writer.close()
    said = Said()
    sink = sink_for(path, said)
    sink.close()
    (kept,) = Memory(path).events()
    assert (kept.end_us, kept.corrections) == (NOON_US + 9_000_000, 1)


def test_a_full_disk_is_said_and_the_stream_goes_on(tmp_path: Path) -> None:
    """A file of a size that may not grow, as on a full disk; then there is room again."""
    path = tmp_path / "memory.sqlite"
    said = Said()
    sink = sink_for(path, said)
    eventually(lambda: sink.run is not None, "the run")
    _, hops, _ = make_stream(4)
    db = sink._writer._db
    full = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {full}")
    for k in range(0, 4000, 50):
        several = tuple(event("start", id_=n) for n in range(k, k + 50))
        sink.hop(replace(hops[0], events=several, settled=()))
    eventually(lambda: any(one.state == "failing" for one in said), "failing")
    assert "disk is full" in said[0].reason
    db.execute("PRAGMA max_page_count = 1000000")
    eventually(lambda: any(one.state == "running" for one in said), "running")
    sink.close()
    assert Memory(path).count() == 4000


def test_a_folder_that_can_not_be_written_is_one_line_and_exit_code_5(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(OutputError, match="memory: ") as refused:
        MemoryOptions(path=blocked / "memory.sqlite").build(about(Said()))
    assert refused.value.exit_code == 5
    assert "\n" not in str(refused.value)


WRITER = """
import sys
from pathlib import Path
from avel_live.realtime.memory import EventRow, Run, Writer
writer = Writer(Path(sys.argv[1]))
run = writer.begin(Run("door", 0, "s", "m", "", "0", "UTC"))
for number in range(10**9):
    at_us = 1_795_000_000_000_000 + number * 1_000_000
    writer.add(run, [EventRow(number, "Bark", at_us, None, 0.5)])
    writer.add(run, [EventRow(number, "Bark", at_us, at_us + 500_000, 0.9)])
    print(number, flush=True)
"""


def killed_again_and_again(path: Path, times: int) -> None:
    kept = 0
    for turn in range(times):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            first = child.stdout.readline()
            time.sleep(0.01 + 0.13 * (turn * 0.61803 % 1))
            os.kill(child.pid, signal.SIGKILL)
            rest = child.stdout.read()
        whole = (first + rest).count("\n")
        assert first == "0\n"
        kept += whole
        with Memory(path).reading() as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert db.execute("PRAGMA foreign_key_check").fetchall() == []
            ended = db.execute("SELECT count(*) FROM events WHERE end_us IS NOT NULL").fetchone()[0]
        # What was said to be ended is there; of the last one that was not said so much may be.
        assert kept <= ended <= kept + turn + 1


def test_a_kill_at_any_moment_leaves_every_ended_event(path: Path) -> None:
    killed_again_and_again(path, 5)


@pytest.mark.slow
def test_a_hundred_kills_leave_every_ended_event(path: Path) -> None:
    killed_again_and_again(path, 100)
