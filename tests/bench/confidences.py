"""How sure the heads that ship are of composed scenes, kind by kind: too sure, or too modest?

    python tests/bench/confidences.py WORK [lite | lite-yamnet] [--batches N]

WORK is the folder in which `avel train lite` kept what it made; the kinds of held-out scenes are those of
`recipes.py`. For each: seconds, the calibration error of the raw confidences, and the temperature that suits
them best: above 1 the heads are too sure, below it too modest.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from avel_live.calibration.confidence import fit_temperature
from avel_live.model.checkpoint import load_checkpoint
from avel_live.model.files import SHIPPED
from avel_live.model.probabilities import reliability, softmax
from avel_live.model.training.lite.head import tensors
from avel_live.model.training.lite.hearing import join_takes, load_takes
from avel_live.model.training.lite.pictures import load_picture_pools
from recipes import questions
from rich.console import Console
from rich.table import Table


@torch.inference_mode()
def main(work: Path, profile: str, batches: int) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    _, pictures = load_picture_pools(work / "views.npz", work / "pictures.npz")
    takes = join_takes([load_takes(p) for p in sorted(work.glob(f"takes_{profile}_validation_*.npz"))])
    head, _ = load_checkpoint(SHIPPED / f"{profile.replace('-', '_')}_head.safetensors", profile=profile)
    head.eval()
    table = Table("scenes", "seconds", "calibration error", "temperature", title=profile)
    for kind, asked in questions(pictures, takes, batches).items():
        logits, labels = [], []
        for batch in asked[:batches]:
            visual, audio, visual_mask, audio_mask, label = tensors(batch)
            known = (visual_mask & audio_mask).numpy()
            logits.append(head(visual, audio, visual_mask, audio_mask).logits.numpy()[known])
            labels.append(label.numpy()[known])
        said, right = np.concatenate(logits), np.concatenate(labels)
        sure = softmax(said)
        error = reliability(sure.max(-1), sure.argmax(-1) == right).error
        table.add_row(kind, str(len(right)), f"{error:.3f}", f"{fit_temperature(said, right):.2f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("profile", nargs="?", default="lite", choices=("lite", "lite-yamnet"))
    parser.add_argument("--batches", type=int, default=4, help="of 64 scenes, a kind")
    chosen = parser.parse_args()
    main(chosen.work, chosen.profile, chosen.batches)
