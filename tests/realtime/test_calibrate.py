"""`avel calibrate` from files to stored profiles, and from stored profiles into the live loop."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from avel_live.calibration.confidence import Calibrator
from avel_live.calibration.contents import Calibration, Confidence, DeviceFile, Devices, Thresholds
from avel_live.calibration.files import load_calibration, load_device, save
from avel_live.calibration.places import calibration_path
from avel_live.calibration.thresholds import Rules
from avel_live.model.checkpoint import save_checkpoint
from avel_live.model.labels import LABELS
from avel_live.model.probabilities import softmax
from avel_live.model.runtime.base import EngineInfo
from avel_live.realtime.commands import main
from avel_live.realtime.commands.calibrate import features as collect_features
from avel_live.realtime.commands.calibrate import sync
from avel_live.realtime.commands.calibrate.features import window_scores
from avel_live.realtime.commands.calibrate.marks import marked_clips
from avel_live.realtime.commands.calibrate.store import per_hour_of
from avel_live.realtime.commands.devices import _list_offsets
from avel_live.realtime.config.schema import Config
from avel_live.realtime.core.errors import ModelFileError, UsageError
from avel_live.realtime.core.messages import SourceInfo, TimedAudio
from avel_live.realtime.events.config import DecoderConfig
from avel_live.realtime.memory import EventRow, Run, Writer
from avel_live.realtime.memory.tend import mark
from avel_live.realtime.memory.write import ClipRow
from avel_live.realtime.recordings.labelled import read_manifest, settled
from avel_live.realtime.session import open as open_
from avel_live.realtime.session.calibration import apply_calibration, camera_delay_ms, devices_of, under_flags
from avel_live.realtime.sources.picture import timed_frame
from avel_live.realtime.stream.window import softmax as raw_softmax
from rich.console import Console
from support.loop import ScriptedSource, ToyEngine
from support.media import make_clip
from support.scenes import work_folder
from support.sync_media import RATE, event_times, pictures, sound

SHA = "ab" * 32
ENGINE = EngineInfo("lite", "torch", "fp32", "cpu", LABELS, SHA)
FILE = SourceInfo("clip.mp4", "file")
EVENTS = len(LABELS) - 1


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


class Toy(ToyEngine):
    def __init__(self) -> None:
        super().__init__()
        self.info = replace(self.info, checkpoint=SHA)


@pytest.fixture
def toy(monkeypatch):
    """The real pipeline on networks that cost nothing: loud is Bark, bright is an aircraft."""
    monkeypatch.setattr(open_, "make_engine", lambda *_: Toy())


def avel(*words: object) -> int:
    try:
        main([str(word) for word in words])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def clap_clip(path: Path, kind: str, offset_ms: int, fps: int = 30, seconds: int = 8) -> Path:
    import av

    events = event_times(seconds, seed=7)
    samples = sound(events, seconds, kind, snr_db=10, seed=3)
    times = np.arange(seconds * fps) / fps
    with av.open(str(path), "w") as container:
        # Lossless: what x264 makes of noise differs from run to run, and sometimes two offsets fit alike.
        video = container.add_stream("ffv1", rate=fps)
        video.width, video.height, video.pix_fmt = 192, 144, "yuv420p"
        audio = container.add_stream("flac", rate=RATE, layout="mono")
        for k, (_, image) in enumerate(pictures(events + offset_ms / 1e3, times, kind, size=(144, 192))):
            frame = av.VideoFrame.from_ndarray(image, format="gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = k, Fraction(1, fps)
            container.mux(video.encode(frame))
        for k in range(0, len(samples), 4096):
            part = (samples[None, k : k + 4096] * 32767).clip(-32768, 32767).astype(np.int16)
            block = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
            block.rate, block.pts, block.time_base = RATE, k, Fraction(1, RATE)
            container.mux(audio.encode(block))
        container.mux(video.encode())
        container.mux(audio.encode())
    return path


def rules(enter: float = 0.5) -> Rules:
    return Rules.same(EVENTS, enter, 0.5, 2.0)


def calibration(**changes) -> Calibration:
    c = Calibrator.from_temperatures(np.linspace(3, 2, 10), len(LABELS))
    values = {
        "made": "2025-01-01T00:00:00+00:00",
        "checkpoint": SHA,
        "profile": "lite",
        "precision": "fp32",
        "labels": list(LABELS),
        "confidence": Confidence.of(c, 300, 0.12, 0.03),
        "thresholds": Thresholds.of(rules(), LABELS),
    }
    return Calibration(**{**values, **changes})


# Commands -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "offset_ms"), [("flash", 120), ("clap", -200)])
def test_sync_from_a_recording(tmp_path, capsys, kind, offset_ms):
    clip = clap_clip(tmp_path / "clap.mkv", kind, offset_ms)
    assert avel("calibrate", "sync", "--file", clip, "--plot", tmp_path / "s.png") == 0
    said = capsys.readouterr().out.split()
    assert abs(float(said[1]) - offset_ms) <= 500 / 30
    assert (tmp_path / "s.png").read_bytes()[:4] == b"\x89PNG"


def test_sync_without_claps_is_refused_in_one_line(tmp_path, capsys):
    clip = make_clip(tmp_path / "dull.mkv", seconds=6, flashes=(), rate=16_000, channels="mono")
    assert avel("calibrate", "sync", "--file", clip) == 3
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: sync:")
    assert "clap" in lines[-1]


def test_sync_of_live_devices_is_stored_for_the_pair(monkeypatch, capsys):
    """Items as the live source delivers them: camera 150 ms late, sound in blocks with one hole."""
    events = event_times(8, seed=3)
    samples = sound(events, 8, "clap", snr_db=10, seed=3)
    items: list[tuple[float, object]] = [
        (t, timed_frame(round(t * 1e9), np.repeat(image[..., None], 3, axis=2)))
        for t, image in pictures(events + 0.15, np.arange(8 * 30) / 30, "clap")
    ]
    items += [
        (k / RATE, TimedAudio(k, samples[k : k + 1600])) for k in range(0, len(samples), 1600) if k != 16_000
    ]
    source = ScriptedSource([item for _, item in sorted(items, key=lambda pair: pair[0])], live=True)
    source.info = replace(source.info, details={"camera": "0", "microphone": "USB Audio"})
    monkeypatch.setattr(sync, "_uncorrected", lambda *_: (source, True))
    assert avel("calibrate", "sync", "--seconds", 7.5) == 0
    assert "stored for 0 + USB Audio" in capsys.readouterr().err.replace("\n", " ")
    stored = load_device(Devices(camera="0", microphone="USB Audio"))
    assert abs(stored.offset_ms - 150) <= 500 / 30
    assert source.closed.is_set()


@pytest.mark.parametrize("words", [("--camera", "none"), ("--mic", "none")])
def test_sync_needs_both_devices(words, capsys):
    assert avel("calibrate", "sync", *words) == 2
    assert "--camera and --mic" in capsys.readouterr().err


@pytest.fixture
def features(tmp_path):
    """A small set in AVE's layout and a head that knows nothing about it."""
    import torch
    from avel_live.model.diia import DIIA, DIIAConfig
    from avel_live.model.training.annotations import generate, write_annotations
    from avel_live.model.training.ave import write_features
    from avel_live.model.training.synthetic import SyntheticSpec, draw

    rows, splits = generate(40, seed=1)
    splits = {**splits, "val": np.arange(12), "test": np.arange(12, 24), "train": np.arange(24, 40)}
    folder = tmp_path / "ave"
    folder.mkdir()
    write_features(folder, *draw(SyntheticSpec(visual_dim=16), rows), splits)
    write_annotations(folder / "Annotations.txt", rows)
    (folder / "features.json").write_text('{"profile": "lite"}')
    torch.manual_seed(0)
    head = DIIA(DIIAConfig(visual_dim=16, audio_dim=16, width=16, heads=2, ffn=16))
    with torch.no_grad():
        head.classify.weight *= 20
    checkpoint = tmp_path / "head.safetensors"
    save_checkpoint(checkpoint, head, profile="lite")
    return folder, checkpoint


def test_confidence_then_thresholds_on_features(features, tmp_path, capsys):
    folder, checkpoint = features
    out, figures = tmp_path / "c.json", tmp_path / "f.json"
    given = ("--data", folder, "--checkpoint", checkpoint, "-o", out)
    plot = tmp_path / "r.png"
    assert avel("calibrate", "confidence", *given, "--json", figures, "--plot", plot) == 0
    shown = capsys.readouterr().out
    assert "ECE" in shown
    assert "settled" in shown
    report = json.loads(figures.read_text())
    assert report["clips"] == 12
    assert report["by_future"]["0"]["before"]["count"] == 120
    assert report["by_future"]["9"]["before"]["count"] == 12
    assert report["all"]["after"]["ece"] < report["all"]["before"]["ece"]
    stored = load_calibration(out)
    assert min(stored.confidence.temperatures) > 1

    assert avel("calibrate", "thresholds", *given, "--calibration", out, "--plot", tmp_path / "p.png") == 0
    both = load_calibration(out)
    assert both.confidence == stored.confidence
    assert set(both.thresholds.enter) == set(LABELS[:-1])
    assert (tmp_path / "p.png").stat().st_size > 5000

    assert avel("calibrate", "thresholds", *given, "--max-false-alarms", "1/hour") == 2
    assert "background" in capsys.readouterr().err


def test_confidence_on_scenes_of_held_out_material_then_judged(tmp_path, monkeypatch, capsys):
    """The calibration that ships: from the work folder of `avel train lite`, looked at on other material."""
    monkeypatch.setattr(collect_features, "SCENE_BATCHES", 2)
    work = work_folder(tmp_path / "work", "lite")
    given = ("--data", work, "--profile", "lite")
    out, figures = tmp_path / "c.json", tmp_path / "f.json"
    assert avel("calibrate", "confidence", *given, "-o", out, "--json", figures) == 0
    report = json.loads(figures.read_text())
    assert report["clips"] == 128
    assert 100 < report["witnesses"] <= 128  # scenes drawn alike are one
    # The shipped head reads perfect evidence: labels and looks belong together.
    assert report["by_future"]["0"]["after"]["accuracy"] > 0.7
    assert report["all"]["after"]["nll"] < report["all"]["before"]["nll"]
    assert "a fit that" in capsys.readouterr().out

    assert avel("calibrate", "confidence", *given, "--judge", out, "--json", figures) == 0
    judged = json.loads(figures.read_text())
    assert judged["all"]["before"] == report["all"]["before"]
    assert judged["all"]["after"]["nll"] < judged["all"]["before"]["nll"]
    assert judged["temperatures"] == pytest.approx(report["temperatures"])
    said = capsys.readouterr()
    assert "by a calibration made elsewhere" in said.out
    assert "stored" not in said.err

    stored = json.loads(out.read_text())
    stored["checkpoint"] = SHA
    out.write_text(json.dumps(stored))
    assert avel("calibrate", "confidence", *given, "--judge", out) == 4
    assert "made for checkpoint abab" in capsys.readouterr().err
    (work / "takes_lite_validation_0.npz").unlink()
    assert avel("calibrate", "confidence", *given, "-o", out) == 4
    assert "run `avel train lite" in capsys.readouterr().err


def test_a_checkpoint_for_other_features_is_refused(features, tmp_path, capsys):
    from avel_live.model.diia import DIIA, DIIAConfig

    folder, _ = features
    wide = tmp_path / "wide.safetensors"
    save_checkpoint(wide, DIIA(DIIAConfig(visual_dim=24, audio_dim=16, width=16, heads=2)), profile="lite")
    for data in (folder, work_folder(tmp_path / "work", "lite")):
        given = ("--data", data, "--checkpoint", wide, "--profile", "lite")
        assert avel("calibrate", "confidence", *given, "--dry-run") == 4
        assert "made for features of 24 and 16 dimensions on a 7×7 grid" in capsys.readouterr().err


def test_a_calibration_in_the_package_serves_every_precision(tmp_path, monkeypatch):
    monkeypatch.setattr("avel_live.model.files.SHIPPED", tmp_path)
    monkeypatch.setattr("avel_live.realtime.session.calibration.SHIPPED", tmp_path)
    yamnet = replace(ENGINE, profile="lite-yamnet")
    made = calibration(
        confidence=Confidence.of(Calibrator.from_temperatures(np.full(10, 2.0), 29), 9, 0.2, 0.1)
    )
    save(tmp_path / "lite_yamnet_calibration.json", made)
    for precision in ("fp32", "bf16", "int8"):
        assert apply_calibration(Config(), replace(yamnet, precision=precision), FILE).name
    other = replace(yamnet, checkpoint="cd" * 32)
    assert not apply_calibration(Config(), other, FILE).name


def test_confidence_on_labelled_clips(tmp_path, toy, capsys):
    folder = tmp_path / "clips"
    folder.mkdir()
    rows = ["file\tclass\tsegments_audible_and_visible\tduration_s"]
    for k in range(3):
        make_clip(
            folder / f"{k}.mkv",
            seconds=3.6,
            fps=5,
            size=(64, 48),
            rate=16_000,
            channels="mono",
            flashes=(0.5 + 0.4 * k,),  # clips of one content would be one witness
        )
        rows.append(f"{k}.mkv\tBark\t0,1,3\t3.60")
    (folder / "MANIFEST.tsv").write_text("\n".join(rows))
    assert avel("calibrate", "confidence", "--data", folder, "--json", tmp_path / "f.json") == 0
    report = json.loads((tmp_path / "f.json").read_text())
    assert report["by_future"]["0"]["before"]["count"] == 3 * 4
    assert load_calibration(calibration_path(SHA, "fp32")).confidence.seconds == 12


def test_confidence_and_thresholds_from_marks_of_events(tmp_path, toy, capsys, monkeypatch):
    """Right, wrong, something else: of each clip the seconds that somebody looked at, and no others."""
    at_us, memory = 1_794_999_600_000_000, tmp_path / "memory.sqlite"
    writer = Writer(memory)
    run = writer.begin(Run("door", at_us, "", "", "", "", "UTC"))
    for k in range(4):
        flashes = (0.5 + 0.4 * k,)  # clips of one content would be one witness
        clip = make_clip(
            tmp_path / f"{k}.mkv", seconds=6.0, fps=5, size=(64, 48), rate=16_000, channels="mono",
            flashes=flashes,
        )  # fmt: skip
        writer.add(run, [EventRow(k, "Bark", at_us + 2_000_000, at_us + 4_000_000, 0.9)])
        writer.add(run, [ClipRow(str(clip), None, at_us, at_us + 6_000_000, (k,))])
    writer.add(run, [EventRow(4, "Bark", at_us, at_us + 2_000_000, 0.9)])
    writer.close()
    monkeypatch.setenv("AVEL_MEMORY__PATH", str(memory))
    assert avel("calibrate", "confidence", "--from-marks") == 2
    assert "no mark in" in capsys.readouterr().err
    said = [("right", None), ("wrong", None), ("other", "Church bell"), ("other", "Kettle"), ("right", None)]
    for number, (verdict, label) in enumerate(said, 1):
        assert mark(memory, number, verdict, at_us, label)
    clips, line = marked_clips(memory, Toy())
    assert {Path(clip.name).stem: clip.targets.tolist() for clip in clips} == {
        "0": [-1, -1, LABELS.index("Bark"), LABELS.index("Bark"), -1, -1],
        "1": [-1, -1, EVENTS, EVENTS, -1, -1],
        "2": [-1, -1, LABELS.index("Church bell"), LABELS.index("Church bell"), -1, -1],
    }
    assert line.startswith("marks: 3 of 5, in 3 clips; ")
    assert "1 without a clip" in line
    assert "1 of a class that these networks do not know" in line
    assert avel("calibrate", "confidence", "--from-marks", "--json", tmp_path / "f.json") == 0
    report = json.loads((tmp_path / "f.json").read_text())
    assert (report["clips"], report["by_future"]["0"]["before"]["count"]) == (3, 6)
    assert avel("calibrate", "thresholds", "--from-marks") == 0
    stored = load_calibration(calibration_path(SHA, "fp32"))
    assert stored.confidence.seconds == 6
    assert set(stored.thresholds.enter) == set(LABELS[:-1])
    # Seconds that served against false events are no background footage: nobody chose them at random.
    assert avel("calibrate", "thresholds", "--from-marks", "--max-false-alarms", "1/hour") == 2
    assert avel("calibrate", "confidence") == 2
    assert "--data FOLDER (labelled clips) or --from-marks" in capsys.readouterr().err


def test_background_from_a_recording(tmp_path, toy, capsys):
    clip = make_clip(
        tmp_path / "quiet.mkv", seconds=33, fps=2, size=(64, 48), rate=16_000, channels="mono", flashes=()
    )
    assert avel("calibrate", "background", "--file", clip) == 0
    shown = capsys.readouterr()
    assert "33 seconds" in shown.out
    assert "nothing stored" in shown.err
    assert "silence" in shown.out
    assert avel("calibrate", "background", "--file", clip, "--apply") == 0
    stored = load_calibration(calibration_path(SHA, "fp32"))
    assert stored.room.minutes == pytest.approx(33 / 60)
    assert set(stored.thresholds.enter) == set(LABELS[:-1])


def test_wrong_data_folder(tmp_path, capsys):
    assert avel("calibrate", "confidence", "--data", tmp_path / "none") == 2
    assert avel("calibrate", "confidence", "--data", tmp_path) == 2
    assert "MANIFEST.tsv" in capsys.readouterr().err


def test_manifest(tmp_path):
    path = tmp_path / "MANIFEST.tsv"
    head = "file\tclass\tsegments_audible_and_visible\tduration_s\n"
    path.write_text(head + "a.mp4\tbark\t1,3\t3.5\nb.mp4\tbackground\t\t2.2\n")
    (a, bark), (_, quiet) = read_manifest(tmp_path, LABELS)
    assert a == tmp_path / "a.mp4"
    assert bark.tolist() == [28, 2, 28, 2]
    assert quiet.tolist() == [28, 28]
    path.write_text(head + "a.mp4\tbark\t1\t4\nb.mp4\tbarkk\t1\t4\n")
    with pytest.raises(UsageError, match=r"line 3.*bark\?"):
        read_manifest(tmp_path, LABELS)


@pytest.mark.parametrize(("text", "rate"), [("1/hour", 1), ("3/day", 0.125), ("0.5/h", 0.5), ("2", 2)])
def test_budgets(text, rate):
    assert per_hour_of(text) == rate


@pytest.mark.parametrize("text", ["", "many", "-1/hour", "0/day", "1/year"])
def test_wrong_budgets(text):
    with pytest.raises(UsageError, match="1/hour"):
        per_hour_of(text)


# Into the live loop -------------------------------------------------------------------------------


def test_without_any_calibration_confidence_is_raw():
    applied = apply_calibration(Config(), ENGINE, FILE)
    assert (applied.name, applied.rules, applied.calibrate) == ("", None, raw_softmax)


def test_the_users_calibration_is_found_by_checkpoint_and_precision():
    save(calibration_path(SHA, "fp32"), calibration())
    applied = apply_calibration(Config(), ENGINE, FILE)
    assert applied.name == "abababab-fp32"
    logits = np.random.default_rng(0).normal(size=(3, 29)).astype(np.float32)
    t = np.linspace(3, 2, 10)[[2, 1, 0]]
    np.testing.assert_allclose(applied.calibrate(logits, 3), softmax(logits / t[:, None]), rtol=1e-5)
    assert apply_calibration(Config(), replace(ENGINE, precision="int8"), FILE).name == ""
    assert apply_calibration(Config(calibration="none"), ENGINE, FILE).name == ""


def test_a_calibration_asked_for_is_applied_or_refused(tmp_path):
    save(tmp_path / "mine.json", calibration())
    asked = Config(calibration=str(tmp_path / "mine.json"))
    assert apply_calibration(asked, ENGINE, FILE).name == "abababab-fp32"
    with pytest.raises(ModelFileError, match="precision fp32, but int8"):
        apply_calibration(asked, replace(ENGINE, precision="int8"), FILE)
    with pytest.raises(ModelFileError, match="checkpoint"):
        apply_calibration(asked, replace(ENGINE, checkpoint="cd" * 32), FILE)
    with pytest.raises(ModelFileError, match="none of that name"):
        apply_calibration(Config(calibration="nursery"), ENGINE, FILE)


def test_thresholds_of_another_room_are_not_used_unasked():
    there = Devices(camera="0", microphone="USB")
    room = calibration(thresholds=Thresholds.of(rules(), LABELS, devices=there.model_dump()))
    save(calibration_path(SHA, "fp32"), room)
    here = SourceInfo("live", "live", live=True, details={"camera": "0", "microphone": "USB"})
    assert devices_of(here) == there
    assert apply_calibration(Config(), ENGINE, here).rules is not None
    elsewhere = replace(here, details={"camera": "1", "microphone": "USB"})
    applied = apply_calibration(Config(), ENGINE, elsewhere)
    assert applied.rules is None
    assert applied.name
    assert "0 + USB" in applied.note
    with pytest.raises(ModelFileError, match="devices"):
        apply_calibration(Config(calibration=str(calibration_path(SHA, "fp32"))), ENGINE, elsewhere)


def test_flags_stand_above_calibrated_thresholds():
    base = DecoderConfig()
    calibrated = under_flags(Config(), base, rules(0.6))
    assert calibrated.per_class("enter")[5] == 0.6
    assert calibrated.per_class("min_duration_s")[5] == 2.0
    flagged = under_flags(Config(enter=0.2, min_event_s=1.0), base, rules(0.6))
    assert flagged.per_class("enter")[5] == 0.2
    assert flagged.per_class("leave")[5] == 0.2
    assert flagged.per_class("min_duration_s")[5] == 1.0
    high = under_flags(Config(leave=0.7), base, rules(0.6))
    assert high.per_class("enter")[5] == 0.7
    assert under_flags(Config(), base, None) is base


def test_measured_offset_reaches_the_timeline(monkeypatch):
    from avel_live.calibration.files import device_path
    from avel_live.realtime.session.sources import live_options
    from avel_live.realtime.sources import portaudio

    pair = Devices(camera="0", microphone="USB Audio")
    found = DeviceFile(
        made="2025-01-01", devices=pair, offset_ms=80.0, low_ms=70, high_ms=90, events=5, kind="clap"
    )
    save(device_path(pair), found)
    listed = [portaudio.InputDevice(0, "USB Audio", "ALSA", 1, 48_000, True)]
    monkeypatch.setattr(portaudio, "input_devices", lambda: listed)
    assert camera_delay_ms(Config()) == 80.0
    assert live_options(Config(), camera_delay_ms(Config())).camera_delay_ms == 80.0
    assert camera_delay_ms(Config(camera="1")) == 0.0
    _list_offsets(console := Console(file=io.StringIO(), width=100))
    assert "0 + USB Audio:  +80 ms ± 10  (5 claps, 2025-01-01)" in console.file.getvalue()
    shifted = Config(sync_offset_ms=-30)
    assert live_options(shifted, camera_delay_ms(shifted)).camera_delay_ms == 30.0


def test_settled_rows_are_the_decoders():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(6, 29)).astype(np.float32)
    scores = [window_scores(k, 0, logits[: k + 1]) for k in range(6)]
    rows = settled(scores, raw_softmax, DecoderConfig(settle=2))
    assert rows.shape == (6, 29)
    # Every window says the same of a second here, so fusing them changes nothing.
    np.testing.assert_allclose(rows, softmax(logits), rtol=1e-4, atol=1e-6)
