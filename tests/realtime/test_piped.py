"""A recording through a pipe is read once: nothing of it is lost, and it is the same as from a file."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from avel_live.realtime.core.clock import ManualClock
from avel_live.realtime.core.errors import SourceError
from avel_live.realtime.session.sources import demo_path
from avel_live.realtime.sources.piped import Pipe
from avel_live.realtime.sources.replay import Replay, ReplayOptions
from support.media import make_clip, needs_ffmpeg
from support.played import Played

LIVE = [sys.executable, "-c", "from avel_live.realtime.commands import live_main; live_main()"]


@contextmanager
def fifo(content: bytes, path: Path) -> Iterator[Path]:
    """A FIFO through which `content` comes, slowly enough that reads are short."""
    os.mkfifo(path)

    def write() -> None:
        with path.open("wb", buffering=0) as pipe:
            for at in range(0, len(content), 30_000):
                pipe.write(content[at : at + 30_000])

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    yield path
    writer.join(10)
    assert not writer.is_alive()


def same(one: Played, other: Played) -> None:
    assert [f.t_ns for f in one.frames] == [f.t_ns for f in other.frames]
    assert all((a.image == b.image).all() for a, b in zip(one.frames, other.frames, strict=True))
    np.testing.assert_array_equal(one.sound(), other.sound())
    assert (one.end_s, one.totals, one.said) == (other.end_s, other.totals, other.said)


@needs_ffmpeg
@pytest.mark.parametrize("suffix", [".ts", ".mkv", ".webm", ".avi", ".wav", ".flac"])
def test_a_recording_through_a_pipe_is_the_same_as_from_a_file(suffix: str, tmp_path: Path) -> None:
    path = make_clip(tmp_path / f"clip{suffix}", seconds=4.0, rate=48_000)
    with fifo(path.read_bytes(), tmp_path / "pipe") as pipe:
        same(Played(pipe, pipe=True), Played(path))


@needs_ffmpeg
@pytest.mark.parametrize("suffix", [".ts", ".mkv"])
def test_a_later_start_in_a_pipe_is_the_same_second(suffix: str, tmp_path: Path) -> None:
    path = make_clip(tmp_path / f"clip{suffix}", seconds=4.0, rate=48_000)
    with fifo(path.read_bytes(), tmp_path / "pipe") as pipe:
        piped, whole = Played(pipe, pipe=True, start_s=1.3), Played(path, start_s=1.3)
    assert [f.t_ns for f in piped.frames] == [f.t_ns for f in whole.frames]
    assert piped.beeps() == pytest.approx([0.2, 1.2, 2.2], abs=0.01)
    assert piped.flashes() == pytest.approx([0.2, 1.2, 2.2], abs=0.05)


@needs_ffmpeg
def test_joined_streams_come_through_a_pipe_whole(tmp_path: Path) -> None:
    part = make_clip(tmp_path / "a.ts", seconds=3.0, rate=48_000).read_bytes()
    with fifo(part + part, tmp_path / "pipe") as pipe:
        assert Played(pipe, pipe=True).beeps() == pytest.approx([0.5, 1.5, 2.5, 3.5, 4.5, 5.5], abs=0.1)


@needs_ffmpeg
def test_what_a_pipe_cannot_give_is_said(tmp_path: Path) -> None:
    copy = ["ffmpeg", "-v", "error", "-i", str(demo_path()), "-c", "copy", "-t", "10"]
    subprocess.run([*copy, str(tmp_path / "end.mp4")], check=True)
    at_the_end = (tmp_path / "end.mp4").read_bytes()
    assert at_the_end.index(b"mdat") < at_the_end.index(b"moov")
    with (
        fifo(at_the_end, tmp_path / "mp4") as pipe,
        pytest.raises(SourceError, match=r"a pipe can't go back.*save it to a file first"),
    ):
        Played(pipe, pipe=True)
    subprocess.run([*copy, str(tmp_path / "clip.flv")], check=True)
    flv = (tmp_path / "clip.flv").read_bytes()
    with fifo(flv + flv, tmp_path / "flv") as pipe:
        played = Played(pipe, pipe=True)
    assert "2 files joined: through a pipe only the first of this kind is read well" in [
        getattr(item, "reason", "") for item in played.items
    ]
    with fifo(flv, tmp_path / "one") as pipe:
        same(Played(pipe, pipe=True), Played(tmp_path / "clip.flv"))


@needs_ffmpeg
@pytest.mark.parametrize("kind", ["mp4", "wmv", "w64", "caf"])
def test_joined_files_of_which_a_pipe_gives_the_first_alone_are_said_to_be(kind: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", seconds=1.0, rate=48_000)
    made = tmp_path / f"clip.{kind}"
    how = {"mp4": ["-c:v", "libx264"], "wmv": ["-c:v", "wmv2", "-c:a", "wmav2"]}.get(kind, ["-vn"])
    how += ["-movflags", "+faststart"] if kind == "mp4" else []
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(clip), *how, str(made)], check=True, timeout=60)
    whole = made.read_bytes()
    with fifo(whole, tmp_path / "one") as pipe:
        same(Played(pipe, pipe=True), Played(made))
    with fifo(whole + whole[:20_000], tmp_path / "two") as pipe:
        played = Played(pipe, pipe=True)
    assert played.end_s == pytest.approx(1.0, abs=0.1)
    assert [getattr(item, "reason", "") for item in played.items][-2:] == [
        "2 files joined: through a pipe only the first of this kind is read well", "end of file",
    ]  # fmt: skip


def test_a_second_file_is_seen_also_where_the_demuxer_reads_no_byte_beyond_the_first(tmp_path: Path) -> None:
    """CAF says where its sound ends; here that is where a read of FFmpeg's 32 KiB ends."""
    samples = (4 * 32_768 - 68) // 2
    head = b"caff\0\1\0\0desc" + struct.pack(">qd4sIIIII", 32, 16_000.0, b"lpcm", 2, 2, 1, 1, 16)
    whole = head + b"data" + struct.pack(">qI", 4 + 2 * samples, 0) + bytes(2 * samples)
    assert len(whole) == 4 * 32_768
    with fifo(whole + head, tmp_path / "two") as pipe:
        played = Played(pipe, pipe=True)
    assert played.end_s == pytest.approx(samples / 16_000, abs=0.01)
    assert "2 files joined" in str(played.items[-2])
    with fifo(whole, tmp_path / "one") as pipe:
        assert "joined" not in str(Played(pipe, pipe=True).items[-2])


def test_what_needs_a_second_reading_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    source = Replay(tmp_path / "pipe", ManualClock(), ReplayOptions(loop=True, pipe=True))
    with pytest.raises(SourceError, match=r"is a pipe.*leave --loop away"):
        source.open()


def test_picture_and_sound_too_far_apart_end_with_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avel_live.realtime.sources.piped._MOST_WAITING", 50)
    path = make_clip(tmp_path / "clip.mkv", seconds=4.0, rate=48_000)
    with (
        pytest.raises(SourceError, match="too far for a pipe; save it to a file first"),
        fifo(path.read_bytes(), tmp_path / "pipe") as pipe,
    ):
        Played(pipe, pipe=True)


def test_a_stop_ends_waiting_for_a_writer_that_never_comes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    stop = threading.Event()
    pipe = Pipe(tmp_path / "pipe", stop)
    threading.Timer(0.3, stop.set).start()
    begun = time.monotonic()
    assert pipe.read(100) == b""
    assert 0.2 < time.monotonic() - begun < 2.0
    pipe.close()
    pipe.close()


@needs_ffmpeg
def test_standard_input_is_a_recording_and_a_stop_is_heard_while_it_waits(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.ts", seconds=4.0, rate=48_000)
    process = subprocess.Popen(
        [*LIVE, "--file", "-", "--fast", "--json", "--frames", "1", "--threads", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(path.read_bytes())
    process.stdin.flush()
    lines = iter(process.stdout.readline, b"")
    first = json.loads(next(lines))
    assert first["source"]["name"] == "standard input"
    assert any(b'"type": "hop"' in line for line in lines)
    process.send_signal(signal.SIGTERM)  # the pipe is open, and nothing more comes
    left, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert json.loads(left.splitlines()[-1])["type"] == "end"


@contextmanager
def standard_input(descriptor: int) -> Iterator[Path]:
    """`-`, and what it stands for."""
    before = os.dup(0)
    os.dup2(descriptor, 0)
    try:
        yield Path("-")
    finally:
        os.dup2(before, 0)
        os.close(before)


def test_standard_input_that_is_a_file_is_read_as_one(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", seconds=2.0)
    with path.open("rb") as file, standard_input(file.fileno()) as stdin:
        played = Played(stdin, pipe=True, loop=True, duration_s=3.0)
    assert played.end_s == 3.0
    assert played.beeps() == pytest.approx([0.5, 1.5, 2.5], abs=0.1)


def test_a_terminal_is_no_recording() -> None:
    leader, follower = os.openpty()
    with standard_input(follower) as stdin, pytest.raises(SourceError, match="is a terminal; pipe a record"):
        Played(stdin, pipe=True)
    os.close(follower)
    os.close(leader)
