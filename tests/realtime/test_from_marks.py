"""`avel teach NAME --from-marks`: what people said of remembered events teaches a class, where that helps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from avel_live.model.teach.pack import Pack, installed, load
from avel_live.realtime.commands import main
from avel_live.realtime.commands.teach.marks import read_marks
from avel_live.realtime.core.errors import UsageError
from avel_live.realtime.memory import EventRow, Memory, Run, Writer
from avel_live.realtime.memory.tend import Verdict, mark
from avel_live.realtime.memory.write import ClipRow
from support.taught import RATE, noise, recording, ringing

BEGAN_US = 1_794_999_600_000_000
LEAD_S = 3
"""A clip begins so long before its event."""


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, handlers: None) -> None:
    monkeypatch.setenv("AVEL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def bell(path: Path, seed: int, lead_s: int = 0) -> Path:
    """Two seconds of ringing, behind some quiet."""
    rng = np.random.default_rng(seed)
    ring = ringing(2, rng.uniform(0.96, 1.04), rng.uniform(0.1, 0.4)) + noise(2, -50, seed)
    return recording(path, *([(noise(lead_s, -50, seed), None)] if lead_s else []), (ring, None))


def beeps(path: Path, seed: int, lead_s: int = 0) -> Path:
    """Two seconds of a pager, which three rings do not tell from a bell."""
    rng = np.random.default_rng(seed)
    t = np.arange(2 * RATE) / RATE
    tone = np.sin(2 * np.pi * 1400 * rng.uniform(0.96, 1.04) * t) * ((t * 6).astype(int) % 2)
    wave = (rng.uniform(0.1, 0.4) * tone).astype(np.float32) + noise(2, -50, seed)
    return recording(path, *([(noise(lead_s, -50, seed), None)] if lead_s else []), (wave, None))


def remembered(
    file: Path, events: Sequence[tuple[str, Path | None, Verdict | None, str | None]]
) -> list[int]:
    """Events of two seconds with a label, a clip and what somebody said of them; their numbers."""
    writer = Writer(file)
    run = writer.begin(Run("hall", BEGAN_US, "mic", "lite", "", "0.1.0", "UTC"))
    already = Memory(file).count()
    for number, (label, clip, _, _) in enumerate(events):
        start = BEGAN_US + (already + number) * 60_000_000
        writer.add(run, [EventRow(number, label, start, start + 2_000_000, 0.9)])
        if clip is not None:
            begin = start - LEAD_S * 1_000_000
            writer.add(run, [ClipRow(str(clip), None, begin, begin + 5_000_000, (number,))])
    writer.close()
    numbers = [e.id for e in Memory(file).events(oldest_first=True)][-len(events) :]
    for number, (_, _, verdict, label) in zip(numbers, events, strict=True):
        if verdict:
            assert mark(file, number, verdict, BEGAN_US, label)
    return numbers


def avel(*words: object) -> int:
    try:
        main([str(word) for word in words])
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def pack() -> Pack:
    (path,) = installed()
    return load(path)


def test_marks_that_concern_a_class_are_its_examples_and_what_it_must_not_be(tmp_path: Path) -> None:
    file = tmp_path / "memory.sqlite"
    clips = [tmp_path / f"{k}.wav" for k in range(7)]
    for clip in clips:
        clip.write_bytes(b"")
    said: list[tuple[str, Path | None, Verdict | None, str | None]] = [
        ("Bell", clips[0], "right", None),
        ("Clock", clips[1], "other", " bell "),
        ("Bell", clips[2], "wrong", None),
        ("Bell", clips[3], "other", "pager"),
        ("Clock", clips[4], "right", None),
        ("Clock", clips[5], "wrong", None),
        ("Bell", clips[6], None, None),
        ("Bell", None, "right", None),
        ("Bell", tmp_path / "gone.wav", "wrong", None),
    ]
    numbers = remembered(file, said)
    marks = read_marks(file, "BELL")
    assert [(m.event, m.is_it) for m in marks.found] == [(n, k < 2) for k, n in enumerate(numbers[:4])]
    assert {m.span for m in marks.found} == {(3.0, 5.0)}
    assert marks.notes == ("2 marked events have no clip (any more) and are left out; --clips keeps them",)
    with pytest.raises(
        UsageError, match=r"no mark in .* says anything new of 'Bell': .*4 marked events were"
    ):
        read_marks(file, "Bell", [m.name for m in marks.found])
    with pytest.raises(
        UsageError, match=r"no mark in .* says anything new of 'kettle'; mark events on the page"
    ):
        read_marks(file, "kettle")


def test_a_class_is_taught_by_marks_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "memory.sqlite"
    rings = [bell(tmp_path / f"r{k}.wav", k, LEAD_S) for k in range(6)]
    others = [beeps(tmp_path / f"b{k}.wav", k, LEAD_S) for k in range(3)]
    remembered(file, [("Clock", clip, "other", "Bell") for clip in rings[:2]])
    common = ("--from-marks", "--memory-file", file, "--heard")
    assert avel("teach", "Bell", *common) == 2
    assert "2 marked examples, and 0 held out: 3 are the least" in capsys.readouterr().err
    remembered(file, [("Clock", clip, "other", "Bell") for clip in rings[2:]])
    remembered(file, [("Bell", clip, "wrong", None) for clip in others])
    assert avel("teach", "Bell", *common, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {
        "name": "Bell", "marks": 9, "held_out": 3, "right": 3, "before": None, "installed": True
    }  # fmt: skip
    card = pack().card
    assert (len(card.examples), len(card.marks), card.mode) == (6, 9, "heard")
    assert card.examples[0].endswith(" in r0.wav")
    assert avel("teach", "test", "Bell", bell(tmp_path / "new.wav", 99), others[0], "--json") == 0
    heard, beside = (json.loads(line)["confidence"] for line in capsys.readouterr().out.splitlines())
    assert min(heard) >= 0.7
    assert max(beside) < 0.7


def test_a_class_that_is_there_changes_only_where_marks_that_were_held_out_say_it_got_better(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "memory.sqlite"
    rings = [bell(tmp_path / f"r{k}.wav", k) for k in range(3)]
    assert avel("teach", "Bell", *rings, "--heard") == 0
    before = pack()
    common = ("teach", "bell", "--from-marks", "--memory-file", file)
    more = [bell(tmp_path / f"m{k}.wav", 20 + k, LEAD_S) for k in range(3)]
    remembered(file, [("Bell", clip, "right", None) for clip in more])
    capsys.readouterr()
    assert avel(*common) == 2
    said = capsys.readouterr()
    assert "of 1 marks that were held out it judges 1 rightly; the class that is there, of 1" in said.out
    assert "it is no better with these marks; nothing changed" in said.err
    (path,) = installed()
    assert load(path).card == before.card
    wrong = [beeps(tmp_path / f"b{k}.wav", 40 + k, LEAD_S) for k in range(6)]
    remembered(file, [("Bell", clip, "wrong", None) for clip in wrong])
    assert avel(*common, "--dry-run") == 0
    assert load(path).card == before.card
    capsys.readouterr()
    assert avel(*common, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["marks"], told["held_out"], told["installed"]) == (9, 3, True)
    assert told["before"] < told["right"]
    after = pack()
    assert (after.card.id, after.card.made, after.card.name) == (before.card.id, before.card.made, "Bell")
    assert after.card.examples[:3] == before.card.examples
    assert len(after.card.examples) == 6
    assert len(after.card.marks) == 9
    assert len(after.kept["own_audio"]) > len(before.kept.get("own_audio", ()))
    assert avel("teach", "test", "Bell", wrong[0], bell(tmp_path / "new.wav", 99), "--json") == 0
    beside, heard = (json.loads(line)["confidence"] for line in capsys.readouterr().out.splitlines())
    assert max(beside[LEAD_S:]) < 0.7 <= min(heard)
    assert avel(*common) == 2
    assert "9 marked events were taught already" in capsys.readouterr().err
