"""`avel extract`: the live path's features in AVE's layout; broken files, kills and zip files."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
import zipfile

import h5py
import numpy as np
import pytest
from avel_live.model.profiles import get_profile
from avel_live.model.training.ave import AveData
from avel_live.model.training.folder import FolderData, read_index
from avel_live.realtime.commands import main
from avel_live.realtime.commands.extract import run as extraction
from avel_live.realtime.core.errors import OutputError, SourceError, UsageError
from support.media import make_clip, truncated, without_pictures

LITE = extraction.Options(profile="lite")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A short clip, one without sound, a long one, one cut off in the middle, one that is no video."""
    folder = tmp_path_factory.mktemp("videos")
    make_clip(folder / "beep.mp4", seconds=2, fps=8)
    make_clip(folder / "mute.mp4", seconds=1, fps=8, audio=False)
    (folder / "deep").mkdir()
    make_clip(folder / "deep/long.mkv", seconds=11, fps=2)
    (folder / "broken.mp4").write_bytes(b"this is no video" * 100)
    (folder / "notes.txt").write_text("not a video either")
    return folder


@pytest.fixture(scope="module")
def extracted(videos, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return out, extraction.extract([videos], out, LITE)


def load(out):
    with (
        h5py.File(out / "visual_feature.h5") as v,
        h5py.File(out / "audio_feature.h5") as a,
        h5py.File(out / "masks.h5") as m,
    ):
        return v["avadataset"][()], a["avadataset"][()], m["visual"][()], m["audio"][()]


def test_rows_masks_and_index(extracted):
    out, summary = extracted
    visual, audio, seen, heard = load(out)
    index = read_index(out / "index.csv")
    assert [(w.file, w.first, w.seconds) for w in index] == [
        ("beep.mp4", 0, 2),
        ("broken.mp4", 0, 0),
        ("deep/long.mkv", 0, 10),
        ("deep/long.mkv", 10, 1),
        ("mute.mp4", 0, 1),
    ]
    profile = get_profile("lite")
    assert visual.shape == (5, 10, 7, 7, profile.visual.dim)
    assert audio.shape == (5, 10, profile.audio.dim)
    assert seen.sum(1).tolist() == [2, 0, 10, 1, 1]
    assert heard.sum(1).tolist() == [2, 0, 10, 1, 0]
    for row in range(5):
        assert (visual[row][~seen[row]] == 0).all()
        assert (np.abs(visual[row][seen[row]]).sum(axis=(1, 2, 3)) > 0).all()
    assert summary.rows == 5
    assert list(summary.broken) == ["broken.mp4"]
    with (out / "broken.csv").open() as file:
        assert [r["file"] for r in csv.DictReader(file)] == ["broken.mp4"]


def test_the_index_says_what_of_a_row_was_lost(videos, extracted, tmp_path):
    with (extracted[0] / "index.csv").open() as file:
        assert {(r["video_lost_s"], r["audio_lost_s"]) for r in csv.DictReader(file)} == {("0.0", "0.0")}
    assert extracted[1].incomplete == 0
    whole = make_clip(tmp_path / "clip.avi", seconds=3, fps=25)
    without_pictures(whole, tmp_path / "holes.avi", 24, 59)
    summary = extraction.extract([tmp_path / "holes.avi"], tmp_path / "out", LITE)
    assert summary.incomplete == 1
    with (tmp_path / "out" / "index.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["video_lost_s"]) == pytest.approx(36 / 25, abs=0.09)
    assert float(row["audio_lost_s"]) == 0.0


def test_features_are_those_of_the_live_path(videos, extracted):
    from avel_live.model.runtime.base import EngineOptions
    from avel_live.model.runtime.select import load_engine
    from avel_live.realtime.core.clock import ManualClock
    from avel_live.realtime.core.messages import ClosedSegment, EndOfStream
    from avel_live.realtime.sources.replay import Replay, ReplayOptions
    from avel_live.realtime.stream.cutter import Cutter
    from avel_live.realtime.stream.features import FeatureBuilder

    engine = load_engine(EngineOptions("lite", backend="torch", precision="fp32"))
    source = Replay(videos / "beep.mp4", ManualClock(), ReplayOptions(speed=None))
    source.open()
    cutter, closed = Cutter(live=False), []
    while True:
        item = source.read(1.0)
        cuts = cutter.finish(item.t_ns) if isinstance(item, EndOfStream) else cutter.push(item)
        closed += [c.segment for c in cuts if isinstance(c, ClosedSegment)]
        if isinstance(item, EndOfStream):
            break
    source.close()
    visual, audio, _, _ = load(extracted[0])
    for segment in closed[:2]:
        live = FeatureBuilder(engine).finish(segment)
        scale = np.abs(live.visual).max()
        assert np.abs(live.visual - visual[0, segment.index]).max() < 1e-4 * scale
        assert np.allclose(live.audio, audio[0, segment.index], atol=1e-4)


def test_going_on_does_nothing_twice(videos, extracted):
    out, _ = extracted
    before = {p.name: p.stat().st_mtime_ns for p in out.glob("*.h5")}
    seen = []
    summary = extraction.extract([videos], out, LITE, on_row=lambda r, *_: seen.append(r.row))
    assert seen == []
    assert summary.before == 5
    again = extraction.extract([videos], out, LITE, retry=True, on_row=lambda r, *_: seen.append(r.row))
    assert seen == [1]
    assert list(again.broken) == ["broken.mp4"]
    assert before.keys() == {p.name for p in out.glob("*.h5")}


def test_other_features_and_other_videos_are_refused(videos, extracted, tmp_path):
    out, _ = extracted
    with pytest.raises(OutputError, match="holds features of other profile"):
        extraction.extract([videos], out, extraction.Options(profile="paper"))
    with pytest.raises(OutputError, match="holds features of other rows"):
        extraction.extract([videos / "beep.mp4"], out, LITE)
    with pytest.raises(SourceError, match="no such file or folder"):
        extraction.extract([tmp_path / "none"], out, LITE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no videos in it"):
        extraction.extract([tmp_path / "empty"], out, LITE)
    with pytest.raises(UsageError, match="one folder or zip"):
        extraction.find_jobs([videos, videos], tmp_path / "Annotations.txt")


def test_features_can_be_trained_on(extracted):
    out, _ = extracted
    (out / "labels.csv").write_text(
        "file,start,end,label,split\nbeep.mp4,0,2,Beep,train\ndeep/long.mkv,3,5,Beep,val\nmute.mp4,,,background,test\n"
    )
    data = FolderData(out, out / "labels.csv")
    assert data.profile == "lite"
    profile = get_profile("lite")
    assert (data.visual_dim, data.audio_dim, data.grid) == (profile.visual.dim, profile.audio.dim, 7)
    assert data.target[2].tolist() == [1, 1, 1, 0, 0, 1, 1, 1, 1, 1]


ANNOTATIONS = "Bark&beep&good&0&2\nTruck&absent&good&0&1\nCat&beep&good&1&2\n"


def ave_zip(videos, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("AVE_Dataset/Annotations.txt", ANNOTATIONS)
        z.write(videos / "beep.mp4", "AVE_Dataset/AVE/beep.mp4")
    return path


def test_aves_zip_gives_a_row_for_each_annotation(videos, tmp_path):
    """One video with two events has two rows; a video that is not there is listed."""
    archive = ave_zip(videos, tmp_path / "AVE_Dataset.zip")
    out = tmp_path / "out"
    summary = extraction.extract([archive], out, LITE)
    assert summary.rows == 3
    assert list(summary.broken) == ["absent"]
    visual, _, seen, _ = load(out)
    assert np.array_equal(visual[0], visual[2])
    assert seen.sum(1).tolist() == [2, 0, 2]
    (out / "Annotations.txt").write_text(ANNOTATIONS)
    for name, row in (("train", 0), ("val", 1), ("test", 2)):
        with h5py.File(out / f"{name}_order.h5", "w") as file:
            file["order"] = [row]
    assert AveData(out).profile == "lite"
    archive.write_bytes(archive.read_bytes()[:200])
    with pytest.raises(SourceError, match="not a zip file, or damaged"):
        extraction.extract([archive], tmp_path / "other", LITE)


def test_workers_give_the_same_features(videos, extracted, tmp_path):
    extraction.extract([videos], tmp_path, extraction.Options(profile="lite", workers=2))
    for one, many in zip(load(extracted[0]), load(tmp_path), strict=True):
        assert np.allclose(one, many, atol=1e-5)


def test_killed_and_gone_on(videos, extracted, tmp_path):
    """Killed while rows are being written: what the journal says is in the files, the rest follows."""
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-c",
        "from avel_live.realtime.commands import main; main()",
        "extract",
        str(videos),
        "--out",
        str(out),
        "--profile",
        "lite",
    ]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        journal = out / "journal.jsonl"
        while not (journal.exists() and journal.read_text().count("\n") >= 2):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    done = [json.loads(line)["row"] for line in journal.read_text().splitlines() if line.endswith("}")]
    assert 2 <= len(done) < 5
    with journal.open("a") as file:
        file.write('{"row": 4, "fi')  # a kill in the middle of a line
    whole = load(extracted[0])
    part = load(out)
    for row in done:
        assert np.allclose(part[0][row], whole[0][row], atol=1e-5)
    seen = []
    extraction.extract([videos], out, LITE, on_row=lambda r, *_: seen.append(r.row))
    assert sorted(seen + done) == [0, 1, 2, 3, 4]
    for got, want in zip(load(out), whole, strict=True):
        assert np.allclose(got, want, atol=1e-5)


def test_a_video_cut_off_gives_what_there_is(videos, tmp_path):
    clips = tmp_path / "clips"
    clips.mkdir()
    whole = make_clip(tmp_path / "whole.ts", seconds=4, fps=4)
    truncated(whole, clips / "half.ts", 0.5)
    summary = extraction.extract([clips], tmp_path / "out", LITE)
    assert not summary.broken
    assert 1 <= load(tmp_path / "out")[2].sum() <= 3


def test_the_command_says_what_it_did(videos, extracted, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["extract", str(videos), "--out", str(extracted[0]), "--profile", "lite"])
    assert stopped.value.code == 0
    said = capsys.readouterr().err
    assert "5 rows" in said
    assert "1 videos are broken" in said
    with pytest.raises(SystemExit) as stopped:
        main(["extract", str(videos), "--out", str(extracted[0]), "--profile", "light"])
    assert stopped.value.code == 4
    assert "did you mean lite" in capsys.readouterr().err
