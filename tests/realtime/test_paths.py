"""Names that people give their files, things that are no files, and what of a folder is looked at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from avel_live.realtime.commands.extract.jobs import find_jobs as rows
from avel_live.realtime.core.errors import SourceError
from avel_live.realtime.recordings.batch import find_jobs
from avel_live.realtime.recordings.labelled import media_files
from avel_live.realtime.recordings.progress import length_s
from avel_live.realtime.sources.suffixes import MEDIA, passed_over
from support.media import make_clip
from support.played import Played


@pytest.mark.parametrize(
    "name", ["12:30:00.mp4", "http:x.mp4", "-.mp4", "a %03d b.mp4", "file:clip.mp4", "ü?#.mp4"]
)
def test_any_name_is_a_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "clip.mp4", seconds=1.0, fps=10, size=(64, 48))
    os.rename("clip.mp4", name)
    played = Played(Path(name))
    assert played.end_s == pytest.approx(1.0, abs=0.05)
    assert played.beeps() == pytest.approx([0.5], abs=0.02)
    assert length_s(Path(name)) == pytest.approx(1.0, abs=0.05)
    assert len(rows([Path(name)])) == 1


def test_a_pipe_is_refused_before_a_byte_of_it_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mkv"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)  # keeps it open, so that nobody waits for a writer
    try:
        os.write(reading, b"\x1a\x45\xdf\xa3")
        with pytest.raises(SourceError, match=r"is a pipe or a device.*save it to a file first"):
            Played(pipe)
        assert length_s(pipe) is None
        assert len(rows([pipe])) == 1  # the worker says what is wrong with it
        assert os.read(reading, 10) == b"\x1a\x45\xdf\xa3"
    finally:
        os.close(reading)


def test_every_command_finds_the_same_recordings(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    names = ["a.MTS", "b.vob", "c.asf", "d.opus", "e.m4a", "f.mxf", "sub/g.mp4"]
    for name in [*names, "._a.MTS", "notes.txt", "cover.jpg"]:
        (folder / name).write_bytes(b"")
    said: list[str] = []
    jobs = find_jobs([folder], tmp_path / "out", said.append)
    assert sorted(job.relative.as_posix() for job in jobs) == names
    told: list[str] = []
    assert [row.name for row in rows([folder], say=told.append)] == names
    assert sorted(p.relative_to(folder).as_posix() for p in media_files(folder)) == names
    line = f"{folder}: passed over 2 files with endings of no recording: cover.jpg, notes.txt"
    assert said == told == [line]


def test_what_is_passed_over_is_said_briefly() -> None:
    assert passed_over([]) == ""
    many = [Path(f"{k}.txt") for k in range(5)]
    assert passed_over(many).endswith("0.txt, 1.txt, 2.txt and 2 more")
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in MEDIA)
