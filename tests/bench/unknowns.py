"""How well two out-of-distribution scores tell unknown seconds from events, on composed scenes.

    python tests/bench/unknowns.py WORK [lite | lite-yamnet]

WORK is the folder in which `avel train lite` kept what it made. Scenes are composed from its held-out
photographs and recordings: seconds that show and sound an event against seconds of neither. Prints the area
under the ROC curve of each score, and the scores above which one event second in a hundred would be vetoed.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from avel_live.model.checkpoint import load_checkpoint
from avel_live.model.labels import BACKGROUND
from avel_live.model.ood import energy, max_logit
from avel_live.model.profiles import get_profile
from avel_live.model.runtime.networks import WEIGHTS
from avel_live.model.training.lite.compose import Composer
from avel_live.model.training.lite.head import tensors
from avel_live.model.training.lite.held_out import held_out_material
from avel_live.model.training.lite.recipe import NOTHING, PLAIN
from numpy.typing import NDArray
from scipy.stats import rankdata

EVENTS = replace(PLAIN, both=1.0, heard=0, seen=0, neither=0, wrong=0, change=0, beneath=0, drop=0)


def roc_area(known: NDArray[np.float32], unknown: NDArray[np.float32]) -> float:
    """Probability that an unknown second scores higher than a known one (Mann and Whitney's U)."""
    ranks = rankdata(np.concatenate([unknown, known]))[: len(unknown)]
    return float((ranks.sum() - len(unknown) * (len(unknown) + 1) / 2) / (len(unknown) * len(known)))


def main(work: Path, profile: str = "lite") -> None:
    """Print the table."""
    head = get_profile(profile).head
    assert head is not None
    model, _ = load_checkpoint(WEIGHTS / head)
    pictures, takes = held_out_material(work, profile)
    logits: list[NDArray[np.float32]] = []
    for recipe, wanted in ((EVENTS, True), (NOTHING, False)):
        batch = Composer(pictures, takes, recipe, seed=11).batch(300)
        visual, audio, visual_mask, audio_mask, label = tensors(batch)
        with torch.inference_mode():
            answer = model(visual, audio, visual_mask, audio_mask).logits
        seconds = visual_mask & audio_mask & ((label != BACKGROUND) == wanted)
        logits.append(answer[seconds].numpy())
    known, unknown = logits
    print(f"{profile}: {len(known)} seconds of events, {len(unknown)} of nothing known")
    for name, score in (("energy", energy), ("max-logit", max_logit)):
        limit = np.quantile(score(known), 0.99)
        caught = (score(unknown) > limit).mean()
        area = roc_area(score(known), score(unknown))
        print(f"{name:10} area {area:.4f}; above {limit:.2f}: 1 % of events, {100 * caught:.1f} % of nothing")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
