"""How sure the heads that ship are of composed scenes, kind by kind: too sure, or too modest?

    python tests/bench/confidences.py WORK [lite | lite-yamnet] [--batches N]

WORK is the folder in which `avel train lite` kept what it made; the kinds of held-out scenes are those of
`recipes.py`. For each: seconds, the calibration error of the raw confidences, and the temperature that suits
them best: above 1 the heads are too sure, below it too modest.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from avel_live.calibration.confidence import fit_temperature
from avel_live.model.checkpoint import load_checkpoint
from avel_live.model.probabilities import reliability, softmax
from avel_live.model.profiles import get_profile
from avel_live.model.runtime.networks import head_path
from avel_live.model.training.lite.held_out import held_out_material
from recipes import answered, questions
from rich.console import Console
from rich.table import Table


def main(work: Path, profile: str, batches: int) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    head, _ = load_checkpoint(head_path(get_profile(profile), None), profile=profile)
    head.eval()
    table = Table("scenes", "seconds", "calibration error", "temperature", title=profile)
    for kind, asked in questions(*held_out_material(work, profile), batches).items():
        logits, labels, known = answered(head, asked[:batches])
        said, right = logits[known], labels[known]
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
