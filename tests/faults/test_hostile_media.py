"""Recordings that are valid and absurd: bounded memory, bounded time, a picture of it or a clear error."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from support.media import Clip, make_clip

LIVE = """
import atexit, sys
from avel_live.realtime.commands import live_main
from avel_live.realtime.commands.bench.meters import peak_memory_mb
memory = sys.argv.pop(1)
atexit.register(lambda: open(memory, "w").write(str(peak_memory_mb())))
live_main()
"""
MEMORY_MB = 1_500
SECONDS = 120


def film(path: Path, times: list[float], size: tuple[int, int], **options: str) -> Path:
    """Pictures at these times, H.264 in Matroska, and no sound."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 100_000)
        for number, t in enumerate(times):
            image = np.full((size[1], size[0], 3), number % 251, np.uint8)
            frame = av.VideoFrame.from_ndarray(image)
            frame.pts, frame.time_base = round(t * 100_000), Fraction(1, 100_000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def ten_thousand_pictures_a_second(folder: Path) -> Path:
    return film(folder / "fps.mkv", [k / 10_000 for k in range(20_000)], (64, 48), preset="ultrafast")


def one_key_picture_an_hour(folder: Path) -> Path:
    times = [k / 2 for k in range(7_200)]
    return film(folder / "gop.mkv", times, (64, 48), preset="ultrafast", g="10000", keyint_min="10000")


def pictures_of_225_megapixels(folder: Path) -> Path:
    """A few kilobytes that are 0.7 GB of RGB each."""
    path = folder / "bomb.mov"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("png", rate=4)
        stream.width = stream.height = 15_000
        stream.pix_fmt = "gray"
        for number in range(2):
            frame = av.VideoFrame(15_000, 15_000, "gray")
            frame.planes[0].update(bytes(frame.planes[0].buffer_size))
            frame.pts, frame.time_base = number, Fraction(1, 4)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def sound_of_no_length(folder: Path) -> Path:
    """A sound track is announced, and there is none."""
    path = folder / "mute.mkv"
    with av.open(str(path), "w") as out:
        picture = out.add_stream("libx264", rate=10)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        out.add_stream("aac", rate=44_100)
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number, np.uint8))
            frame.pts, frame.time_base = number, Fraction(1, 10)
            out.mux(picture.encode(frame))
        out.mux(picture.encode(None))
    return path


def minutes_of_silence_in_a_kilobyte(folder: Path) -> Path:
    """FLAC writes minutes of zeros in almost nothing."""
    path = folder / "silence.flac"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("flac", rate=48_000)
        stream.layout = "7.1"
        block = np.zeros((1, 8 * 48_000), np.int16)
        for second in range(300):
            frame = av.AudioFrame.from_ndarray(block, "s16", "7.1")
            frame.sample_rate, frame.pts = 48_000, second * 48_000
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def headers_alone(folder: Path) -> Path:
    whole = make_clip(folder / "whole.mkv", Clip(seconds=1.0)).read_bytes()
    (folder / "head.mkv").write_bytes(whole[:600])
    return folder / "head.mkv"


CASES: dict[Callable[[Path], Path], tuple[list[str], int]] = {
    ten_thousand_pictures_a_second: ([], 0),
    one_key_picture_an_hour: (["--start", "3590"], 0),
    pictures_of_225_megapixels: ([], 0),
    sound_of_no_length: ([], 0),
    minutes_of_silence_in_a_kilobyte: ([], 0),
    headers_alone: ([], 3),
}


SLOW = {pictures_of_225_megapixels}


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=pytest.mark.slow) if c in SLOW else c for c in CASES],
    ids=lambda case: case.__name__,
)
def test_absurd_recordings_stay_bounded(case: Callable[[Path], Path], tmp_path: Path) -> None:
    flags, code = CASES[case]
    path, memory = case(tmp_path), tmp_path / "memory"
    assert path.stat().st_size < 4_000_000
    with subprocess.Popen(
        [sys.executable, "-c", LIVE, str(memory), "--file", str(path), "--fast", "--json", *flags],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        out, said = process.communicate(timeout=SECONDS)
        assert process.returncode == code, said
    assert float(memory.read_text()) < MEMORY_MB
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 1
    records = [json.loads(line) for line in out.splitlines()]
    if code == 0:
        assert records[-1]["type"] == "end"
        assert records[-1]["hops"] > 0
