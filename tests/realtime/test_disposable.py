"""Pictures that no other is made from are not decoded where others are near: less work, the same account."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from avel_live.realtime.core.clock import NS_PER_S, ManualClock
from avel_live.realtime.core.messages import EndOfStream, TimedFrame
from avel_live.realtime.sources import recording
from avel_live.realtime.sources.replay import Replay, ReplayOptions

X264 = ["-c:v", "libx264", "-preset", "veryfast", "-g", "60"]
X265 = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:bframes=3"]
KINDS = {
    "b.mp4": [*X264, "-bf", "3"],
    "b.mkv": [*X264, "-bf", "3"],
    "b.ts": [*X264, "-bf", "3"],
    "long.mp4": [*X264, "-x264-params", "b-pyramid=none:bframes=16:b-adapt=0"],
    "hevc.mp4": X265,
    "hevc.ts": X265,
}


def made(folder: Path, kind: str) -> Path:
    path = folder / kind
    picture = "testsrc2=size=960x540:rate=30,eq=brightness=0.3*sin(7*t):eval=frame"
    command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "sine=500"]
    subprocess.run([*command, "-t", "4.3", *KINDS[kind], str(path)], check=True, timeout=120)
    return path


def played(path: Path, **options: object) -> tuple[list[TimedFrame], Replay, int]:
    source = Replay(path, ManualClock(), ReplayOptions(speed=None, **options))  # type: ignore[arg-type]
    source.open()
    frames = []
    while not isinstance(item := source.read(1), EndOfStream):
        if isinstance(item, TimedFrame):
            frames.append(item)
    source.close()
    return frames, source, item.t_ns


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many packets went into the decoder of pictures, by pass."""
    counts: list[int] = []
    closes = recording.Track.holes_before

    def counting(self: recording.Track, at_ns: int) -> int:
        counts.append(self.fed)
        return closes(self, at_ns)

    monkeypatch.setattr(recording.Track, "holes_before", counting)
    return counts


@pytest.mark.parametrize("kind", KINDS)
def test_a_fraction_is_decoded_and_the_second_looks_the_same(
    kind: str, tmp_path: Path, decoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(tmp_path, kind)
    few, source, end_ns = played(path, frames=4)
    spared = max(decoded)
    decoded.clear()
    monkeypatch.setattr(recording, "_BIG", 1 << 40)
    whole, reference, whole_end_ns = played(path, frames=4)
    assert max(decoded) == 129
    assert spared < (129 if kind == "long.mp4" else 100)
    assert len(few) == len(whole)
    for one, other in zip(few, whole, strict=True):
        assert one.t_ns >= other.t_ns
        assert one.t_ns * 4 // NS_PER_S == other.t_ns * 4 // NS_PER_S, "the same quarter of its second"
    assert end_ns == whole_end_ns
    assert source.account.video == reference.account.video
    assert source.account.audio == reference.account.audio


@pytest.mark.parametrize("kind", ["b.mp4", "b.ts", "hevc.mp4"])
def test_what_is_left_out_does_not_depend_on_where_reading_begins(kind: str, tmp_path: Path) -> None:
    path = made(tmp_path, kind)
    whole, _, _ = played(path, frames=4)
    later, _, _ = played(path, frames=4, start_s=3)
    expected = {f.t_ns - 3 * NS_PER_S: f.image for f in whole if f.t_ns >= 3 * NS_PER_S}
    assert {f.t_ns for f in later} == set(expected)
    for frame in later:
        assert np.array_equal(frame.image, expected[frame.t_ns])


@pytest.mark.parametrize("options", [{"frames": 16}, {"frames": 8}, {"frames": 4, "originals": True}])
def test_whoever_looks_at_more_gets_every_picture(
    options: dict[str, object], tmp_path: Path, decoded: list[int]
) -> None:
    played(made(tmp_path, "b.mp4"), **options)
    assert max(decoded) == 129
