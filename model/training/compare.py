"""The network against its baselines, its ablations and the best possible answer, on generated features.

One table in a few CPU-minutes: small dimensions, few epochs, a larger learning rate, no dropout, and each
training video drawn several times, so that what is measured is the network and not how it overfits. It
shows that the network does what it is built for; it is no claim about AVE, whose features are not Gaussian.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..checkpoint import load_checkpoint
from ..diia_config import DIIAConfig
from ..labels import BACKGROUND
from .annotations import Annotation, Splits
from .loop import Trainer, predict
from .metrics import accuracy, confusion, video_oracle
from .settings import TrainConfig
from .synthetic import EVIDENCE, Evidence, SyntheticSpec, bayes_accuracy, synthetic_data

BASELINES: Final[dict[str, dict[str, Any]]] = {
    "audio only": {"modalities": "audio"},
    "visual only": {"modalities": "visual"},
    "audio + visual": {"modalities": "concat"},
    "DIIA": {},
}
ABLATIONS: Final[dict[str, dict[str, Any]]] = {
    "DIIA without gates": {"gate": False},
    "DIIA without intra-modality attention": {"intra": False},
    "DIIA without inter-modality attention": {"inter": False},
    "DIIA without spatial-channel attention": {"guided": False},
}
TRAIN: Final = TrainConfig(epochs=12, batch=64, lr=2e-3, milestones=(6, 9, 11), amp="off", device="cpu")
SHORT: Final = replace(TRAIN, epochs=4, milestones=(2, 3))
"""Where one modality tells, a third of the epochs do."""
DRAWS: Final[dict[Evidence, int]] = {"audio": 3, "visual": 3, "joint": 6}
"""How often each training video is drawn, with other noise."""
MODEL: Final[dict[str, Any]] = {"width": 64, "ffn": 128, "spatial_dim": 32, "dropout": 0.0}


@dataclass(frozen=True)
class Cell:
    """One number of the table; `accuracy` and `background_recall` on the test split."""

    evidence: Evidence
    name: str
    accuracy: float
    background_recall: float
    cpu_s: float


def compare(
    rows: Sequence[Annotation],
    splits: Splits,
    folder: Path,
    *,
    evidence: Sequence[Evidence] = EVIDENCE,
    only: Sequence[str] | None = None,
    seed: int = 0,
    epochs: int | None = None,
    on_start: Callable[[Evidence, str], None] | None = None,
) -> Iterator[Cell]:
    """The cells of the table as they are made: the references first, then each network.

    Args:
        rows: annotations, AVE's or generated ones.
        splits: their splits; the checkpoint is picked on val, the figures are test's.
        folder: for checkpoints.
        evidence: which of the generated sets.
        only: names of networks to train; None = all.
        seed: of features and training.
        epochs: how long each network is trained; None = `TRAIN` for joint evidence, else `SHORT`.
        on_start: told what is being trained.

    """
    for kind in evidence:
        many = [*rows, *(DRAWS[kind] - 1) * [rows[i] for i in splits["train"]]]
        drawn = {**splits, "train": np.concatenate([splits["train"], np.arange(len(rows), len(many))])}
        spec = SyntheticSpec(evidence=kind, seed=seed)
        data = synthetic_data(spec, many, drawn)
        test = splits["test"]
        began = time.process_time()
        best = bayes_accuracy(spec, data, many, test)
        nan = float("nan")
        yield Cell(kind, "Bayes (the best possible)", best, nan, time.process_time() - began)
        yield Cell(kind, "perfect video classifier", video_oracle(data.target[test], BACKGROUND), 0.0, 0.0)
        train = replace(TRAIN if kind == "joint" else SHORT, seed=seed)
        if epochs is not None:
            train = replace(train, epochs=epochs)
        # Ablations say something only where both modalities are needed.
        for name, change in (BASELINES | ABLATIONS if kind == "joint" else BASELINES).items():
            if only is not None and name not in only:
                continue
            if on_start is not None:
                on_start(kind, name)
            began = time.process_time()
            config = DIIAConfig(visual_dim=spec.visual_dim, audio_dim=spec.audio_dim, **{**MODEL, **change})
            where = folder / kind / name.replace(" ", "-")
            result = Trainer(config, data, train, where).fit()
            model, _ = load_checkpoint(result.checkpoint)
            said = predict(model, data, test).argmax(-1)
            matrix = confusion(said, data.target[test], len(data.labels))
            quiet = float(matrix[BACKGROUND, BACKGROUND] / max(1, matrix[BACKGROUND].sum()))
            cpu = time.process_time() - began
            yield Cell(kind, name, accuracy(said, data.target[test]), quiet, cpu)


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation over seeds."""
    array = np.array(values)
    return float(array.mean()), float(array.std())
