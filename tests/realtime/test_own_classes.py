"""Checkpoints of 2, 3 and 40 own classes through every command and output: background is the last."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import avel_live
import numpy as np
import pytest
from avel_live.model.errors import ModelFileError
from avel_live.realtime.commands import live_main
from avel_live.realtime.commands.calibrate.features import ave_clips
from avel_live.realtime.commands.calibrate.int8 import from_files
from avel_live.realtime.core.clock import ManualClock, SystemClock
from avel_live.realtime.core.messages import Hop, Scores
from avel_live.realtime.core.names import slugs
from avel_live.realtime.events import DecoderConfig
from avel_live.realtime.sinks.mqtt import MqttOptions
from avel_live.realtime.sinks.mqtt.discovery import discovery_payload
from avel_live.realtime.sinks.mqtt.sink import MqttSink
from avel_live.realtime.ui.screen import Screen
from rich.console import Console
from support.about import about
from support.called import avel
from support.media import make_clip
from support.own_classes import own_head, own_labels
from support.peers import Mosquitto, Subscriber, eventually
from support.stream import make_segment, make_start

WIDTHS = (2, 3, 40)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handlers: None) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two short clips of different content, labelled with `Own 0`."""
    folder = tmp_path_factory.mktemp("clips")
    rows = "file\tclass\tsegments_audible_and_visible\tduration_s\n"
    for name, flashes in (("a.mkv", (0.5, 1.5, 2.5)), ("b.mkv", (0.25, 1.75))):
        small = {"size": (64, 48), "rate": 16_000, "channels": "mono"}
        make_clip(folder / name, seconds=3.2, fps=4, flashes=flashes, **small)
        rows += f"{name}\tOwn 0\t0,1\t3.20\n"
    (folder / "MANIFEST.tsv").write_text(rows)
    return folder


def records(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("classes", [3, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 40))])
def test_a_veto_makes_every_strange_second_background(
    classes: int, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = own_head(tmp_path / "own.safetensors", classes)
    fixed = ("--file", clips / "a.mkv", "--fast", "--json", "--backend", "torch", "--checkpoint", head)
    assert avel(*fixed, "--veto", -1000, entry=live_main) == 0
    got = records(capsys)
    assert got[0]["labels"] == list(own_labels(classes))
    hops = [r for r in got if r["type"] == "hop"]
    assert len(hops) == 3
    assert {(r["label"], r["confidence"]) for r in hops} == {("background", 1.0)}
    assert not [r for r in got if r["type"] == "event"]
    assert avel(*fixed, "--veto", 1000, entry=live_main) == 0
    kept = [r for r in records(capsys) if r["type"] == "hop"]
    assert all(r["ood"] == v["ood"] for r, v in zip(kept, hops, strict=True))
    assert any(r["confidence"] < 1 for r in kept)


@pytest.mark.slow
@pytest.mark.parametrize("classes", WIDTHS)
def test_recordings_evaluation_and_calibration_take_them(
    classes: int, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = own_head(tmp_path / "own.safetensors", classes)
    fixed = ("--backend", "torch", "--checkpoint", head)
    out = tmp_path / "out"
    assert avel("localize", clips / "a.mkv", "-o", out, "--jobs", 1, *fixed) == 0
    assert json.loads((out / "a.mkv.json").read_text())["labels"] == list(own_labels(classes))
    names = json.dumps(own_labels(classes), separators=(",", ":"))
    assert f'"labels":{names}' in (out / "a.mkv.html").read_text()
    assert avel("calibrate", "confidence", "--data", clips, "--json", "f.json", *fixed) == 0
    assert json.loads(Path("f.json").read_text())["clips"] == 2
    capsys.readouterr()
    assert avel("evaluate", "--clips", clips, head, "--json") == 0
    judged = json.loads(capsys.readouterr().out)
    assert set(judged["per_class"]) <= set(own_labels(classes))
    assert judged["per_class"]["Own 0"]["seconds"] == 4


def test_the_benchmark_takes_them(clips: Path, tmp_path: Path) -> None:
    from avel_live.model.runtime.base import EngineOptions
    from avel_live.model.runtime.select import load_engine
    from avel_live.realtime.commands.bench.meters import Stopwatch
    from avel_live.realtime.commands.bench.tape import record
    from avel_live.realtime.commands.bench.worker import Latencies, play

    head = own_head(tmp_path / "own.safetensors", 2)
    engine = load_engine(EngineOptions(backend="torch", checkpoint=head, threads=1))
    clock, watch = SystemClock(), Stopwatch(SystemClock())
    tape = record(clips / "a.mkv", clock, watch, None, 4)
    end = play(tape, engine, clock, watch, Latencies(), paced=True, frames="auto")
    engine.close()
    assert end.hops == 3


def test_labelled_recordings_are_read_with_the_heads_classes(clips: Path) -> None:
    for seconds in from_files([clips], SystemClock(), own_labels(40)):
        assert [second.label for second in seconds] == [0, 0, 39]


def test_material_of_other_classes_is_refused(tmp_path: Path) -> None:
    from avel_live.model.training.annotations import generate, write_annotations
    from avel_live.model.training.ave import write_features
    from avel_live.model.training.synthetic import SyntheticSpec, draw

    rows, _ = generate(12, seed=1)
    splits = {"val": np.arange(4), "test": np.arange(4, 8), "train": np.arange(8, 12)}
    folder = tmp_path / "ave"
    folder.mkdir()
    from avel_live.model.profiles import LITE

    spec = SyntheticSpec(visual_dim=LITE.visual.dim, audio_dim=LITE.audio.dim)
    write_features(folder, *draw(spec, rows), splits)
    write_annotations(folder / "Annotations.txt", rows)
    (folder / "features.json").write_text('{"profile": "lite"}')
    with pytest.raises(ModelFileError, match="its 29 classes are not the 3 of the checkpoint"):
        list(ave_clips(folder, own_head(tmp_path / "own.safetensors", 3)))


def test_the_library_gives_numbers_to_whatever_classes_there_are(clips: Path, tmp_path: Path) -> None:
    head = own_head(tmp_path / "own.safetensors", 3)
    numbers = DecoderConfig(enter=0.01, leave=0.0, brief=0.0, background_competes=False)
    with avel_live.open(clips / "a.mkv", checkpoint=head, backend="torch", decoder=numbers) as stream:
        names = {event.name for event in stream.events()}
    assert names
    assert names <= {"Own 0", "Own 1"}
    others = replace(numbers, labels=own_labels(40))
    with pytest.raises(avel_live.UsageError, match="labels are not those of the networks"):
        avel_live.open(clips / "a.mkv", checkpoint=head, backend="torch", decoder=others)


# Outputs ----------------------------------------------------------------------------------------------


def hop(index: int, classes: int) -> Hop:
    p = np.full((1, classes), 0.1 / classes, np.float32)
    p[0, index % classes] += 0.9
    scores = Scores(index, index, np.log(p), p, np.full((1, 7, 7), 1 / 49, np.float32), np.ones(1, bool))
    return Hop(index, make_segment(index), scores, index % classes, 0.9, 40.0, 0, 0, None, 16)


@pytest.mark.parametrize("classes", WIDTHS)
def test_the_screen_draws_them(classes: int) -> None:
    out = io.StringIO()
    screen = Screen(
        Console(file=out, force_terminal=True, width=100, height=30), ManualClock(), threaded=False
    )
    screen.start(make_start(labels=own_labels(classes)))
    for index in range(classes):
        screen.hop(hop(index, classes))
        screen.refresh()
    screen.close()
    assert "Own 0" in out.getvalue()


def test_a_screen_takes_looks_before_it_knows_any_class() -> None:
    from avel_live.realtime.ui.state import ScreenState

    assert ScreenState().background == -1


@pytest.mark.parametrize("classes", WIDTHS)
def test_home_assistant_hears_of_the_heads_classes_only(classes: int, broker: Mosquitto) -> None:
    """The link is up long before the networks are loaded: until then nothing is said of any class."""
    subscriber = Subscriber(broker.port)
    sink = MqttSink(MqttOptions(f"mqtt://127.0.0.1:{broker.port}"), about(name="door"))
    eventually(lambda: subscriber.last("avel/door/availability") == b"online", "the greeting")
    assert subscriber.last("/config") is None
    sink.start(make_start(labels=own_labels(classes)))
    eventually(lambda: subscriber.last("/config") is not None, "the announcement")
    eventually(lambda: subscriber.last(f"/active/own_{classes - 2}") == b"OFF", "the last class's switch")
    (payload,) = subscriber.json("/config")
    assert payload["components"]["label"]["options"] == list(own_labels(classes))
    assert subscriber.last("/active/bark") is None
    sink.close()
    subscriber.close()


def test_names_that_look_alike_keep_switches_of_their_own() -> None:
    labels = ("猫", "狗", "Tür", "T r", "t_r", "t_r_2", "background")
    paths = list(slugs(labels[:-1]).values())
    assert paths[:3] + paths[5:] == ["猫", "狗", "tür", "t_r_2"]  # letters stay; two spellings get a digest
    assert len(set(paths)) == len(paths)
    components = discovery_payload("avel/door", "door", labels, "1")["components"]
    topics = [c["state_topic"] for key, c in components.items() if key.startswith("class_")]
    assert topics == [f"avel/door/active/{path}" for path in paths]
