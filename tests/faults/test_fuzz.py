"""Every reader of files from outside, fed with damaged ones; see `support.fuzz` for what is allowed.

Files that once were too much are kept in `tests/data/fuzz` and read again in every run.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from avel_live.calibration.confidence import Calibrator
from avel_live.calibration.contents import Calibration, Confidence
from avel_live.model.backbones.audio_cnn import AudioCNN
from avel_live.model.checkpoint import save_checkpoint
from avel_live.model.diia import DIIA, DIIAConfig
from avel_live.model.errors import AvelError
from avel_live.model.labels import LABELS
from avel_live.model.training.ave import write_features
from avel_live.model.training.lite.audio_student import save_student
from support.fuzz import TARGETS
from support.media import Clip, make_clip

TESTS = Path(__file__).resolve().parents[1]
KEPT = TESTS / "data" / "fuzz"
SECONDS = [3, pytest.param(75, marks=pytest.mark.slow)]


def media(folder: Path) -> None:
    for number, suffix in enumerate(("mp4", "mkv", "webm", "ts")):
        rate = 48_000 if suffix == "webm" else 44_100  # Opus knows no other
        make_clip(folder / f"seed{number}.{suffix}", Clip(seconds=2.0, size=(96, 72), rate=rate))


def checkpoint(folder: Path) -> None:
    config = DIIAConfig(8, 6, width=16, ffn=16, heads=2, guided_dim=8, hidden=8)
    save_checkpoint(folder / "seed.safetensors", DIIA(config), profile="lite")


def audio_weights(folder: Path) -> None:
    save_student(AudioCNN(), folder / "seed.safetensors", {})


def configuration(folder: Path) -> None:
    (folder / "seed.toml").write_text(
        'camera = "0"\nsettle = 3\nenter = 0.5\nclasses = ["Bark", "Cat"]\n'
        '[mqtt]\nurl = "mqtt://host"\n[record]\ndir = "/tmp/x"\nkeep = "5GB,30d"\n'
    )


def features(folder: Path) -> None:
    make = np.random.default_rng(0)
    visual = make.random((4, 10, 2, 2, 6)).astype(np.float32)
    splits = {"train": np.array([3, 0]), "val": np.array([1]), "test": np.array([2])}
    write_features(folder / "made", visual, make.random((4, 10, 5)).astype(np.float32), splits)
    (folder / "made" / "audio_feature.h5").rename(folder / "seed.h5")


def calibration(folder: Path) -> None:
    temperatures = Calibrator.from_temperatures(np.linspace(2, 1, 10), len(LABELS))
    whole = Calibration(
        made="2025-01-01T00:00:00+00:00",
        checkpoint="ab" * 32,
        profile="lite",
        precision="fp32",
        labels=list(LABELS),
        confidence=Confidence.of(temperatures, 300, 0.12, 0.03),
    )
    (folder / "seed.json").write_text(whole.model_dump_json(exclude_none=True))


SEEDS = {f.__name__: f for f in (media, checkpoint, audio_weights, configuration, features, calibration)}


def test_every_target_has_seeds() -> None:
    assert set(SEEDS) == set(TARGETS)


@pytest.mark.parametrize("seconds", SECONDS)
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_damaged_files_are_read_or_refused(tmp_path: Path, target: str, seconds: float) -> None:
    SEEDS[target](tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "support.fuzz", target, str(seconds), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": f"{TESTS}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        timeout=seconds + 240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    counts = json.loads(done.stdout.splitlines()[-1])
    print(target, counts)
    assert counts["tried"] > 3 * seconds
    assert counts["refused"] > 0


@pytest.mark.parametrize("path", sorted(KEPT.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_once_was_too_much(path: Path) -> None:
    with contextlib.suppress(AvelError):
        TARGETS[path.parent.name](path)
