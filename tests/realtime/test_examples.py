"""The examples, run as their users run them, and every Python block of every README."""

from __future__ import annotations

import csv
import io
import json
import re
import runpy
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path

import av
import pytest
from support.peers import eventually
from support.server_process import free_port

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "realtime" / "data" / "demo.mp4"
SECONDS = 5
"""Of the demo that are played here: a dog, silent for three seconds, then barking."""

PAGE = "127.0.0.1:8090"
"""Where pages of the READMEs are looked for."""
BLOCKS = [
    pytest.param(block, id=f"{path.relative_to(ROOT).parent}-{number}")
    for path in sorted(ROOT.rglob("README.md"))
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", path.read_text("utf-8"), re.M | re.S))
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The beginning of the demo, with every fifth of its pictures: the networks have less to look at."""
    path = tmp_path_factory.mktemp("media") / "clip.mp4"
    with av.open(str(DEMO)) as source, av.open(str(path), "w") as target:
        pictures, sound = source.streams.video[0], source.streams.audio[0]
        video, audio = target.add_stream("mpeg4", rate=15), target.add_stream_from_template(sound)
        video.width, video.height, video.pix_fmt = pictures.width, pictures.height, "yuv420p"
        video.bit_rate, video.codec_context.max_b_frames = 2_000_000, 0
        for number, frame in enumerate(source.decode(pictures)):
            if number % 5 == 0 and frame.time < SECONDS:
                frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, 15), 0
                target.mux(video.encode(frame))
        target.mux(video.encode(None))
        source.seek(0)
        for packet in source.demux(sound):
            if packet.dts is not None and packet.dts * packet.time_base < SECONDS:
                packet.stream = audio
                target.mux(packet)
    return str(path)


def run(name: str, *args: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m avel_live.realtime.examples.NAME ARGS`, here."""
    monkeypatch.setattr(sys, "argv", [name, *args])
    runpy.run_module(f"avel_live.realtime.examples.{name}", run_name="__main__")


def test_events(clip: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run("events", clip, monkeypatch=monkeypatch)
    assert capsys.readouterr().out.splitlines() == ["     3 s   Bark …", "     5 s   Bark, 2 s long"]


def test_own_frames(clip: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run("own_frames", clip, monkeypatch=monkeypatch)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:SECONDS]] == [str(k) for k in range(SECONDS)]
    assert [line.split("%")[1].strip() for line in lines].count("start Bark") == 1


def test_custom_sink(clip: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run("custom_sink", clip, monkeypatch=monkeypatch)
    assert capsys.readouterr().out.splitlines() == ["    3 s  background", "    2 s  Bark"]


def test_many_recordings(
    clip: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("many_recordings", str(ROOT / "README.md"), clip, monkeypatch=monkeypatch)
    said = capsys.readouterr()
    (row,) = csv.DictReader(io.StringIO(said.out))
    assert (row["recording"], row["event"], float(row["start_s"])) == (clip, "Bark", 3.0)
    assert "README.md: not a media file" in said.err


@pytest.mark.parametrize("block", BLOCKS)
def test_what_a_readme_shows_runs(
    block: str, clip: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(Path(clip).parent)
    block = block.replace('"demo"', repr(clip))
    with ExitStack() as stack:
        if PAGE in block:
            block = block.replace(PAGE, stack.enter_context(page(clip)))
        exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})
    assert "Bark" in capsys.readouterr().out


@contextmanager
def page(clip: str) -> Iterator[str]:
    """The address of a page that remembers a bark, served by the program itself."""
    address = f"127.0.0.1:{free_port()}"
    live = [sys.executable, "-c", "from avel_live.realtime.commands import live_main; live_main()"]
    memory = Path(clip).with_name("memory.sqlite")
    options = ["--file", clip, "--loop", "--no-ui", "--memory-file", str(memory), "--web", address]
    with subprocess.Popen([*live, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:
        try:
            eventually(lambda: _barks(address), "a bark is remembered", 60.0)
            yield address
        finally:
            program.terminate()


def _barks(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/api/events?label=Bark", timeout=5) as answer:
            return bool(json.load(answer)["events"])
    except OSError:
        return False  # it does not listen yet
