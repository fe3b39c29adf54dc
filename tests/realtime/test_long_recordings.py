"""A day in one file: what is kept of a recording does not grow with it, and is what was found."""

from __future__ import annotations

import gc
import json
import tracemalloc
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from avel_live.realtime.core.messages import Event, Hop, Settled, StreamEnd
from avel_live.realtime.recordings.batch import Job, _head, write_results
from avel_live.realtime.recordings.bysecond import BySecond, Seconds, SecondTable
from avel_live.realtime.recordings.findings import Collector, Findings
from avel_live.realtime.recordings.pictures import MAX_PICTURES, PictureChoice
from avel_live.realtime.sinks.thread import without_media
from hypothesis import given, settings
from hypothesis import strategies as st
from support.stream import make_start, make_stream

MB = 1e6


@cache
def stream() -> tuple[list[Hop], StreamEnd]:
    """Made once, and without its pictures of 2.4 MB a second."""
    _, hops, end = make_stream(24)
    return [without_media(hop) for hop in hops], end


def collected(seconds: int) -> Findings:
    """A stream of so many seconds: twelve hops of the made-up story, said again with other numbers."""
    hops, end = stream()
    collector = Collector()
    collector.start(make_start())
    for k in range(seconds):
        collector.hop(moved(hops[12 + k % 12], k))
    collector.end(replace(end, seconds=float(seconds), last_settled=(), last_events=()))
    return collector.findings()


def moved(hop: Hop, k: int) -> Hop:
    """The same hop, as if it were second `k`; every minute has an event of seven seconds."""
    scores = replace(hop.scores, hop=k, first_index=max(0, k - 9))
    if k < 9:
        scores = replace(scores, probabilities=hop.scores.probabilities[: k + 1])
    settled: tuple[Settled, ...] = ()
    if k >= 2:
        template = hop.settled[0]
        settled = (
            replace(template, index=k - 2, start_s=k - 2.0, end_s=k - 1.0, confidence=0.5 + k % 7 / 20),
        )
    events: tuple[Event, ...] = ()
    if k % 60 == 10:
        events = (Event("start", k // 60, 2, k - 1.0, None, 0.8, "Bark"),)
    elif k % 60 == 18:
        events = (Event("end", k // 60, 2, k - 9.0, k - 2.0, 0.8, "Bark"),)
    segment = replace(hop.segment, index=k, start_ns=k * 10**9, end_ns=(k + 1) * 10**9)
    return replace(hop, hop=k, scores=scores, segment=segment, settled=settled, events=events)


def peak_mb(seconds: int, out: Path) -> float:
    """Most memory that Python and NumPy held at once, from the first hop to the last file written."""
    source = out / f"{seconds}.mp4"
    source.write_bytes(b"x")
    gc.collect()
    tracemalloc.start()
    findings = collected(seconds)
    write_results(findings, Job(source, Path(source.name)), out, "print", embed=False, version="1")
    peak = tracemalloc.get_traced_memory()[1] / MB
    tracemalloc.stop()
    return peak


def test_twenty_minutes_take_hardly_more_than_five(tmp_path: Path) -> None:
    stream()
    short, long = peak_mb(300, tmp_path), peak_mb(1200, tmp_path)
    assert long < 25
    assert long - short < 5
    record = json.loads((tmp_path / "1200.mp4.json").read_text())
    assert len(record["segments"]) == 1198
    assert [s["index"] for s in record["segments"]] == list(range(1198))
    assert (tmp_path / "1200.mp4.json").read_text() == json.dumps(record, ensure_ascii=False, indent=1) + "\n"
    assert _head(tmp_path / "1200.mp4.json") == {k: v for k, v in record.items() if k != "segments"}


@pytest.mark.slow
def test_a_day_takes_at_most_60_mb(tmp_path: Path) -> None:
    stream()
    peak = peak_mb(24 * 3600, tmp_path)
    print(f"24 hours: {peak:.1f} MB")
    assert peak < 60


def test_pictures_are_thinned_on_the_way_and_events_keep_theirs() -> None:
    findings = collected(1800)
    shown = [p.second for p in findings.pictures]
    assert MAX_PICTURES / 4 <= len(shown) <= MAX_PICTURES
    assert shown == sorted(set(shown))
    for event in findings.events:
        assert any(event.start_s - 0.5 <= k < event.end_s for k in shown)
    gaps = np.diff(shown)
    assert gaps.max() <= 60


def test_the_surest_second_of_an_event_is_within_it_even_if_its_end_is_told_late() -> None:
    choice = PictureChoice()
    preview, attention = np.zeros((9, 16, 3), np.uint8), np.full((7, 7), 1 / 49, np.float32)
    sure = {4: 0.6, 5: 0.9, 6: 0.7, 8: 0.99}
    for second in range(20):
        choice.take(second, sure.get(second, 0.1), preview, attention)
        if second == 6:
            choice.happen(Event("start", 0, 2, 4.0, None, 0.8, "Bark"))
        if second == 15:
            choice.happen(Event("end", 0, 2, 4.0, 7.0, 0.8, "Bark"))
    picked = {p.second: p for p in choice._chosen.values()}
    assert set(picked) == {5}
    assert choice.chosen(20.0)[5].second == 5


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1)), min_size=1, max_size=60),
    st.integers(0, 9),
    st.integers(0, 70),
)
def test_the_table_says_what_it_was_told(seconds: list[tuple[int, float]], settle: int, silent: int) -> None:
    """Looks and answers in the order of a stream; a silence of up to a minute is settled at once."""
    labels = (*(f"c{k}" for k in range(5)), "background")
    table = SecondTable(labels)
    looks: dict[int, list[tuple[int, float]]] = {}
    told: dict[int, Settled] = {}
    behind = 0
    for k, (label, p) in enumerate(seconds):
        second = k + (silent if k >= len(seconds) // 2 else 0)
        for index in range(max(0, second - 9), second + 1):
            table.look(index, label, p)
            looks.setdefault(index, []).append((label, round(p, 3)))
        while behind <= second - settle:
            probabilities = np.full(6, (1 - p) / 5, np.float32)
            probabilities[label] = p
            answer = Settled(behind, behind, behind + 1.0, label, p, 3, probabilities, labels[label])
            table.settle(answer)
            told[behind] = answer
            behind += 1
        table.advance(second)
    table.finish()
    assert {k: BySecond(table, top=False)[k] for k in looks} == {k: v[:10] for k, v in looks.items()}
    records = Seconds(table)
    assert [r["index"] for r in records] == sorted(told)
    assert len(records) == len(told)
    for record in records:
        answer = told[record["index"]]
        assert record["label"] == labels[answer.label]
        assert record["confidence"] == round(answer.confidence, 4)
        assert (record["start_s"], record["end_s"], record["looks"]) == (answer.start_s, answer.end_s, 3)
    if told:
        assert records[0]["index"] == 0
        assert records[-1] == list(records)[-1]
        with pytest.raises(IndexError):
            records[len(told)]
