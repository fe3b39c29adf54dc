"""Streams added, changed and removed while the program ran: what is kept, and when avel.toml has the word."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from avel_live.realtime.config.kept import Change, Kept, digest, read, write
from avel_live.realtime.config.load import Loaded, load_config
from avel_live.realtime.config.streams import streams_of
from avel_live.realtime.core.errors import UsageError

DOOR = {"name": "door", "url": "rtsp://door/", "enter": 0.6, "mqtt.topic": "x"}
YARD = {"name": "yard", "url": "rtsp://me:p%C3%A4ss@yard/ä"}


def tables(kept: Kept, *filed: dict[str, Any]) -> list[dict[str, Any]]:
    return [one.table for one in kept.over(filed)]


def test_what_is_kept_stands_over_the_file() -> None:
    kept = Kept().with_added(YARD).with_changed(DOOR, {"enter": 0.9, "mqtt.topic": None, "brief": 0.8})
    changed = {"name": "door", "url": "rtsp://door/", "enter": 0.9, "brief": 0.8}
    assert tables(kept, DOOR) == [changed, YARD]
    assert [one.kept for one in kept.over([DOOR])] == [{"enter", "mqtt.topic", "brief"}, {"name", "url"}]
    kept = kept.with_changed(DOOR, {"brief": None}).with_added({**YARD, "enter": 0.7, "leave": None})
    assert tables(kept, DOOR) == [{k: v for k, v in changed.items() if k != "brief"}, {**YARD, "enter": 0.7}]
    assert tables(kept.without("door", DOOR).without("yard", None), DOOR) == []


def test_who_edits_the_file_afterwards_has_the_last_word() -> None:
    edited = {**DOOR, "url": "rtsp://front-door/"}
    changed = Kept().with_changed(DOOR, {"enter": 0.9})
    assert tables(changed, edited) == [edited]
    assert changed.stale([edited]) == ["door"]
    assert changed.stale([DOOR]) == []
    assert changed.stale([]) == [], "it is not there at all: nothing contradicts"
    # Changed anew, only that counts.
    assert tables(changed.with_changed(edited, {"leave": 0.2}), edited) == [{**edited, "leave": 0.2}]
    removed = Kept().without("door", DOOR)
    assert tables(removed, DOOR) == []
    assert tables(removed, edited) == [edited]
    assert removed.stale([edited]) == ["door"]
    # What was added and then written into the file by hand is the file's; names are compared as in topics.
    own = {"name": "Yard", "url": "rtsp://other/"}
    assert tables(Kept().with_added(YARD), own) == [own]
    assert Kept().with_added(YARD).stale([own]) == ["yard"]


def test_one_removed_and_one_added_under_its_name_are_two() -> None:
    new = {"name": "door", "url": "rtsp://new/"}
    kept = Kept().without("door", DOOR).with_added(new)
    assert tables(kept, DOOR) == [new]
    assert kept.stale([DOOR]) == []
    assert tables(kept.without("door", None), DOOR) == [], "and neither comes back"


def test_it_is_written_whole_and_private_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "streams.json"
    assert read(path) == Kept()
    kept = Kept((YARD,), {"door": Change(digest(DOOR), {"enter": 0.9, "leave": None})}, {"lawn": "0"})
    write(path, kept)
    assert read(path) == kept
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    write(path, kept)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600, "addresses carry passwords"
    assert [one.name for one in path.parent.iterdir()] == ["streams.json"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not as it was written"),
        ("[1]", "not as it was written"),
        ("{" * 100_000, "not as it was written"),
        (json.dumps({"version": 1, "added": [{"url": "x"}], "changed": {}, "removed": {}}), "'name'"),
        (json.dumps({"version": 1, "added": [{"name": 3}], "changed": {}, "removed": {}}), "without a name"),
        (json.dumps({"version": 1, "added": [3], "changed": {}, "removed": {}}), "not as it was written"),
        (json.dumps({"version": 1, "added": [{"name": "x", "urll": 1}], "changed": {}, "removed": {}}),
         "unknown key 'urll'; did you mean url"),
        (json.dumps({"version": 1, "added": [], "changed": {"x": 1}, "removed": {}}), "TypeError"),
        (json.dumps({"version": 2}), "version 2, this release reads 1; update"),
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_one_line_with_its_name(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "streams.json"
    path.write_text(text)
    with pytest.raises(UsageError) as wrong:
        read(path)
    assert str(wrong.value).startswith(f"{path}: ")
    assert said in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_streams_of_a_configuration_are_those_of_both_files(tmp_path: Path) -> None:
    file, kept = tmp_path / "avel.toml", tmp_path / "streams.json"
    file.write_text(
        'enter = 0.5\nlog.jsonl = "all.jsonl"\n'
        '[[streams]]\nname = "door"\nurl = "rtsp://door/"\nleave = 0.3\n'
    )

    def loaded() -> Loaded:
        return load_config({"streams_file": kept}, path=file, environ={})

    (door,) = loaded().tables
    write(kept, Kept().with_added(YARD).with_changed(door, {"enter": 0.9, "leave": None}))
    first, second = streams_of(loaded())
    assert (first.config.enter, first.config.leave, first.config.url) == (0.9, None, "rtsp://door/")
    assert first.origins["enter"] == f"{kept} 'door'"
    assert first.origins["url"] == f"{file} [[streams]] 'door'"
    assert (second.config.enter, second.config.url) == (0.5, YARD["url"])
    assert second.origins["url"] == f"{kept} [[streams]] 'yard'"
    assert second.config.log.jsonl == Path("all-yard.jsonl")
    write(kept, Kept().with_added({**YARD, "enter": 7}))
    with pytest.raises(UsageError, match=r"streams 'yard': enter \(.*streams.json \[\[streams\]\] 'yard'\)"):
        streams_of(loaded())
    write(kept, Kept().with_added({**YARD, "metrics.port": 7}))
    with pytest.raises(UsageError, match=r"metrics\.port is one for all streams"):
        streams_of(loaded())
