"""Files for annotation and scoring tools, in the shape that those publish."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from avel_live.realtime.commands import main
from avel_live.realtime.recordings.annotations import FORMATS, desed, label_studio, rttm
from avel_live.realtime.recordings.findings import Found
from support.media import make_clip

EVENTS = (
    Found(0, "Male speech, man speaking", 0.0, 2.5, 0.91),
    Found(3, "Bark", 4.0, 5.0, 0.7),
)


def test_rttm_has_ten_fields_and_no_blank_in_a_name() -> None:
    lines = [line.split() for line in rttm(EVENTS, "my walk.mp4").splitlines()]
    assert [len(fields) for fields in lines] == [10, 10]
    assert lines[0][:5] == ["SPEAKER", "my_walk.mp4", "1", "0.000", "2.500"]
    assert lines[0][7] == "Male_speech,_man_speaking"
    assert float(lines[1][3]) + float(lines[1][4]) == pytest.approx(5.0)


def test_event_lists_have_the_columns_of_desed() -> None:
    rows = list(csv.DictReader(desed(EVENTS, "walk.mp4").splitlines(), delimiter="\t"))
    assert [(r["filename"], float(r["onset"]), float(r["offset"]), r["event_label"]) for r in rows] == [
        ("walk.mp4", 0.0, 2.5, "Male speech, man speaking"),
        ("walk.mp4", 4.0, 5.0, "Bark"),
    ]
    (empty,) = csv.DictReader(desed((), "walk.mp4").splitlines(), delimiter="\t")
    assert (empty["filename"], empty["event_label"]) == ("walk.mp4", "")


def test_label_studio_gets_a_task_with_a_prediction() -> None:
    (task,) = json.loads(label_studio(EVENTS, "walk.mp4", "1.2", video=True))
    (prediction,) = task["predictions"]
    assert task["data"]["audio"] == "walk.mp4"
    assert prediction["score"] == pytest.approx(0.805)
    first = prediction["result"][0]
    assert (first["type"], first["to_name"], first["from_name"]) == ("labels", "audio", "label")
    assert first["value"] == {"start": 0.0, "end": 2.5, "channel": 0, "labels": ["Male speech, man speaking"]}
    assert json.loads(label_studio((), "x", "1", video=False))[0]["predictions"][0]["result"] == []


def test_they_are_written_where_asked_for_and_missed_where_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AVEL_DATA_DIR", str(tmp_path / "data"))
    clip = make_clip(tmp_path / "a.mkv", seconds=2.0, fps=4, size=(64, 48), rate=16_000, channels="mono")
    first = ["localize", str(clip), "-o", "out", "--jobs", "1"]
    for args in (first, [*first, "--also", "rttm", "--also", "desed", "--also", "label-studio"]):
        with pytest.raises(SystemExit) as left:
            main(args)
        assert not left.value.code
        there = {name: (tmp_path / "out" / f"a.mkv{end}").is_file() for name, end in FORMATS.items()}
        assert set(there.values()) == {args is not first}
