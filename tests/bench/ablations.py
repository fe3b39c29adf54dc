"""What each part of the bundled head earns: it is taken out, and the head trained again, with three seeds.

    python tests/bench/ablations.py WORK [lite | lite-yamnet] [--steps N] [--seeds N]

WORK is the folder in which `avel train lite` kept what it made. Every head is trained on scenes composed
from the training material and judged on scenes composed from what was held out. Results are kept in
WORK/ablations_PROFILE.jsonl, a line a head: a killed run goes on with the next one.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from avel_live.model.training.lite.compose import Composer
from avel_live.model.training.lite.head import HeadSettings, scene_accuracy, train_head
from avel_live.model.training.lite.head_stage import head_config
from avel_live.model.training.lite.hearing import join_takes, load_takes
from avel_live.model.training.lite.pictures import load_picture_pools
from avel_live.model.training.lite.recipe import PLAIN, RECIPE
from rich.console import Console
from rich.table import Table

VARIANTS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "without gates": {"gate": False},
    "without intra-modality attention": {"intra": False},
    "without inter-modality attention": {"inter": False},
    "without spatial-channel attention": {"guided": False},
    "depth 2": {"depth": 2},
    "width 96": {"width": 96},
    "width 192": {"width": 192},
}


def results_of(path: Path) -> dict[tuple[str, int, int], tuple[float, float]]:
    """What is already known: accuracy and event-second recall by variant, seed and steps."""
    lines = path.read_text().splitlines() if path.is_file() else []
    rows = [json.loads(line) for line in lines]
    return {(r["variant"], r["seed"], r["steps"]): (r["accuracy"], r["recall"]) for r in rows}


def main(work: Path, profile: str, steps: int, seeds: int) -> None:
    """Train what is missing and print the table."""
    torch.set_num_threads(1)
    kept = work / f"ablations_{profile}.jsonl"
    done = results_of(kept)
    console = Console(width=110)
    pictures, held_pictures = load_picture_pools(work / "views.npz", work / "pictures.npz")
    takes, held_takes = (
        join_takes([load_takes(path) for path in sorted(work.glob(f"takes_{profile}_{part}_*.npz"))])
        for part in ("train", "validation")
    )
    tests = [Composer(held_pictures, held_takes, PLAIN, 50 + k).batch(64) for k in range(6)]
    for seed in range(seeds):
        for name, change in VARIANTS.items():
            if (name, seed, steps) in done:
                continue
            settings = HeadSettings(steps=steps, validate_every=steps, seed=seed)
            composer = Composer(pictures, takes, RECIPE, seed)
            model, _ = train_head(replace(head_config(profile), **change), settings, composer, tests[:1])
            accuracy, recall = scene_accuracy(model, tests)
            done[name, seed, steps] = accuracy, recall
            row = {"variant": name, "seed": seed, "steps": steps, "accuracy": accuracy, "recall": recall}
            with kept.open("a") as file:
                file.write(json.dumps(row) + "\n")
            console.print(f"{name}, seed {seed}: {100 * accuracy:.1f} / {100 * recall:.1f}", markup=False)
    table = Table("", "seconds named rightly", "event seconds", title=f"{profile}, {steps} steps, %")
    for name in VARIANTS:
        found = np.array([100 * np.array(done[name, seed, steps]) for seed in range(seeds)])
        spread = found.std(axis=0, ddof=1) if seeds > 1 else np.zeros(2)
        table.add_row(name, *(f"{m:.1f} ± {s:.1f}" for m, s in zip(found.mean(axis=0), spread, strict=True)))
    console.print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("profile", nargs="?", default="lite", choices=("lite", "lite-yamnet"))
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    main(chosen.work, chosen.profile, chosen.steps, chosen.seeds)
