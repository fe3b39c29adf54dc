"""Codecs and containers with habits of their own: every picture is seen, at its time."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from avel_live.realtime.core.clock import NS_PER_S
from avel_live.realtime.core.messages import Status
from support.media import needs_ffmpeg
from support.played import Played

pytestmark = needs_ffmpeg

FLASHING = (
    "color=c=navy:s=160x120:r={rate}:d=6,drawbox=t=fill:color=white:enable='between(mod(t,1),0.499,0.599)'"
)
BEEPING = "aevalsrc='0.5*sin(2*PI*1000*t)*between(mod(t,1),0.5,0.6)':s=48000:d=6"


def ffmpeg(path: Path, *args: str, rate: str = "25", sound: bool = True) -> Path:
    """Flash and beep at half past every second, 6 s of them, through these encoders."""
    sources = ["-f", "lavfi", "-i", FLASHING.format(rate=rate)]
    sources += ["-f", "lavfi", "-i", BEEPING] if sound else []
    command = ["ffmpeg", "-v", "error", "-y", *sources, *args, "-pix_fmt", "yuv420p", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


AVI = {
    "H.264 with B-frames": ["-c:v", "libx264", "-bf", "2", "-preset", "fast"],
    "H.264 with a pyramid of B-frames": [
        "-c:v",
        "libx264",
        "-bf",
        "5",
        "-b_strategy",
        "2",
        "-preset",
        "fast",
    ],
    "MPEG-4 with B-frames": ["-c:v", "mpeg4", "-bf", "2", "-q:v", "3"],
    "MPEG-4 with packed B-frames": ["-c:v", "mpeg4", "-bf", "2", "-q:v", "3", "-vtag", "DX50"],
    "MPEG-2": ["-c:v", "mpeg2video", "-bf", "2"],
    "Motion JPEG": ["-c:v", "mjpeg"],
}


@pytest.mark.parametrize("codec", AVI)
def test_pictures_of_an_avi_are_all_there_and_in_step(codec: str, tmp_path: Path) -> None:
    played = Played(ffmpeg(tmp_path / "clip.avi", *AVI[codec], "-c:a", "pcm_s16le"), originals=True)
    assert len(played.frames) == 150
    assert played.flashes() == pytest.approx([k + 0.52 for k in range(6)], abs=0.021)
    assert played.beeps() == pytest.approx([k + 0.5 for k in range(6)], abs=0.012)
    assert played.said == []


@pytest.mark.parametrize("codec", ["H.264 with B-frames", "MPEG-4 with B-frames"])
def test_so_are_they_from_a_later_second_on(codec: str, tmp_path: Path) -> None:
    avi = ffmpeg(tmp_path / "clip.avi", *AVI[codec], "-g", "25", "-c:a", "pcm_s16le")
    played = Played(avi, originals=True, start_s=3.2)
    assert played.flashes() == pytest.approx([0.32, 1.32, 2.32], abs=0.021)
    assert played.beeps() == pytest.approx([0.3, 1.3, 2.3], abs=0.012)


@pytest.mark.parametrize("suffix", ["h264", "hevc"])
@pytest.mark.parametrize("rate", ["30000/1001", "12"])
def test_a_bare_stream_plays_at_the_speed_that_its_codec_states(
    suffix: str, rate: str, tmp_path: Path
) -> None:
    encoder = {"h264": "libx264", "hevc": "libx265"}[suffix]
    bare = ffmpeg(
        tmp_path / f"clip.{suffix}", "-c:v", encoder, "-preset", "ultrafast", rate=rate, sound=False
    )
    played = Played(bare, originals=True)
    assert played.end_s == pytest.approx(6.0, abs=0.1)
    assert played.flashes() == pytest.approx([k + 0.55 for k in range(6)], abs=0.06)


def test_a_theora_packet_without_content_is_the_same_picture_again(tmp_path: Path) -> None:
    """Nothing moves for five seconds: its encoder writes empty packets, and the picture is still on show."""
    path = tmp_path / "still.ogv"
    still = "color=c=navy:s=160x120:r=25:d=6,drawbox=t=fill:color=white:enable='gte(t,5.499)'"
    sources = ["-f", "lavfi", "-i", still, "-f", "lavfi", "-i", BEEPING]
    command = ["ffmpeg", "-v", "error", *sources, "-c:v", "libtheora", "-c:a", "libvorbis", str(path)]
    subprocess.run(command, check=True, timeout=60)
    played = Played(path)
    per_second = np.bincount([f.t_ns // NS_PER_S for f in played.frames], minlength=6)
    assert per_second[:5].tolist() == [16] * 5  # the encoder itself drops a few at the end
    assert per_second[5] >= 8
    assert played.flashes() == pytest.approx([5.5], abs=0.07)
    assert played.end_s == pytest.approx(6.0, abs=0.05)
    assert played.said == []


def test_a_sound_codec_that_nobody_decodes_is_said_and_the_picture_plays(tmp_path: Path) -> None:
    whole = ffmpeg(tmp_path / "known.mkv", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "libopus")
    unknown = tmp_path / "unknown.mkv"
    unknown.write_bytes(whole.read_bytes().replace(b"A_OPUS", b"A_XQUS"))
    played = Played(unknown)
    assert len(played.flashes()) == 6
    assert played.blocks == []
    assert isinstance(played.items[0], Status)
    assert "the sound" in played.items[0].reason
    assert "only the picture" in played.items[0].reason
    assert played.items[0].severity == "warning"
