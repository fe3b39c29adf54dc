"""`avel localize` as a person runs it: a folder with a bad file in it, again, and interrupted."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
from avel_live.realtime.commands import main
from support.media import make_clip
from support.peers import eventually


def command(*arguments: object) -> list[str]:
    code = "from avel_live.realtime.commands import main; main()"
    fixed = ["--backend", "torch", "--threads", "1", "--calibration", "none"]
    return [sys.executable, "-c", code, "localize", *map(str, arguments), *fixed]


def localize(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command(*arguments), cwd=cwd, env=environ, capture_output=True, text=True, timeout=300
    )


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    make_clip(folder / "a.mp4", seconds=3.0, fps=5.0)
    make_clip(folder / "sub" / "b.wav", seconds=2.0, video=False)
    (folder / "bad.mp4").write_text("this is no recording")
    return folder


def test_names_that_are_no_text_and_names_too_long_cost_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    odd = folder / os.fsdecode(b"d\xff")
    odd.mkdir(parents=True)
    make_clip(folder / "ok.mp4", seconds=2.0, fps=5.0)
    clip = (folder / "ok.mp4").read_bytes()
    names = [folder / os.fsdecode(b"caf\xe9 %.mp4"), folder / "tab\there\nnl.mp4", odd / "x.mp4"]
    for path in [*names, folder / f"{'n' * 247}.mp4"]:  # the last leaves no room for `.json`
        path.write_bytes(clip)
    for _ in range(2):  # a rerun does not do them again, and does not fall over them either
        done = localize("in", "-o", "out", "--jobs", 1, cwd=tmp_path)
        assert done.returncode == 3, done.stderr
        assert "1 of 5 recordings can't be read" in done.stderr
        assert "File name too long" in done.stderr
    assert "4 of 5 recordings are done already" in done.stderr
    out = tmp_path / "out"
    with (out / "index.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["recording"]: row for row in csv.DictReader(file)}
    assert set(rows) >= {"ok.mp4", "caf\ufffd %.mp4", "tab\there\nnl.mp4", "d\ufffd/x.mp4"}
    assert [name[0] for name, row in rows.items() if row["error"]] == ["n"]
    index = (out / "index.html").read_text("utf-8")
    for path in names:
        made = out / path.relative_to(folder)
        record = json.loads(made.with_name(made.name + ".json").read_text("utf-8"))
        assert record["input"]["name"] == os.fsencode(path.name).decode("utf-8", "replace")
        page = made.with_name(made.name + ".html")
        assert quote(os.fsencode(page.relative_to(out))) in index
        assert quote(os.fsencode(os.path.relpath(path, page.parent))) in page.read_text("utf-8")


def test_a_folder_then_again_then_one_file(recordings: Path, tmp_path: Path) -> None:
    first = localize("in", "-o", "out", "--jobs", 1, cwd=tmp_path)
    assert first.returncode == 3, first.stderr
    assert "bad.mp4" in first.stderr
    assert "1 of 3 recordings can't be read" in first.stderr
    assert "Traceback" not in first.stderr
    out = tmp_path / "out"
    a = json.loads((out / "a.mp4.json").read_text())
    assert [s["index"] for s in a["segments"]] == [0, 1, 2]
    assert a["seconds"] == pytest.approx(3.0, abs=0.1)
    b = json.loads((out / "sub" / "b.wav.json").read_text())
    assert len(b["segments"]) == 2
    assert (out / "sub" / "b.wav.html").is_file()
    assert "../../in/sub/b.wav" in (out / "sub" / "b.wav.html").read_text()
    index = (out / "index.html").read_text()
    assert "not a media file" in index
    assert not list(out.rglob("*.tmp"))

    (recordings / "bad.mp4").unlink()
    before = (out / "a.mp4.json").stat().st_mtime_ns
    second = localize("in", "-o", "out", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    assert "2 of 2 recordings are done already" in second.stderr
    assert (out / "a.mp4.json").stat().st_mtime_ns == before

    # Other settings are other results; one file has a page and no index.
    third = localize("in/a.mp4", "-o", "one", "--embed", "--settle", 0, cwd=tmp_path)
    assert third.returncode == 0, third.stderr
    assert "data:video/mp4;base64," in (tmp_path / "one" / "a.mp4.html").read_text()
    assert not (tmp_path / "one" / "index.html").exists()


def test_wrong_paths_and_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for arguments, code, words in (
        (["nowhere", "-o", "out"], 3, "no such file or folder"),
        (["empty", "-o", "out"], 3, "no recordings"),
        (["empty", "-o", "file/out"], 5, "can't be made"),
        (["empty"], 2, "out"),
    ):
        with pytest.raises(SystemExit) as end:
            main(["localize", *arguments])
        assert end.value.code == code
        assert words in capsys.readouterr().err


def test_an_interrupt_ends_soon_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    make_clip(tmp_path / "long.mp4", seconds=300.0, fps=2.0, audio=False)
    process = subprocess.Popen(
        command("long.mp4", "-o", "out", "--jobs", 1),
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # so that the whole group is interrupted, as Ctrl-C does
    )
    try:
        eventually(lambda: _children(process.pid) > 0, "a worker is there", 120)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.wait()
    assert list((tmp_path / "out").iterdir()) == []


def _children(pid: int) -> int:
    return len(psutil.Process(pid).children(recursive=True))
