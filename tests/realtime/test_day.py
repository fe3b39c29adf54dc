"""Twenty-four hours with reloads, a broker that dies, rotation, clock steps, a full disk: what is left."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from pathlib import Path

import pytest
from avel_live.realtime.core import clock
from support.day import HOUR_S, Found, logged, play
from support.peers import Mosquitto, Subscriber, eventually


def lost(found: Found, output: str) -> int:
    """Lines that an output said it had lost."""
    words = [reason for state in ("running", "failing") for reason in found.said(output, state)]
    return sum(int(m[1]) for word in words if (m := re.search(r"(\d+) lines were lost", word)))


def check(hour_s: int, broker: Mosquitto, tmp_path: Path, patch: pytest.MonkeyPatch) -> Found:
    """Nothing is lost but what is counted, and everything is said."""
    folder = tmp_path / "logs"
    folder.mkdir()
    # Events alone: this subscriber keeps what it hears, and the state of every second would look like a leak.
    subscriber = Subscriber(broker.port, "avel/+/event/#")
    found = play(24 * hour_s, hour_s, broker, folder, lambda wall: patch.setattr(clock, "time", wall))
    diary = found.diary
    assert (diary.hops, diary.skipped) == (24 * hour_s - 4, 0)
    assert found.reloads == 23
    assert [t for t in found.troubles if t] == []
    assert not found.said("configuration", "failed")

    records = logged(folder)
    hops = [r["hop"] for r in records if r["type"] == "hop"]
    assert hops == sorted(set(hops))  # in order across every rotation and both clock steps
    missing = lost(found, "log")
    assert missing > 0
    assert diary.hops - len(hops) <= missing
    assert sum("going on without it" in reason for reason in found.said("log", "failing")) == 2
    moved = [r["reason"] for r in records if r["type"] == "status" and r["device"] == "clock"]
    assert ["1 h ahead" in moved[0], "1 h behind" in moved[1]] == [True, True]
    files = list(folder.glob("e*.jsonl"))
    assert len(files) > 10
    for file in files:
        assert file.read_text().startswith('{"type": "start"')

    ended = [key for key in diary.events if key[0] == "end"]
    text = "".join(p.read_text() for p in [*folder.glob("e-*.csv"), folder / "e.csv"])
    rows = [row for row in csv.reader(io.StringIO(text)) if row and row[0] != "source"]
    ids = [int(row[1]) for row in rows]
    assert len(ids) == len(set(ids))
    assert len(ended) - len(ids) == lost(found, "csv")

    kinds = ("start", "end", "retract")
    expected = {key for key in diary.events if key[0] in kinds}

    def arrived() -> set[tuple[str, int]]:
        return {(r["event"], r["id"]) for r in subscriber.json("/event/") if r["event"] in kinds}

    with contextlib.suppress(pytest.fail.Exception):
        eventually(lambda: arrived() >= expected, "every event at the broker", 20)
    given_up = [r for kind in ("dropping", "failed") for r in found.said("mqtt", kind)]
    assert sorted(expected - arrived()) == [], given_up
    subscriber.close()
    memory = f"{found.growth_mb_per_hour:+.2f} MB/h, {diary.resident[-1][1]:.0f} MB at the end"
    print(f"{memory}; {diary.hops} hops, {diary.skipped} skipped; {len(expected)} events at the broker")
    print(f"{missing} lines of the log lost and counted, {len(files)} files")
    assert found.growth_mb_per_hour * hour_s / HOUR_S < 1.0
    return found


def test_a_short_day(broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours of a minute."""
    check(60, broker, tmp_path, monkeypatch)


@pytest.mark.slow
def test_a_whole_day(broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = check(HOUR_S, broker, tmp_path, monkeypatch)
    print(
        f"{found.growth_mb_per_hour:+.2f} MB/h, {found.diary.resident[-1][1]:.0f} MB, {found.diary.hops} hops"
    )
