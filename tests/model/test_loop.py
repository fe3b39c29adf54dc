"""The trainer: it learns, resumes to the bit after a kill, and stops at NaN with a clear word."""

import csv
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from avel_live.model.checkpoint import load_checkpoint
from avel_live.model.errors import ModelFileError
from avel_live.model.training.data import IGNORE
from avel_live.model.training.loop import Trainer, TrainingError, predict
from avel_live.model.training.metrics import accuracy
from avel_live.model.training.settings import TrainConfig
from avel_live.model.training.streaming import StreamingOptions
from safetensors.torch import load_file
from support.training import small_config, small_data

QUICK = TrainConfig(epochs=6, batch=16, lr=5e-3, device="cpu", amp="off")


def same_weights(a, b):
    first, second = load_file(a), load_file(b)
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_the_defaults_are_the_papers():
    c = TrainConfig()
    assert (c.batch, c.lr, c.milestones, c.decay, c.clip_norm, c.streaming) == (
        128,
        7e-4,
        (10, 20, 30),
        0.5,
        None,
        None,
    )
    assert [c.lr_at(e) for e in (0, 9, 10, 19, 20, 30)] == [7e-4, 7e-4, 3.5e-4, 3.5e-4, 1.75e-4, 8.75e-5]


def test_it_learns_and_keeps_the_best_epoch(tmp_path):
    data = small_data(120)
    seen = []
    result = Trainer(small_config(), data, replace(QUICK, epochs=25), tmp_path).fit(on_epoch=seen.append)
    model, info = load_checkpoint(result.checkpoint, profile="paper")
    val = data.splits["val"]
    got = accuracy(predict(model, data, val).argmax(-1), data.target[val])
    assert got == pytest.approx(result.best_accuracy) == max(r.val_accuracy for r in seen)
    assert got > 0.8
    assert info.labels == data.labels
    assert info.info["epoch"] == result.best_epoch
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(r["epoch"]) for r in rows] == list(range(result.epochs))


@pytest.mark.parametrize("streaming", [None, StreamingOptions()])
@pytest.mark.parametrize("stop_after", [1, 4])
def test_stopped_and_resumed_equals_never_stopped(tmp_path, stop_after, streaming):
    data = small_data()
    config = replace(QUICK, streaming=streaming)
    whole = Trainer(small_config(), data, config, tmp_path / "whole").fit()
    Trainer(small_config(), data, replace(config, epochs=stop_after), tmp_path / "parts").fit()
    torch.manual_seed(99)  # whatever the new process's generators hold
    parts = Trainer(small_config(), data, config, tmp_path / "parts").fit(resume=True)
    assert parts.best_epoch == whole.best_epoch
    assert same_weights(whole.checkpoint, parts.checkpoint)
    assert (tmp_path / "whole/log.csv").read_bytes() == (tmp_path / "parts/log.csv").read_bytes()


KILLED = """
import os, signal, sys
from pathlib import Path
from support.training import small_config, small_data
from avel_live.model.training.loop import Trainer
from avel_live.model.training.settings import TrainConfig
config = TrainConfig(epochs=6, batch=16, lr=5e-3, device="cpu", amp="off")
def step(epoch, done, steps):
    if epoch == 3 and done == 1:
        os.kill(os.getpid(), signal.SIGKILL)
Trainer(small_config(), small_data(), config, Path(sys.argv[1])).fit(on_step=step)
"""


def test_killed_in_the_middle_of_an_epoch(tmp_path):
    tests = os.path.dirname(os.path.dirname(__file__))
    paths = os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "killed")], env={**os.environ, "PYTHONPATH": paths}
    )
    assert done.returncode == -signal.SIGKILL
    data = small_data()
    resumed = Trainer(small_config(), data, QUICK, tmp_path / "killed").fit(resume=True)
    whole = Trainer(small_config(), data, QUICK, tmp_path / "whole").fit()
    assert same_weights(whole.checkpoint, resumed.checkpoint)
    assert (tmp_path / "whole/log.csv").read_bytes() == (tmp_path / "killed/log.csv").read_bytes()


def test_a_seed_makes_a_run_and_another_seed_another(tmp_path):
    data = small_data()
    runs = [
        Trainer(small_config(), data, replace(QUICK, epochs=2, seed=s), tmp_path / n).fit().checkpoint
        for n, s in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert same_weights(runs[0], runs[1])
    assert not same_weights(runs[0], runs[2])


def test_resume_refuses_other_settings_and_damage(tmp_path):
    data = small_data()
    Trainer(small_config(), data, replace(QUICK, epochs=1), tmp_path).fit()
    with pytest.raises(ModelFileError, match=r"other settings \(lr was 0.005, is 0.001\)"):
        Trainer(small_config(), data, replace(QUICK, lr=1e-3), tmp_path).fit(resume=True)
    with pytest.raises(ModelFileError, match="gate was True, is False"):
        Trainer(small_config(gate=False), data, QUICK, tmp_path).fit(resume=True)
    last = tmp_path / "last.pt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(ModelFileError, match=r"last\.pt: can't go on from it"):
        Trainer(small_config(), data, QUICK, tmp_path).fit(resume=True)


def test_early_stop(tmp_path):
    data = small_data()
    data.target[data.splits["val"]] = 3 - data.target[data.splits["val"]]  # learning makes val worse
    result = Trainer(small_config(), data, replace(QUICK, epochs=40, patience=3), tmp_path).fit()
    assert result.stopped_early
    assert result.epochs == result.best_epoch + 1 + 3


def test_a_loss_that_is_not_a_number_stops_and_names_the_last_good_checkpoint(tmp_path):
    data = small_data()
    trainer = Trainer(small_config(), data, QUICK, tmp_path)

    def poison(report):
        if report.epoch == 1:
            with torch.no_grad():
                trainer.model.classify.bias[0] = math.nan

    with pytest.raises(TrainingError, match=r"epoch 2, step 0.*best\.safetensors.*smaller --lr"):
        trainer.fit(on_epoch=poison)
    model, info = load_checkpoint(tmp_path / "best.safetensors")
    assert info.info["epoch"] <= 1
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_features_that_are_not_numbers_are_named_by_row(tmp_path):
    data = small_data()
    row = int(data.splits["train"][7])
    data.audio[row, 3, 1] = np.inf
    with pytest.raises(ModelFileError, match=rf"audio features of row {row} hold NaN or infinity"):
        Trainer(small_config(), data, QUICK, tmp_path).fit()


def test_padding_teaches_nothing(tmp_path):
    data = small_data()
    spoilt = small_data()
    for d in (data, spoilt):
        d.target[:, 6:] = IGNORE
        d.visual_mask[:, 6:] = d.audio_mask[:, 6:] = False
    spoilt.visual[:, 6:] = 50.0
    spoilt.audio[:, 6:] = -50.0
    a = Trainer(small_config(), data, replace(QUICK, epochs=2), tmp_path / "a").fit()
    b = Trainer(small_config(), spoilt, replace(QUICK, epochs=2), tmp_path / "b").fit()
    first, second = load_file(a.checkpoint), load_file(b.checkpoint)
    assert all(torch.allclose(first[k], second[k], atol=1e-5) for k in first)


def test_mixed_precision_trains(tmp_path):
    data = small_data(120)
    result = Trainer(small_config(), data, replace(QUICK, epochs=20, amp="on"), tmp_path).fit()
    assert result.best_accuracy > 0.7


def test_weak_labels_alone_find_the_event(tmp_path):
    """Only "a cat somewhere" or "nothing" is told; yet most event seconds are named right."""
    data = small_data(160)
    quiet = (data.target == 3).all(1)
    assert quiet.any()  # background-only videos, as the noisy set gives
    config = replace(QUICK, epochs=30, weak=True, pooling="lse")
    result = Trainer(small_config(), data, config, tmp_path).fit()
    model, _ = load_checkpoint(result.checkpoint)
    test = data.splits["test"]
    said, truth = predict(model, data, test).argmax(-1), data.target[test]
    event = truth != 3
    assert (said == truth)[event].mean() > 0.7


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"batch": 0}, {"lr": 0.0}, {"lr": math.nan}])
def test_impossible_settings_are_refused(bad):
    with pytest.raises(ValueError, match="must be"):
        TrainConfig(**bad)
