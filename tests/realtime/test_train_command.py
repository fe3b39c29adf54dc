"""`avel train` and `avel evaluate`, as people call them."""

import csv
import json

import h5py
import numpy as np
import pytest
from avel_live.model.checkpoint import read_info
from avel_live.model.training.annotations import Annotation, generate, write_annotations
from avel_live.model.training.ave import write_features
from avel_live.model.training.synthetic import SyntheticSpec, draw
from avel_live.realtime.commands import main
from support.training import LABELS, small_data

SMALL = ["--width", "16", "--batch", "16", "--epochs", "2", "--lr", "0.005"]


def call(*args):
    """Exit code of a command."""
    with pytest.raises(SystemExit) as stopped:
        main([str(a) for a in args])
    return stopped.value.code


@pytest.fixture(scope="module")
def ave(tmp_path_factory):
    """Forty videos in AVE's layout, small features, a header line, and the noisy set."""
    folder = tmp_path_factory.mktemp("ave")
    rows, splits = generate(40)
    splits = {"train": splits["train"][:-8], "val": splits["train"][-8:-4], "test": splits["train"][-4:]}
    visual, audio = draw(SyntheticSpec(), rows)
    write_features(folder, visual, audio, splits)
    write_annotations(folder / "Annotations.txt", rows)
    for name, array in (("visual", visual), ("audio", audio)):
        with h5py.File(folder / f"{name}_feature_noisy.h5", "w") as file:
            file["dataset"] = 0 * array[:3]
    return folder


def test_train_on_ave_then_evaluate(ave, tmp_path, capsys):
    out = tmp_path / "run"
    assert call("train", "ave", ave, "--out", out, *SMALL) == 0
    said = capsys.readouterr()
    assert "note: 40 videos, 40 ids" in said.err
    assert "epoch   1" in said.err
    assert "a perfect video classifier" in said.out
    checkpoint = out / "best.safetensors"
    assert read_info(checkpoint).config.width == 16

    assert call("evaluate", checkpoint, "--ave", ave, "--json", "--out", tmp_path / "report") == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["videos"] == 4
    assert len(plain["streaming"]["accuracy_by_latency_s"]) == 10
    assert {p.suffix for p in (tmp_path / "report").iterdir()} == {".json", ".png", ".html"}

    assert call("evaluate", checkpoint, "--ave", ave, "--split", "val") == 0
    shown = capsys.readouterr().out
    assert "What waiting buys" in shown
    assert "background recall" in shown


def test_ablations_modes_and_resume(ave, tmp_path, capsys):
    args = ["--model", "concat", "--weak", "--pooling", "max", "--streaming", "--causal"]
    assert call("train", "ave", ave, "--out", tmp_path, *SMALL, *args) == 0
    info = read_info(tmp_path / "best.safetensors")
    assert (info.config.modalities, info.config.causal) == ("concat", True)
    assert info.info["train"]["weak"]
    with h5py.File(ave / "train_order.h5") as file:
        assert info.info["videos"]["train"] == len(file["order"]) + 3  # the noisy ones
    capsys.readouterr()
    longer = [*SMALL[:4], "--epochs", "3", "--lr", "0.005"]
    assert call("train", "ave", ave, "--out", tmp_path, *longer, *args, "--resume") == 0
    said = capsys.readouterr().err
    assert "epoch   2" in said
    assert "epoch   1" not in said
    assert call("train", "ave", ave, "--out", tmp_path, *SMALL, "--resume") == 4
    assert "other settings" in capsys.readouterr().err

    assert (
        call("train", "ave", ave, "--out", tmp_path / "b", *SMALL, "--without", "gate", "--without", "guided")
        == 0
    )
    config = read_info(tmp_path / "b/best.safetensors").config
    assert (config.gate, config.guided, config.intra, config.inter) == (False, False, True, True)


def test_own_videos(tmp_path, capsys):
    data = small_data(24)
    folder = tmp_path / "features"
    write_features(folder, data.visual, data.audio, {})
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("row", "file", "first_s", "seconds"))
        writer.writerows((i, f"{i}.mp4", 0, 10) for i in range(24))
    lines = ["file,start,end,label,split"]
    for i, row in enumerate(data.target):
        split = ("train", "train", "val", "test")[i % 4]
        event = np.flatnonzero(row != 3)
        lines.append(
            f"{i}.mp4,{event[0]},{event[-1] + 1},{LABELS[row[event[0]]]},{split}"
            if len(event)
            else f"{i}.mp4,,,background,{split}"
        )
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(lines) + "\n")
    assert call("train", "folder", folder, labels, "--out", tmp_path / "run", *SMALL) == 0
    checkpoint = tmp_path / "run/best.safetensors"
    assert read_info(checkpoint).labels == LABELS
    assert call("evaluate", checkpoint, "--features", folder, "--labels", labels) == 0
    assert "cat" in capsys.readouterr().out

    (folder / "features.json").write_text('{"profile": "lite"}')
    assert call("evaluate", checkpoint, "--features", folder, "--labels", labels) == 4
    assert "trained on 'paper' features, but these are 'lite'" in capsys.readouterr().err
    labels.write_text("file,start,end,label\n1.mp4,5,2,cat\n")
    assert call("train", "folder", folder, labels, "--out", tmp_path / "run2", *SMALL) == 4
    assert "labels.csv:2: expected 0 ≤ start < end" in capsys.readouterr().err


def test_the_table_of_generated_features(tmp_path, capsys):
    rows = [Annotation(i % 28, f"v{i}", 0, 10 if i % 3 else 4) for i in range(60)]
    write_annotations(tmp_path / "Annotations.txt", rows)
    for name, part in (("train", range(40)), ("val", range(40, 50)), ("test", range(50, 60))):
        with h5py.File(tmp_path / f"{name}_order.h5", "w") as file:
            file["order"] = list(part)
    args = ["--annotations", tmp_path, "--epochs", "1", "--evidence", "joint", "--only", "DIIA"]
    assert call("train", "synthetic", *args) == 0
    shown = capsys.readouterr().out
    assert "Bayes (the best possible)" in shown
    assert "perfect video classifier" in shown
    assert "DIIA" in shown


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["train", "ave"], 2, "give the folder of AVE's features"),
        (["train", "ave", "--synthetic", "smell"], 2, "expected one of"),
        (["train", "ave", "{ave}", "--model", "lstm"], 2, "expected one of diia"),
        (["train", "ave", "{ave}", "--without", "wings"], 2, "expected gate, intra, inter or guided"),
        (["train", "ave", "{ave}", "--width", "15"], 2, "not a multiple of heads"),
        (["train", "ave", "{tmp}"], 4, "can't be read"),
        (["evaluate", "none.safetensors"], 2, "give one of --ave"),
        (["evaluate", "none.safetensors", "--ave", "{ave}"], 4, "no such file"),
        (["evaluate", "--ave", "{ave}"], 2, "give the checkpoint"),
    ],
)
def test_mistakes(ave, tmp_path, capsys, args, code, message):
    assert call(*(a.format(ave=ave, tmp=tmp_path) for a in args)) == code
    assert message in capsys.readouterr().err
