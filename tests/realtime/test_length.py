"""The length of a recording is what can be decoded, whatever its header says; and nothing is called damaged
or truncated without proof.
"""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest
from avel_live.realtime.commands.extract.jobs import find_jobs
from avel_live.realtime.core.clock import ManualClock
from avel_live.realtime.recordings.progress import length_s
from avel_live.realtime.sources.cutshort import missing_bytes
from avel_live.realtime.sources.replay import Replay, ReplayOptions
from support.media import make_clip, needs_ffmpeg, truncated
from support.played import Played

SECONDS = 13.0


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    return make_clip(folder / "clip.mp4", seconds=SECONDS, fps=10, size=(64, 48), rate=48_000)


def piped(source: Path, target: Path, *given: str) -> Path:
    """Written into a pipe, as browsers and recorders do: the header can't be completed afterwards."""
    command = ["ffmpeg", "-v", "error", "-i", str(source), *given, "pipe:1"]
    with target.open("wb") as out:
        subprocess.run(command, check=True, stdout=out, timeout=60)
    return target


def measured(path: Path) -> float:
    source = Replay(path, ManualClock(), ReplayOptions(speed=None))
    try:
        return source.measure_s()
    finally:
        source.close()


WRITTEN = {
    "browser.webm": ("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus", "-f", "webm"),
    "piped.mkv": ("-c", "copy", "-f", "matroska"),
    "piped.wav": ("-vn", "-c:a", "pcm_s16le", "-f", "wav"),
    "piped.flv": ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-f", "flv"),
    "fragments.mp4": ("-c", "copy", "-movflags", "frag_keyframe+empty_moov+default_base_moof", "-f", "mp4"),
    "sound.aac": ("-vn", "-c:a", "copy", "-f", "adts"),
    "camcorder.MTS": ("-c", "copy", "-f", "mpegts"),
}


@needs_ffmpeg
@pytest.mark.parametrize("name", WRITTEN)
def test_length_is_what_is_decoded_and_nothing_is_called_broken(
    name: str, clip: Path, tmp_path: Path
) -> None:
    path = piped(clip, tmp_path / name, *WRITTEN[name])
    assert measured(path) == pytest.approx(SECONDS, abs=0.2)
    played = Played(path)
    assert played.end_s == pytest.approx(SECONDS, abs=0.2)
    assert played.said == []
    assert [job.first_s for job in find_jobs([path])] == [0, 10]


def test_a_length_beyond_everything_is_no_proof(tmp_path: Path) -> None:
    path = tmp_path / "damaged.mkv"
    path.write_bytes(b"\x1a\x45\xdf\xa3\x01" + b"\xfe" * 7 + bytes(100))
    assert missing_bytes(path) == 0


@needs_ffmpeg
def test_a_length_that_is_guessed_from_the_first_packets_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "loud_then_silent.aac"
    noise = "aevalsrc='if(lt(t,1),random(0)-0.5,0)':s=48000:d=12"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", noise, "-c:a", "aac", str(path)],
        check=True,
        timeout=60,
    )
    guessed = length_s(path)
    assert guessed is not None
    assert guessed < 6.0  # ADTS has no header of the whole: FFmpeg divides the size by the bit rate
    assert measured(path) == pytest.approx(12.0, abs=0.1)
    assert [job.first_s for job in find_jobs([path])] == [0, 10]


@needs_ffmpeg
def test_segments_whose_header_has_the_end_for_the_duration(clip: Path, tmp_path: Path) -> None:
    command = ["ffmpeg", "-v", "error", "-i", str(clip), "-c", "copy", "-f", "segment", "-segment_time", "6"]
    subprocess.run([*command, str(tmp_path / "part%d.mkv")], check=True, timeout=60)
    parts = sorted(tmp_path.glob("part*.mkv"))
    assert len(parts) > 1
    lengths = [Played(part).end_s for part in parts]
    assert sum(lengths) == pytest.approx(SECONDS, abs=0.3)
    for part, length in zip(parts, lengths, strict=True):
        assert measured(part) == pytest.approx(length, abs=0.05)
        assert len(find_jobs([part])) == 1
        assert Played(part).said == []


def test_a_zip_gives_all_of_its_recordings(clip: Path, tmp_path: Path) -> None:
    short = make_clip(tmp_path / "short.mp4", seconds=1.0, fps=10, size=(64, 48))
    archive = tmp_path / "some.zip"
    with zipfile.ZipFile(archive, "w") as z:
        z.write(clip, "a/long.mp4")
        z.write(short, "short.mp4")
        z.writestr("__MACOSX/._short.mp4", "not a video")
        z.writestr("notes.txt", "not a video either")
    said: list[str] = []
    jobs = find_jobs([archive], say=said.append)
    assert [(job.name, job.first_s) for job in jobs] == [
        ("a/long.mp4", 0),
        ("a/long.mp4", 10),
        ("short.mp4", 0),
    ]
    assert said == [f"{archive}: passed over 1 file with endings of no recording: notes.txt"]
    among = find_jobs([short, archive, clip])
    assert [(job.row, job.name, job.first_s) for job in among] == [
        (0, "short.mp4", 0),
        (1, "a/long.mp4", 0),
        (2, "a/long.mp4", 10),
        (3, "short.mp4", 0),
        (4, "clip.mp4", 0),
        (5, "clip.mp4", 10),
    ]
    assert [job.member for job in among] == [None, "a/long.mp4", "a/long.mp4", "short.mp4", None, None]


@pytest.mark.parametrize("suffix", [".mkv", ".avi", ".wav", ".mov"])
def test_missing_bytes_are_proof(suffix: str, tmp_path: Path) -> None:
    whole = make_clip(tmp_path / f"whole{suffix}", seconds=2.0, rate=48_000)
    assert missing_bytes(whole) == 0
    cut = truncated(whole, tmp_path / f"cut{suffix}", 0.6)
    gone = whole.stat().st_size - cut.stat().st_size
    # Of a MOV, the box that is cut is known, and those behind it are not.
    assert gone / 4 < missing_bytes(cut) <= gone if suffix == ".mov" else missing_bytes(cut) == gone


@needs_ffmpeg
def test_a_cut_file_says_so(clip: Path, tmp_path: Path) -> None:
    front = tmp_path / "front.mp4"
    command = ["ffmpeg", "-v", "error", "-i", str(clip), "-c", "copy", "-movflags", "faststart", str(front)]
    subprocess.run(command, check=True, timeout=60)
    played = Played(truncated(front, tmp_path / "cut.mp4", 0.5))
    assert 2.0 < played.end_s < SECONDS - 2.0
    assert "truncated" in played.said
