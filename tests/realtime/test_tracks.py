"""Which picture and which sound of a recording are used, when it has several."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from avel_live.realtime.core.errors import SourceError
from avel_live.realtime.core.messages import Status
from support.media import needs_ffmpeg
from support.played import Played

BLUE, GREEN = "color=blue:s=96x72:r=25:d=3", "color=green:s=64x48:r=25:d=3"
TONE = "aevalsrc=0.5*sin(2*PI*1000*t):s=48000:d=3"
LOW = "aevalsrc=0.2*sin(2*PI*300*t):s=48000:d=3"
SILENCE = "anullsrc=r=48000:cl=mono:d=3"


def made(path: Path, *given: str, sources: tuple[str, ...]) -> Path:
    inputs = [word for source in sources for word in ("-f", "lavfi", "-i", source)]
    maps = [word for k in range(len(sources)) for word in ("-map", str(k))]
    command = ["ffmpeg", "-v", "error", "-y", *inputs, *maps, "-t", "3", "-c:v", "libx264", "-pix_fmt"]
    command += ["yuv420p", "-c:a", "aac", *given, str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


def level(played: Played) -> float:
    sound = played.sound()[8000:40_000]
    return float(np.sqrt(2 * np.mean(sound**2))) if len(sound) else 0.0


def colour(played: Played) -> str:
    red, green, blue = played.frames[10].image[100, 100]
    return "blue" if blue > 128 else "green" if green > 80 else f"{red} {green} {blue}"


def remarks(played: Played) -> list[str]:
    return [i.reason for i in played.items if isinstance(i, Status)]


@needs_ffmpeg
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_default_track_is_taken_not_the_first(suffix: str, tmp_path: Path) -> None:
    given = ("-disposition:a:0", "0", "-disposition:a:1", "default")
    path = made(tmp_path / f"two{suffix}", *given, sources=(BLUE, SILENCE, TONE))
    played = Played(path)
    assert level(played) == pytest.approx(0.5, abs=0.1)
    assert played.info.audio.endswith("track 2 of 2")
    assert "track" not in played.info.video
    assert played.totals.audio.not_chosen_s == pytest.approx(3.0, abs=0.1)
    assert played.totals.lost == {}


@needs_ffmpeg
def test_a_track_can_be_chosen(tmp_path: Path) -> None:
    path = made(tmp_path / "many.mkv", sources=(BLUE, GREEN, TONE, LOW))
    assert colour(Played(path, video_track=2)) == "green"
    assert colour(Played(path, video_track=1)) == "blue"
    assert level(Played(path, audio_track=2)) == pytest.approx(0.2, abs=0.05)
    assert level(Played(path, audio_track=1)) == pytest.approx(0.5, abs=0.1)
    with pytest.raises(
        SourceError, match=r"--audio-track 3: there are 2 audio tracks .*2: aac 48000 Hz mono"
    ):
        Played(path, audio_track=3)


@needs_ffmpeg
def test_silence_beside_a_track_with_sound_is_said(tmp_path: Path) -> None:
    path = made(tmp_path / "obs.mkv", "-disposition:a:0", "default", sources=(BLUE, SILENCE, TONE))
    played = Played(path)
    assert level(played) < 1e-3
    assert [r for r in remarks(played) if "digital silence" in r] == [
        "sound track 1 is digital silence; track 2 has sound: --audio-track 2"
    ]
    alone = made(tmp_path / "quiet.mkv", sources=(BLUE, SILENCE))
    assert remarks(Played(alone)) == []


@needs_ffmpeg
def test_picture_and_sound_of_one_programme(tmp_path: Path) -> None:
    path = tmp_path / "programmes.ts"
    given = ("-program", "program_num=1:st=0:st=2", "-program", "program_num=2:st=1:st=3")
    made(path, *given, sources=(GREEN, BLUE, LOW, TONE))
    belongs = {"green": 0.2, "blue": 0.5}
    for track in (None, 1, 2):
        played = Played(path, video_track=track)
        assert level(played) == pytest.approx(belongs[colour(played)], abs=0.06)
        assert track is None or colour(played) == ("green", "blue")[track - 1]


@needs_ffmpeg
def test_a_cover_is_no_picture_track(tmp_path: Path) -> None:
    cover = tmp_path / "cover.png"
    still = ["-f", "lavfi", "-i", "color=red:s=640x480", "-frames:v", "1"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *still, str(cover)], check=True, timeout=60)
    plain = made(tmp_path / "plain.mp4", sources=(BLUE, TONE))
    path = tmp_path / "covered.mp4"
    order = ["-i", str(cover), "-i", str(plain), "-map", "0", "-map", "1", "-c", "copy"]
    command = ["ffmpeg", "-v", "error", "-y", *order, "-disposition:v:0", "attached_pic", str(path)]
    subprocess.run(command, check=True, timeout=60)
    assert colour(Played(path)) == "blue"


@needs_ffmpeg
def test_a_sound_codec_that_nobody_decodes_is_counted(tmp_path: Path) -> None:
    path = made(tmp_path / "known.mkv", "-c:a", "libopus", sources=(BLUE, TONE))
    path.write_bytes(path.read_bytes().replace(b"A_OPUS", b"A_XQUS"))
    played = Played(path)
    assert len(played.frames) == 48
    assert played.totals.audio.undecodable_s == pytest.approx(3.0, abs=0.1)
    assert list(played.totals.lost) == ["audio"]
