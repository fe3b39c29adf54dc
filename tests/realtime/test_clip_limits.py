"""Clips at their limits: long pre-rolls, long holds, two streams in a folder, clocks that are set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avel_live.realtime.core.clock import NS_PER_S
from avel_live.realtime.core.messages import (
    Event,
    Hop,
    Scores,
    Segment,
    Settled,
    StreamEnd,
    TimedAudio,
    TimedFrame,
)
from avel_live.realtime.sinks.clips import ClipOptions
from avel_live.realtime.sinks.clips.sink import ClipSink
from avel_live.realtime.sinks.clips.store import Budget, ClipStore
from support.about import Said, about
from support.stream import make_start

LABELS = ("a", "b", "background")
WALL_S = 1_800_000_000.0
Script = dict[int, tuple[Event, ...]]


def begin(start_s: float, id_: int = 0) -> Event:
    return Event("start", id_, 0, start_s, None, 0.9, "a")


def end(start_s: float, end_s: float, id_: int = 0) -> Event:
    return Event("end", id_, 0, start_s, end_s, 0.9, "a")


def scores(second: int) -> Scores:
    p = np.asarray([[0.9, 0.05, 0.05]], np.float32)
    return Scores(second, second, np.log(p), p, np.full((1, 7, 7), 1 / 49, np.float32), np.ones(1, bool))


def feed(
    sink: ClipSink,
    script: Script,
    seconds: int,
    *,
    active: Callable[[int], bool] | None = None,
    zero_s: Callable[[int], float | None] = lambda _second: None,
) -> None:
    """Two small pictures and some sound a second; what `script[k]` says is decided at the end of second k."""
    start = make_start(labels=LABELS, wall_clock=zero_s(0))
    sink.start(replace(start, source=replace(start.source, live=False)))
    silence = np.zeros(16_000, np.float32)
    for k in range(seconds):
        for part in range(2):
            sink.media(TimedFrame(round((k + part / 2) * NS_PER_S), np.full((48, 64, 3), k % 250, np.uint8)))
        sink.media(TimedAudio(k * 16_000, silence))
        nothing = np.zeros((0, 224, 224, 3), np.uint8)
        segment = Segment(
            k, k * NS_PER_S, (k + 1) * NS_PER_S, nothing, np.zeros(0, np.float32), silence, 1.0, True, True
        )
        settled: tuple[Settled, ...] = ()
        if active is not None:
            label = 0 if active(k) else 2
            settled = (Settled(k, k, k + 1, label, 0.9, 1, np.zeros(3, np.float32), LABELS[label]),)
        sink.hop(
            Hop(
                k,
                segment,
                scores(k),
                0,
                0.9,
                0.0,
                0,
                0,
                None,
                16,
                settled,
                script.get(k, ()),
                wall_clock=zero_s(k),
            )
        )
    sink.end(StreamEnd(float(seconds), seconds, 0, 0, 1, 0.0, {}, None))
    sink.close()


def recorded(folder: Path, script: Script, seconds: int, **options: Any) -> list[dict[str, Any]]:
    """The records of all clips, in order."""
    active, zero_s = options.pop("active", None), options.pop("zero_s", lambda _second: None)
    said = Said()
    sink = ClipSink(ClipOptions(folder, **options), about(said, live=False))
    feed(sink, script, seconds, active=active, zero_s=zero_s)
    assert said == []
    notes = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    for note in notes:
        assert note["end_s"] - note["start_s"] <= options.get("max_s", 60.0) + 1.01  # a keyframe before it
        assert all(event["start_s"] >= note["start_s"] for event in note["events"])
    return sorted(notes, key=lambda note: float(note["start_s"]))


def spans(notes: list[dict[str, Any]]) -> list[tuple[float, float, bool]]:
    return [(round(n["start_s"]), round(n["end_s"]), n["truncated"]) for n in notes]


@pytest.mark.parametrize(
    ("options", "event_s", "expected"),
    [
        ({}, (5, 8), (2, 11, False)),
        ({"pre_s": 58.0}, (70, 80), (23, 83, False)),
        ({"pre_s": 100.0}, (110, 114), (57, 117, False)),
        ({"post_s": 100.0}, (10, 15), (7, 67, False)),
        ({"pre_s": 50.0, "post_s": 50.0}, (60, 80), (40, 100, False)),
        ({"pre_s": 3.0}, (5, 63), (4, 64, False)),
        ({"pre_s": 58.0}, (70, 128), (69, 129, False)),
        ({"pre_s": 0.0, "post_s": 0.0}, (5, 65), (5, 65, False)),
        ({"pre_s": 58.0}, (70, 180), (40, 100, True)),
        ({"pre_s": 3.0}, (5, 200), (2, 62, True)),
    ],
)
def test_a_clip_contains_its_event_as_far_as_it_may(
    tmp_path: Path, options: dict[str, float], event_s: tuple[int, int], expected: tuple[int, int, bool]
) -> None:
    first, last = event_s
    script = {first: (begin(first),), last + 1: (end(first, last),)}
    (span,) = spans(recorded(tmp_path, script, last + 55, **options))
    assert span == expected


@pytest.mark.parametrize("told", [True, False])
def test_a_long_hold_cuts_nothing_off(tmp_path: Path, told: bool) -> None:
    """The end of an event is known a minute after it: with, and without, word of every second."""
    script = {5: (begin(5),), 69: (end(5, 8),)}
    active = (lambda k: 5 <= k < 8) if told else None
    assert spans(recorded(tmp_path, script, 90, active=active)) == [(2, 11, False)]


def test_an_event_that_goes_on_after_a_long_gap_is_cut_off_when_it_does(tmp_path: Path) -> None:
    script = {5: (begin(5),), 140: (end(5, 100),)}
    notes = recorded(tmp_path, script, 150, active=lambda k: 5 <= k < 8 or 66 <= k < 100)
    assert spans(notes) == [(2, 62, True)]
    assert notes[0]["events"][0]["end_s"] is None


def test_an_event_that_never_ends_is_written_soon(tmp_path: Path) -> None:
    sink = ClipSink(ClipOptions(tmp_path), about(live=False))
    feed(sink, {5: (begin(5),)}, 80, active=lambda k: k >= 5)
    (note,) = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    assert note["truncated"]
    assert note["events"][0]["end_s"] is None
    assert sink.ring.bytes <= sink.most_bytes


def test_the_next_event_has_a_clip_of_its_own_when_the_last_was_set_aside(tmp_path: Path) -> None:
    script = {5: (begin(5),), 66: (end(5, 8), begin(65, 1)), 70: (end(65, 68, 1),)}
    notes = recorded(tmp_path, script, 80, active=lambda k: 5 <= k < 8)
    assert spans(notes) == [(2, 11, False), (62, 71, False)]
    assert [[e["id"] for e in note["events"]] for note in notes] == [[0], [1]]


# Two streams, one folder --------------------------------------------------------------------------------

STEM = "20260101T000000Z_avel_bark_e0"


def test_a_second_stream_leaves_a_clip_in_the_making_alone(tmp_path: Path) -> None:
    one = ClipStore(tmp_path, Budget())
    with one.clip(STEM) as (stem, path):
        path.write_bytes(b"x" * 1000)
        other = ClipStore(tmp_path, Budget())
        code = (
            "import sys\nfrom pathlib import Path\n"
            "from avel_live.realtime.sinks.clips.store import Budget, ClipStore\n"
            "ClipStore(Path(sys.argv[1]), Budget())\n"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)
        with other.clip(STEM) as (second, further):
            further.write_bytes(b"y" * 10)
    assert (stem, second) == (STEM, f"{STEM}-2")
    assert sorted((p.name, p.stat().st_size) for p in tmp_path.iterdir()) == [
        (f"{STEM}-2.mp4", 10),
        (f"{STEM}.mp4", 1000),
    ]


def test_many_streams_write_clips_of_one_name_at_once(tmp_path: Path) -> None:
    trouble: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for _ in range(10):
                with ClipStore(tmp_path, Budget()).clip(STEM) as (_, path):
                    path.write_bytes(bytes([number]) * 100)
        except BaseException as error:
            trouble.append(error)

    threads = [threading.Thread(target=write, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trouble == []
    clips = list(tmp_path.iterdir())
    assert len(clips) == 80
    assert sorted(p.read_bytes()[0] for p in clips) == sorted(k for k in range(8) for _ in range(10))


def test_two_recorders_share_a_folder(tmp_path: Path) -> None:
    script = {2: (begin(2),), 5: (end(2, 4),)}
    said = Said()
    sinks = [ClipSink(ClipOptions(tmp_path), about(said, live=False)) for _ in range(2)]
    threads = [threading.Thread(target=feed, args=(sink, script, 12)) for sink in sinks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == []
    assert len(list(tmp_path.glob("*.mp4"))) == len(list(tmp_path.glob("*.json"))) == 2
    assert {json.loads(p.read_text())["clip"] for p in tmp_path.glob("*.json")} == {
        p.name for p in tmp_path.glob("*.mp4")
    }


# The time of day ----------------------------------------------------------------------------------------


def test_names_follow_a_clock_that_is_set(tmp_path: Path) -> None:
    """A board without a battery: 28 days behind until the network comes."""
    script = {2: (begin(2),), 5: (end(2, 4),), 40: (begin(40, 1),), 43: (end(40, 42, 1),)}
    behind_s = 28 * 86_400.0
    notes = recorded(tmp_path, script, 60, zero_s=lambda k: WALL_S if k > 20 else WALL_S - behind_s)
    assert [note["clip"][:16] for note in notes] == ["20261218T080002Z", "20270115T080040Z"]
    assert notes[1]["wall_clock"].startswith("2027-01-15T08:00:37")


def test_the_newest_clip_is_kept_when_the_clock_was_set_back(tmp_path: Path) -> None:
    store = ClipStore(tmp_path, Budget.parse("2500B"))
    stems = [f"t{k:06d}.0_avel_bark_e{k}" for k in range(8)]
    now_s = WALL_S
    for k, wanted in enumerate(stems):
        now_s += 60 - 3600 * (k == 4)
        with store.clip(wanted) as (stem, path):
            path.write_bytes(b"x" * 500)
        store.write_json(f"{stem}.json", {"k": "x" * 480})
        for suffix in (".mp4", ".json"):
            os.utime(tmp_path / f"{stem}{suffix}", (now_s, now_s))
        store.prune(now_s, newest=stem)
    assert sorted(path.stem for path in tmp_path.glob("*.mp4")) == stems[-2:]
