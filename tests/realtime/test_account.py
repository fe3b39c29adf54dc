"""What was in the input and did not reach the networks is counted, per track, in seconds, and said."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from avel_live.realtime.commands import live_main, main
from avel_live.realtime.core.clock import NS_PER_S, ManualClock
from avel_live.realtime.core.messages import EndOfStream, Status, TimedAudio, TimedFrame, Totals, TrackTotals
from avel_live.realtime.sources.account import Account
from avel_live.realtime.sources.buffers import BufferOptions, LiveBuffer
from avel_live.realtime.sources.replay import Replay, ReplayOptions
from support.media import make_clip, needs_ffmpeg, without_pictures


def account_of(path: Path, **options: object) -> Totals:
    """Of a recording, read to its end."""
    source = Replay(path, ManualClock(), ReplayOptions(**{"speed": None, **options}))  # type: ignore[arg-type]
    source.open()
    while not isinstance(source.read(1.0), EndOfStream):
        pass
    source.close()
    return source.account.totals()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".avi", ".ts", ".mov", ".wav", ".mp3", ".m4a"])
def test_a_whole_recording_loses_nothing(suffix: str, tmp_path: Path) -> None:
    totals = account_of(make_clip(tmp_path / f"clip{suffix}", seconds=3.0, rate=48_000))
    assert totals.lost == {}
    has_video = suffix not in (".wav", ".mp3", ".m4a")
    assert totals.video.delivered_s == pytest.approx(3.0 if has_video else 0.0, abs=0.05)
    assert totals.audio.delivered_s == pytest.approx(3.0, abs=0.1)
    assert totals.video.lost_s == pytest.approx(0.0, abs=0.02)
    assert totals.audio.lost_s == pytest.approx(0.0, abs=0.03)


def test_pictures_that_cannot_be_decoded_are_counted_in_seconds(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "clip.avi", seconds=4.0)
    totals = account_of(without_pictures(whole, tmp_path / "holes.avi", 48, 71))
    assert totals.video.undecodable_s == pytest.approx(24 / 25, abs=0.09)
    assert totals.video.delivered_s == pytest.approx(4.0 - 24 / 25, abs=0.09)
    assert list(totals.lost) == ["video"]


def test_one_percent_is_the_limit_and_rounding_is_no_loss() -> None:
    assert Totals(TrackTotals(99.0, by_stamp_s=1.0)).lost == {}
    assert list(Totals(TrackTotals(98.9, late_s=1.1)).lost) == ["video"]
    assert Totals(audio=TrackTotals(1.0, by_stamp_s=0.04)).lost == {}  # 4 %, but 40 ms
    assert TrackTotals(5.0, 1.0, 2.0, 3.0, 100.0).lost_s == 6.0
    assert TrackTotals().share == 0.0


def test_what_a_live_buffer_drops_is_late() -> None:
    clock, account = ManualClock(), Account()
    buffer = LiveBuffer(clock, BufferOptions(max_frames=5, max_audio_s=1.0), account)
    image = np.zeros((224, 224, 3), np.uint8)
    for k in range(15):
        buffer.put(TimedFrame(k * NS_PER_S // 10, image))
        buffer.put(TimedAudio(k * 1600, np.zeros(1600, np.float32)))
    for _ in range(15):
        buffer.get(0.0)
    totals = account.totals()
    assert totals.video.late_s == pytest.approx(1.0, abs=0.11)
    assert totals.video.delivered_s == pytest.approx(0.5, abs=0.11)
    assert (totals.audio.late_s, totals.audio.delivered_s) == pytest.approx((0.5, 1.0))
    account.audio.came_late(NS_PER_S // 4)
    assert (account.totals().audio.late_s, account.totals().audio.delivered_s) == pytest.approx((0.75, 0.75))


@needs_ffmpeg
def test_the_end_record_says_what_is_lost_and_strict_makes_it_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = make_clip(tmp_path / "clip.avi", seconds=3.0)
    path = without_pictures(whole, tmp_path / "holes.avi", 24, 59)
    given = ["--file", str(path), "--fast", "--json", "--frames", "2", "--strict"]
    with pytest.raises(SystemExit) as ended:
        live_main(given)
    out, err = capsys.readouterr()
    assert ended.value.code == 3
    records = [json.loads(line) for line in out.splitlines()]
    end = records[-1]
    assert end["type"] == "end"
    assert end["lost"]["video"]["seconds"] == pytest.approx(36 / 25, abs=0.09)
    assert end["lost"]["video"]["share"] == pytest.approx(0.48, abs=0.03)
    assert "audio" not in end["lost"]
    assert end["tracks"]["audio"]["delivered_s"] == pytest.approx(3.0, abs=0.05)
    said = [r for r in records if r["type"] == "status" and r["state"] == "incomplete"]
    assert len(said) == 1
    assert "of 3.0 s of video" in said[0]["reason"]
    assert "--strict" in err


@needs_ffmpeg
def test_the_table_of_a_batch_says_what_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    whole = make_clip(folder / "a.avi", seconds=3.0)
    without_pictures(whole, folder / "b.avi", 24, 59)
    given = ["localize", str(folder), "-o", str(out), "--frames", "2", "--jobs", "1"]
    with pytest.raises(SystemExit) as ended:
        main(given)
    assert ended.value.code == 0
    assert "warning: b.avi: " in capsys.readouterr().err
    with (out / "index.csv").open(newline="") as file:
        rows = {row["recording"]: row for row in csv.DictReader(file)}
    assert [rows[name]["incomplete"] for name in ("a.avi", "b.avi")] == ["0", "1"]
    assert float(rows["b.avi"]["video_lost_s"]) == pytest.approx(36 / 25, abs=0.09)
    assert "of 3.0 s of video" in rows["b.avi"]["remarks"]
    assert "of 3.0 s of video" in (out / "b.avi.html").read_text()
    record = json.loads((out / "b.avi.json").read_text())
    assert list(record["lost"]) == ["video"]
    with pytest.raises(SystemExit) as ended:  # everything is done already, and still incomplete
        main([*given, "--strict"])
    assert ended.value.code == 3


def test_a_status_of_it_is_a_warning() -> None:
    assert Status("stream", "incomplete", "", 0).severity == "warning"
