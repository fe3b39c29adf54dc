"""A stream that begins in the middle of a recording is the rest of the one from its beginning."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from avel_live.realtime.core.messages import SAMPLE_RATE
from support.media import needs_ffmpeg
from support.played import Played

LONG_GOP = ("-c:v", "libx264", "-g", "250", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
KINDS = {
    "ts": (*LONG_GOP, "-c:a", "aac"),
    "mpg": ("-c:v", "mpeg2video", "-g", "100", "-c:a", "mp2"),
    "flv": (*LONG_GOP, "-c:a", "aac"),
    "mkv": (*LONG_GOP, "-c:a", "libopus"),
    "mp4": (*LONG_GOP, "-c:a", "aac"),
    "webm": ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "250", "-c:a", "libopus"),
    "avi": ("-c:v", "mpeg4", "-g", "250", "-c:a", "pcm_s16le"),
    "h264": (*LONG_GOP, "-an"),
    "adpcm.wav": ("-vn", "-c:a", "adpcm_ima_wav"),
    "g722.wav": ("-vn", "-ar", "16000", "-ac", "1", "-c:a", "g722"),
    "mp3": ("-vn", "-c:a", "libmp3lame"),
    "aac": ("-vn", "-c:a", "aac"),
    "ogg": ("-vn", "-c:a", "libvorbis"),
}


def made(folder: Path, kind: str, *more: str) -> Path:
    """Nine seconds of numbered pictures and a tone that rises."""
    path = folder / f"clip.{kind}"
    picture = "testsrc=s=96x72:r=25:d=9"
    tone = "aevalsrc=0.4*sin(2*PI*(300+100*t)*t):s=44100:d=9"
    inputs = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone]
    command = ["ffmpeg", "-v", "error", "-y", *inputs, *KINDS[kind], *more, str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


def assert_same_from(path: Path, start_s: float) -> None:
    whole, rest = Played(path), Played(path, start_s=start_s)
    later_ns = round(start_s * 1e9)
    wanted = {f.t_ns - later_ns: f.image for f in whole.frames if f.t_ns >= later_ns - 500_000}
    got = {f.t_ns: f.image for f in rest.frames}
    assert len(got) == len(wanted)
    for (t, image), (u, other) in zip(sorted(wanted.items()), sorted(got.items()), strict=True):
        assert t == pytest.approx(u, abs=1_000_000)
        assert np.array_equal(image, other)
    assert rest.end_s == pytest.approx(whole.end_s - start_s, abs=0.015)
    a, b = whole.sound()[round(start_s * SAMPLE_RATE) :], rest.sound()
    assert len(a) == pytest.approx(len(b), abs=200)
    if len(a):
        # The same sound at the same place: resamplers begin anew, so by its course and not by the sample.
        a, b = a[: len(b)], b[: len(a)]
        assert np.abs(b).max() > 0.3
        lag = best_lag(a[SAMPLE_RATE // 2 : SAMPLE_RATE], b, SAMPLE_RATE // 2)
        assert abs(lag) <= 0.012 * SAMPLE_RATE
    assert rest.said == whole.said
    assert rest.totals.lost == {}


def best_lag(pattern: np.ndarray, sound: np.ndarray, at: int) -> int:
    """Where in `sound` near `at` the pattern is found, in samples from there."""
    reach = 400
    window = sound[at - reach : at + len(pattern) + reach]
    return int(np.argmax(np.correlate(window, pattern, "valid"))) - reach


@needs_ffmpeg
@pytest.mark.parametrize("kind", KINDS)
def test_a_start_in_the_middle_equals_a_run_from_the_start(kind: str, tmp_path: Path) -> None:
    path = made(tmp_path, kind)
    for start_s in (3.0, 7.0):
        assert_same_from(path, start_s)


@needs_ffmpeg
def test_a_start_in_the_second_of_two_joined_parts(tmp_path: Path) -> None:
    part = made(tmp_path, "ts")
    path = tmp_path / "joined.ts"
    path.write_bytes(part.read_bytes() * 2)
    whole, rest = Played(path), Played(path, start_s=12.0)
    assert rest.end_s == pytest.approx(whole.end_s - 12.0, abs=0.01)
    wanted = [f.image for f in whole.frames if f.t_ns >= 12e9]
    assert len(wanted) == len(rest.frames)
    assert all(np.array_equal(f.image, image) for f, image in zip(rest.frames, wanted, strict=True))


@needs_ffmpeg
def test_pictures_that_were_left_out_shift_nothing_in_an_avi(tmp_path: Path) -> None:
    # Every other second has no new pictures: AVI writes nothing, or empty packets, for them.
    drop = "select='not(mod(floor(t),2))'"
    path = made(tmp_path, "avi", "-vf", drop, "-fps_mode", "vfr")
    assert_same_from(path, 6.0)


@needs_ffmpeg
def test_a_still_picture_that_is_on_show_already_is_shown(tmp_path: Path) -> None:
    path = made(tmp_path, "mkv", "-vf", "select='lt(n,1)+gt(t,6)'", "-fps_mode", "vfr")
    whole, rest = Played(path), Played(path, start_s=3.0)
    assert [round(f.t_ns / 1e9) for f in whole.frames][:6] == [0, 1, 2, 3, 4, 5]
    assert [round(f.t_ns / 1e9) for f in rest.frames][:3] == [0, 1, 2]
    assert np.array_equal(rest.frames[0].image, whole.frames[0].image)
