"""`avel teach`, end to end on recordings made here: taught, listed, heard live, handed on, refused."""

from __future__ import annotations

import json
import time
from pathlib import Path

import avel_live
import pytest
from avel_live.realtime.commands import live_main
from avel_live.realtime.commands.teach.examples import read_examples
from avel_live.realtime.core.errors import SourceError, UsageError
from support.called import avel
from support.taught import day, noise, recording, ring_clip, ringing, sign, wall


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five clips of a ringing bell, a day with one, and its quiet."""
    folder = tmp_path_factory.mktemp("ring")
    for k in range(5):
        ring_clip(folder / f"ring{k}.mkv", k)
    day(folder / "day.avi")
    recording(folder / "quiet.avi", *((noise(5, -50, 40 + k), wall(40 + k)) for k in range(5)))
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Path:
    """A user's data folder in which `Ring` is taught."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVEL_DATA_DIR", str(folder))
        patch.chdir(clips)
        began = time.process_time()
        assert avel("teach", "Ring", *sorted(clips.glob("ring?.mkv"))) == 0
        assert time.process_time() - began < 60
    return folder


@pytest.fixture
def _at_home(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, handlers: None) -> None:
    monkeypatch.setenv("AVEL_DATA_DIR", str(home))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, handlers: None) -> None:
    monkeypatch.setenv("AVEL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def listened(capsys: pytest.CaptureFixture[str], *words: object) -> list[dict[str, object]]:
    capsys.readouterr()
    assert avel(*words, "--fast", "--json", entry=live_main) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.usefixtures("_at_home")
def test_a_taught_class_is_named_live_and_only_where_it_happens(
    clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = listened(capsys, "--file", clips / "day.avi")
    assert records[0]["labels"][-2:] == ["Ring", "background"]  # type: ignore[index]
    events = [r for r in records if r["type"] == "event" and r["event"] == "end"]
    assert [(e["label"], e["start_s"], e["end_s"]) for e in events] == [("Ring", 3.0, 6.0)]
    quiet = listened(capsys, "--file", clips / "quiet.avi")
    assert not [r for r in quiet if r["type"] == "event"]
    chosen = listened(capsys, "--file", clips / "day.avi", "--taught", "none")
    assert "Ring" not in chosen[0]["labels"]  # type: ignore[operator]


def plain(record: dict[str, object]) -> dict[str, object]:
    left_out = ("latency_ms", "real_time_factor", "skipped", "dropped", "labels")
    return {name: value for name, value in record.items() if name not in left_out}


@pytest.mark.usefixtures("_at_home")
def test_what_the_shipped_classes_say_is_the_same_beside_one_that_is_silent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    beside, alone = listened(capsys, "--demo"), listened(capsys, "--demo", "--taught", "none")
    assert len(alone) > 40
    assert [plain(record) for record in beside] == [plain(record) for record in alone]


@pytest.mark.usefixtures("_at_home")
def test_the_library_knows_it(clips: Path) -> None:
    with avel_live.open(clips / "day.avi", taught=["ring"]) as stream:
        assert stream.start.labels[-2] == "Ring"
        assert {event.name for event in stream.events(final=True)} == {"Ring"}
    with pytest.raises(avel_live.ModelFileError, match="--taught 'Rong': no such class; taught are: Ring"):
        avel_live.open(clips / "day.avi", taught=["Rong"])


@pytest.mark.usefixtures("_at_home")
def test_it_is_listed_tried_renamed_handed_on_and_removed(
    clips: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ring.avel-class"
    assert avel("teach", "export", "ring", file) == 0
    assert file.stat().st_size < 300_000
    monkeypatch.setenv("AVEL_DATA_DIR", str(tmp_path / "other"))
    assert avel("teach", "import", file) == 0
    assert avel("teach", "import", file) == 0, "the same one once more is the same"
    capsys.readouterr()
    assert avel("teach", "list", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["mode"], row["profile"], len(row["examples"])) == ("Ring", "both", "lite", 5)
    assert avel("teach", "rename", "RING", "Our bell") == 0
    capsys.readouterr()
    assert avel("teach", "show", "our bell", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["name"], shown["id"]) == ("Our bell", row["id"])
    assert avel("teach", "test", row["id"], clips / "day.avi", "--json") == 0
    confidence = json.loads(capsys.readouterr().out)["confidence"]
    assert [p >= 0.5 for p in confidence] == [False] * 3 + [True] * 3 + [False] * 3
    assert avel("teach", "remove", "Our bell") == 0
    assert avel("teach", "show", "Our bell") == 4
    assert "none is taught yet" in capsys.readouterr().err


@pytest.mark.usefixtures("_elsewhere")
def test_stretches_of_a_recording_are_examples_and_the_rest_is_background(
    clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = [
        part for k in range(4) for part in ((noise(3, -50, k), wall(k)), (ringing(2, 1 + k / 99), sign(k)))
    ]
    recording(Path("long.avi"), *long)
    lines = "file,start,end\n" + "".join(f"long.avi,{3 + 5 * k},{5 + 5 * k}\n" for k in range(4))
    Path("events.csv").write_text(lines)
    assert avel("teach", "bell", "events.csv", "--heard", "--json", "--dry-run") == 0
    said = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in said["examples"]][:2] == ["long.avi 3–5 s", "long.avi 8–10 s"]
    assert said["own_apart"]["audio"] > 0.9
    assert said["recall"]["estimate"] > 0.5
    assert avel("teach", "list") == 0
    assert "no class is taught yet" in capsys.readouterr().out


@pytest.mark.usefixtures("_elsewhere")
def test_what_can_not_work_is_refused_in_one_line(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rings = sorted(clips.glob("ring?.mkv"))

    def refused(code: int, *words: object) -> str:
        capsys.readouterr()
        assert avel("teach", *words) == code
        err = capsys.readouterr().err.strip().splitlines()
        assert len(err) == 1
        return err[0]

    assert "1 example: 3 are the least" in refused(2, "x", rings[0])
    assert "--heard and --seen exclude each other" in refused(2, "x", *rings, "--heard", "--seen")
    assert "'bark' is a class that it knows already" in refused(2, "bark", *rings)
    assert "nowhere.mp4: no such file" in refused(3, "x", "nowhere.mp4", *rings)
    assert "expected something like 1/hour" in refused(2, "x", *rings, "--max-false-alarms", "few")
    recording(Path("mute.mkv"), (noise(2, -120, 0), sign(0)))
    assert "mute.mkv: silent; leave it out, or teach what is seen alone" in refused(
        3, "x", "mute.mkv", *rings
    )
    recording(Path("blind.wav"), (ringing(2), None))
    assert "blind.wav: no picture; leave it out" in refused(3, "x", "blind.wav", *rings)
    quiet = [recording(Path(f"q{k}.mkv"), (noise(2, -50, k), wall(k))) for k in range(4)]
    beside = ("--background", clips / "quiet.avi")
    assert "like background" in refused(2, "nothing", *quiet, *beside)
    Path("bad.csv").write_text("ring0.mkv,5,3\n")
    assert "bad.csv, line 1: expected start and end in seconds" in refused(2, "x", "bad.csv")
    assert avel("teach", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.usefixtures("_elsewhere")
def test_a_damaged_class_stops_a_stream_with_one_line(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source,) = (home / "taught").iterdir()
    folder = tmp_path / "data" / "taught"
    folder.mkdir(parents=True)
    (folder / source.name).write_bytes(source.read_bytes()[:-9])
    assert avel("--demo", "--fast", "--json", entry=live_main) == 4
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "damaged" in line
    assert "avel teach remove" in line
    assert avel("teach", "list") == 0
    assert "damaged" in capsys.readouterr().out
    assert avel("teach", "remove", source.stem) == 0
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("_elsewhere")
def test_a_class_is_defined_by_what_the_networks_know(
    clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert avel("concepts", "sheep", "--json") == 0
    assert {row["set"] for row in json.loads(capsys.readouterr().out)} == {"AudioSet", "ImageNet"}
    words = ("--define", "--hears", "Sheep, Bleat", "--sees", "ram")
    assert avel("teach", "sheep", *words) == 0
    assert "five examples usually tell it better" in capsys.readouterr().out
    assert avel("teach", "sheep", *words) == 2
    assert "--replace teaches it anew" in capsys.readouterr().err
    quiet = listened(capsys, "--file", clips / "quiet.avi")
    assert quiet[0]["labels"][-2] == "sheep"  # type: ignore[index]
    assert not [r for r in quiet if r["type"] == "event"]
    assert avel("teach", "x", "--define", "--hears", "Shep") == 4
    assert "did you mean sheep" in capsys.readouterr().err
    assert avel("teach", "x", "--define") == 2


def test_lists_may_be_tabbed_and_name_files_beside_them(tmp_path: Path) -> None:
    (tmp_path / "a b.mkv").write_bytes(b"")
    (tmp_path / "one.tsv").write_text("# mine\na b.mkv\t1\t2.5\n\na b.mkv\t1\t2.5\n")
    (found,), _ = read_examples([str(tmp_path / "one.tsv")])
    assert (found.file, found.span, found.name) == (tmp_path / "a b.mkv", (1.0, 2.5), "a b.mkv 1–2.5 s")


def test_a_label_file_gives_the_stretches_of_one_label(tmp_path: Path) -> None:
    for name in ("tom.mp4", "rex.mp4"):
        (tmp_path / name).write_bytes(b"")
    segments = [{"segment": [k, k + 0.5], "label": "door_bell"} for k in range(3)]
    base = {
        "tom": {"annotations": [*segments, {"segment": [1, 9], "label": "cat"}]},
        "rex": {"annotations": [{"segment": [4, 6], "label": "Door bell"}]},
        "gone": {"annotations": [{"segment": [4, 6], "label": "door bell"}]},
    }
    path = tmp_path / "unav.json"
    path.write_text(json.dumps({"database": base}))
    found, notes = read_examples([str(path)], "Door bell")
    assert [(e.file.name, e.span) for e in found] == [
        *(("tom.mp4", (k, k + 0.5)) for k in range(3)),
        ("rex.mp4", (4.0, 6.0)),
    ]
    assert notes == ["unav.json: 1 recordings are not beside it and left out: gone …"]
    with pytest.raises(
        UsageError, match=r"nothing in it is labelled 'bell'; give --label, one of: door_bell"
    ):
        read_examples([str(path)], "bell")
    base["tom"]["annotations"] = [{"segment": [k, k + 0.5], "label": "door bell"} for k in range(90)]
    path.write_text(json.dumps({"database": base}))
    found, notes = read_examples([str(path)], "door bell")
    assert (len(found), found[1].file.name) == (50, "rex.mp4")
    assert "50 of 91 stretches are taken" in notes[-1]
    (tmp_path / "own.csv").write_text("file,start,end,label\ntom.mp4,1,2,bell\ntom.mp4,4,5,cat\n")
    assert [e.span for e in read_examples([str(tmp_path / "own.csv")], "Bell")[0]] == [(1.0, 2.0)]
    (tmp_path / "own.csv").write_text("file,start,end,label\ntom.mp3,1,2,bell\n")
    with pytest.raises(SourceError, match=r"tom\.mp3: no such file; did you mean tom\.mp4"):
        read_examples([str(tmp_path / "own.csv")], "bell")
    (tmp_path / "tom.txt").write_text("1.0\t2.0\tbell\n")
    (heard,) = read_examples([str(tmp_path / "tom.txt")], "bell")[0]
    assert (heard.file.name, heard.span) == ("tom.mp4", (1.0, 2.0))
