"""The time of day of a stream follows the machine's when that is set, and says so."""

from __future__ import annotations

import csv
import io
import json
import time
from dataclasses import replace
from pathlib import Path

from avel_live.realtime.core.clock import NS_PER_S, ManualClock
from avel_live.realtime.core.messages import EndOfStream, Event, TimedFrame
from avel_live.realtime.events import Decoder
from avel_live.realtime.sinks.csv import HEADER, CsvFile
from avel_live.realtime.sinks.jsonl import JsonlFile
from avel_live.realtime.sinks.rotating import RotatingFile, Rotation
from avel_live.realtime.stream.daytime import DayTime
from avel_live.realtime.stream.loop import Stream, StreamOptions
from hypothesis import given
from hypothesis import strategies as st
from support.about import Said, about
from support.loop import Collector, ScriptedSource, ToyEngine, a_start, steady
from support.stream import make_start, make_stream

WALL_S = 1_800_000_000.0


@given(st.lists(st.sampled_from([0.0, 0.001, -0.3, 3600.0, -3600.0, 28 * 86_400.0]), max_size=30))
def test_it_is_the_machines_and_every_step_is_said(steps: list[float]) -> None:
    stream_s, wall_s = 0.0, WALL_S
    day = DayTime(WALL_S - 1.5, lambda: wall_s)  # the start was stamped a little before stream time 0
    assert day.look(0) is None
    assert day.zero_s == WALL_S
    for step in steps:
        stream_s += 1
        wall_s += 1 + step
        said = day.look(round(stream_s * NS_PER_S))
        assert (said is not None) == (abs(step) >= 1)
        assert day.zero_s is not None
        assert abs(day.zero_s + stream_s - wall_s) < 1e-3
        if said is not None:
            assert said.wall_clock == day.zero_s
            assert said.severity == "info"


def test_the_words() -> None:
    wall = [WALL_S]
    day = DayTime(WALL_S, lambda: wall[0])
    day.look(0)
    wall[0] += 28 * 86_400 + 3661
    said = day.look(0)
    assert said is not None
    assert said.reason.startswith("the time of day moved 28 d 1 h 1 min 1 s ahead of the stream")
    wall[0] -= 7200
    said = day.look(0)
    assert said is not None
    assert said.reason.startswith("the time of day moved 2 h behind the stream")


def test_a_recording_has_no_time_of_day() -> None:
    day = DayTime(None, lambda: WALL_S)
    assert day.look(NS_PER_S) is None
    assert day.zero_s is None


def test_every_hop_carries_it_and_what_was_said_comes_before() -> None:
    class Paced(ScriptedSource):
        """Not ahead of the answers: a live stream would skip some on a busy machine."""

        def read(self, timeout_s: float) -> object:
            first = self._items[0] if self._items else None
            if isinstance(first, TimedFrame) and first.t_ns >= (len(sink.hops) + 2) * NS_PER_S:
                time.sleep(0.002)
                return None
            return super().read(timeout_s)

    source = Paced(steady(12.0), live=True, end=EndOfStream(12 * NS_PER_S))
    start = replace(a_start(source), wall_clock=WALL_S)
    offset = [0.0]

    def wall_s() -> float:
        return WALL_S + offset[0] + (source.stream_now_ns() or 0) / NS_PER_S

    class Set(Collector):
        def hop(self, record: object) -> None:
            super().hop(record)  # type: ignore[arg-type]
            offset[0] = 0.0 if len(self.hops) < 3 else 3600.0
            if len(self.hops) == 6:
                stream.stop()

    sink = Set()
    stream = Stream(source, ToyEngine(), Decoder(), start, ManualClock(), StreamOptions(), wall_s=wall_s)
    stream.run(sink)
    zeros = [hop.wall_clock for hop in sink.hops]
    assert all(zero is not None for zero in zeros)
    assert [round(zero - WALL_S, -1) for zero in zeros[:3]] == [0, 0, 0]  # type: ignore[operator]
    assert round(zeros[-1] - WALL_S, -1) == 3600  # type: ignore[operator]
    (said,) = [status for status in sink.statuses if status.device == "clock"]
    assert (said.state, said.severity) == ("adjusted", "info")
    assert sink.ends[0].wall_clock == zeros[-1]


def test_tables_and_the_heads_of_later_logs_follow(tmp_path: Path) -> None:
    told = about(Said(), wall_s=lambda: WALL_S)
    start = make_start(wall_clock=WALL_S - 28 * 86_400)
    table = CsvFile(RotatingFile(tmp_path / "e.csv", "csv", told, header=HEADER))
    log = JsonlFile(RotatingFile(tmp_path / "e.jsonl", "log", told, rotation=Rotation(megabytes=0.02)))
    day = DayTime(start.wall_clock, lambda: WALL_S)
    day._looked = True
    said = day.look(0)
    assert said is not None
    _, hops, last = make_stream(60)
    for sink in (table, log):
        sink.start(start)
        sink.status(said)
        for hop in hops:
            done = Event("end", hop.hop, 2, float(hop.hop), hop.hop + 1.0, 0.9, "Bark")
            sink.hop(replace(hop, events=(done,), wall_clock=WALL_S))
        sink.end(replace(last, wall_clock=WALL_S))
        sink.close()
    rows = list(csv.DictReader(io.StringIO((tmp_path / "e.csv").read_text())))
    assert rows[5]["started_at"] == "2027-01-15T08:00:05.000+00:00"
    heads = [json.loads(path.read_text().splitlines()[0]) for path in sorted(tmp_path.glob("e*.jsonl"))]
    assert len(heads) > 2
    assert [head["type"] for head in heads] == ["start"] * len(heads)
    moments = sorted(head["wall_clock"][:10] for head in heads)
    assert moments == ["2026-12-18", *["2027-01-15"] * (len(heads) - 1)]
