"""Evidence that adds up over time: a duration model over the head's answers, beside the head's own.

    python tests/bench/summed.py WORK [lite | lite-yamnet] [--batches N]

WORK is the folder in which `avel train lite` kept what it made. The heads that ship look at ten seconds at
once and were taught with events that last; here a hidden Markov model, or the mean over the ten seconds, is
put behind them: each second's answer over its prior counts as the likelihood, sharpened by `evidence`, an
event goes on with probability `stays` and begins with `begins`, and the forward-backward algorithm adds up.
Every row has the same share of held-out seconds of nothing that get an event; the columns are those of
`recipes.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from avel_live.model.checkpoint import load_checkpoint
from avel_live.model.labels import BACKGROUND, NUM_CLASSES
from avel_live.model.profiles import get_profile
from avel_live.model.runtime.networks import head_path
from avel_live.model.training.lite.head_stage import FALSE_SECONDS
from avel_live.model.training.lite.held_out import held_out_material
from numpy.typing import NDArray
from recipes import COLUMNS, answered, columns, questions
from rich.console import Console
from rich.table import Table

Floats = NDArray[np.float64]
_ELSEWHERE: Final = 0.1
"""Probability that an event that ends gives way to another one at once."""
_PRIOR: Final = np.log(np.r_[np.full(BACKGROUND, 0.5 / BACKGROUND), 0.5])


def log_sum(x: Floats, axis: int) -> Floats:
    """Logarithm of the sum of exponentials."""
    top = x.max(axis, keepdims=True)
    total: Floats = (top + np.log(np.exp(x - top).sum(axis, keepdims=True))).squeeze(axis)
    return total


def averaged(share: float) -> Callable[[Floats], Floats]:
    """Logits [N, 10, C] → so much of each second's answer is the mean of all ten."""

    def mix(logits: Floats) -> Floats:
        known = logits - log_sum(logits, 2)[..., None]
        mixed: Floats = (1 - share) * known + share * known.mean(1, keepdims=True)
        return mixed

    return mix


def summed(evidence: float, stays: float, begins: float) -> Callable[[Floats], Floats]:
    """Logits [N, 10, C] → log posteriors of a hidden Markov model, up to a constant."""
    step = np.empty((NUM_CLASSES, NUM_CLASSES))
    step[:BACKGROUND, :BACKGROUND] = (1 - stays) * _ELSEWHERE / (BACKGROUND - 1)
    np.fill_diagonal(step, stays)
    step[:BACKGROUND, BACKGROUND] = (1 - stays) * (1 - _ELSEWHERE)
    step[BACKGROUND] = np.r_[np.full(BACKGROUND, begins / BACKGROUND), 1 - begins]
    moves = np.log(step)

    def add_up(logits: Floats) -> Floats:
        seen = evidence * (logits - _PRIOR)
        forward, backward = np.zeros_like(seen), np.zeros_like(seen)
        forward[:, 0] = _PRIOR + seen[:, 0]
        for t in range(1, seen.shape[1]):
            forward[:, t] = seen[:, t] + log_sum(forward[:, t - 1, :, None] + moves, 1)
        for t in range(seen.shape[1] - 2, -1, -1):
            backward[:, t] = log_sum(moves + (seen[:, t + 1] + backward[:, t + 1])[:, None, :], 2)
        return forward + backward

    return add_up


VARIANTS: Final[dict[str, Callable[[Floats], Floats]]] = {
    "as it ships": lambda logits: logits,
    **{f"mean of the ten seconds, {share}": averaged(share) for share in (0.1, 0.2, 0.3)},
    **{
        f"evidence {evidence}, stays {stays}, begins {begins}": summed(evidence, stays, begins)
        for evidence in (0.5, 0.7, 1.0)
        for stays, begins in ((0.8, 0.1), (0.9, 0.05), (0.98, 0.02))
    },
}


def main(work: Path, profile: str, batches: int) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    head, _ = load_checkpoint(head_path(get_profile(profile), None), profile=profile)
    head.eval()
    asked = questions(*held_out_material(work, profile), batches)
    answers = {kind: answered(head, scenes) for kind, scenes in asked.items()}
    nothing, _, known = answers.pop("nothing")
    table = Table("", *COLUMNS, title=f"{profile}, %")
    for name, change in VARIANTS.items():
        seconds = change(nothing)[known]
        ahead = seconds[:, :BACKGROUND].max(-1) - seconds[:, BACKGROUND]
        shift = float(np.quantile(ahead, 1 - FALSE_SECONDS[profile]))
        changed = {kind: (change(logits), label, both) for kind, (logits, label, both) in answers.items()}
        found = columns(changed, shift)
        table.add_row(name, *(f"{found[column]:.1f}" for column in COLUMNS))
    Console(width=110).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("profile", nargs="?", default="lite", choices=("lite", "lite-yamnet"))
    parser.add_argument("--batches", type=int, default=10, help="of 64 scenes, a question")
    chosen = parser.parse_args()
    main(chosen.work, chosen.profile, chosen.batches)
