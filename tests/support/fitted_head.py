"""A head for networks of random weights whose labels differ from clip to clip: fitted to clips' own labels.

It knows nothing of other clips. What it is for: whether two precisions give the same label means nothing
where every second has the same.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from avel_live.model.diia import DIIAConfig
from avel_live.model.labels import LABELS
from avel_live.model.profiles import WINDOW
from avel_live.model.training.data import ArrayData
from avel_live.model.training.loop import TrainConfig, Trainer
from avel_live.realtime.recordings.labelled import read_manifest

from .rtx import seconds_of

EPOCHS = 40


def fitted_head(path: Path, engine: Any, folder: Path, clips: Collection[Path]) -> Path:
    """Fit one, unless it is there.

    Args:
        path: of the checkpoint.
        engine: its eye and ear give the features, one picture a second.
        folder: has MANIFEST.tsv.
        clips: which of its recordings.

    """
    if path.is_file():
        return path
    eyes, ears, truth = [], [], []
    for clip, targets in read_manifest(folder, LABELS):
        if clip not in clips:
            continue
        known = list(seconds_of(clip))[: len(targets)]
        seen = np.concatenate([engine.visual(picture[None]) for picture, _ in known])
        heard = np.stack([engine.audio(sound) for _, sound in known])
        for at in range(max(1, len(known) - WINDOW + 1)):
            rows = np.arange(at, at + WINDOW) % len(known)  # a short clip is said again
            eyes.append(seen[rows])
            ears.append(heard[rows])
            truth.append(targets[rows])
    rows = np.arange(len(truth))
    splits = dict.fromkeys(("train", "val", "test"), rows)
    data = ArrayData.of(np.stack(eyes), np.stack(ears), np.stack(truth), splits, profile=engine.profile.name)
    config = DIIAConfig(visual_dim=data.visual_dim, audio_dim=data.audio_dim)
    with tempfile.TemporaryDirectory() as scratch:
        training = TrainConfig(epochs=EPOCHS, batch=16, patience=EPOCHS, device="cpu")
        result = Trainer(config, data, training, Path(scratch)).fit()
        print(f"head fitted to {len(truth)} windows: {result.best_accuracy:.1%} of their seconds")
        shutil.copyfile(result.checkpoint, path)
    return path
