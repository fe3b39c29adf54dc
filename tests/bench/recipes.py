"""What scenes should hold: heads are trained with each part of the recipe alone, and asked kind by kind.

    python tests/bench/recipes.py WORK [lite | lite-yamnet] [--steps N] [--seeds N] [--shipped] [--heads FILE]

WORK is the folder in which `avel train lite` kept what it made. Every head is trained on scenes composed
from the training material and judged on scenes composed from what was held out, at one prior: the share of
held-out seconds of nothing that gets an event is that of the heads that ship. Columns, %: seconds of all
kinds of scenes named rightly; of events; of *weak* events, the least clear third of the held-out takes of a
class in which it lasts eight seconds or more; and seconds wrongly given an event: where it is seen and what
is *almost* it is heard, where it is heard weakly for a *moment* (or another is heard), and where it
*pauses* in view. `--shipped` judges the heads that ship on the same scenes, `--heads` those of a file
(`--seeds 0` nothing else). Results are kept in
WORK/recipes_PROFILE.jsonl, a line a head: a killed run goes on with the next one.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from avel_live.model.checkpoint import load_checkpoint
from avel_live.model.committee import Head
from avel_live.model.files import SHIPPED
from avel_live.model.labels import BACKGROUND
from avel_live.model.training.lite.compose import Composer
from avel_live.model.training.lite.head import HeadSettings, background_shift, tensors, train_head
from avel_live.model.training.lite.head_stage import FALSE_SECONDS, head_config
from avel_live.model.training.lite.hearing import join_takes, load_takes
from avel_live.model.training.lite.material import Batch, PicturePool, TakePool
from avel_live.model.training.lite.pictures import load_picture_pools
from avel_live.model.training.lite.recipe import NOTHING, PLAIN, PLANS, RECIPE, Recipe
from rich.console import Console
from rich.table import Table

_NONE: Final = replace(RECIPE, near=0.0, pauses=0.0)
VARIANTS: Final[dict[str, dict[str, float]]] = {
    "none of the parts": {},
    "near neighbours": {"near": 0.08},
    "weak events and moments": {"weak": 0.25, "brief": 0.5},
    "pauses": {"pauses": 0.2},
    "near neighbours and pauses": {"near": 0.08, "pauses": 0.2},
    "all of these": {"near": 0.08, "weak": 0.25, "brief": 0.5, "pauses": 0.2},
    "near neighbours, pauses, steady": {"near": 0.08, "pauses": 0.2, "steady": 0.5},
}
COLUMNS: Final = ("all", "events", "weak", "almost", "moment", "pause")
_LASTS: Final = 8
"""Seconds."""
Answers = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Logits [N, 10, C], labels [N, 10], and which seconds are both seen and heard [N, 10]."""


def only(plan: str, **parts: float) -> Recipe:
    """Scenes of one plan, as they are."""
    return replace(PLAIN, **{name: float(name == plan) for name in PLANS}, drop=0, **parts)


def weak_takes(takes: TakePool) -> TakePool:
    """Nothing, and of each event the least clear third of the takes in which it lasts."""
    clarity, lasting = takes.clarity(), takes.audible.sum(axis=1) >= _LASTS
    chosen = [takes.nothing()]
    for kind in range(BACKGROUND):
        mine = np.flatnonzero(lasting & (takes.kind == kind))
        chosen.append(mine[np.argsort(clarity[mine])][: -(-len(mine) // 3)])
    rows = np.sort(np.concatenate(chosen))
    return TakePool(*(getattr(takes, name)[rows] for name in TakePool.__annotations__))


def questions(pictures: PicturePool, takes: TakePool, batches: int) -> dict[str, list[Batch]]:
    """Held-out scenes by the column that they answer."""

    def batch(recipe: Recipe, pool: TakePool, seed: int) -> list[Batch]:
        return [Composer(pictures, pool, recipe, seed + k).batch(64) for k in range(batches)]

    return {
        "all": batch(PLAIN, takes, 50),
        "weak": batch(only("both", lasting=0), weak_takes(takes), 150),
        "almost": batch(only("near"), takes, 250),
        "moment": batch(only("seen", brief=1, alike=0), takes, 350),
        "pause": batch(only("both", pauses=1), takes, 450),
        "nothing": [Composer(pictures, takes, NOTHING, 20 + k).batch(64) for k in range(4 * batches)],
    }


def paused(label: np.ndarray) -> np.ndarray:
    """[N, 10]: seconds of background with an event before and after."""
    named = label != BACKGROUND
    before = np.logical_or.accumulate(named, axis=1)
    after = np.logical_or.accumulate(named[:, ::-1], axis=1)[:, ::-1]
    return before & after & ~named


@torch.inference_mode()
def answered(head: Head, batches: list[Batch]) -> Answers:
    """What a head, in eval mode, says of scenes."""
    logits, labels, known = [], [], []
    for batch in batches:
        visual, audio, visual_mask, audio_mask, label = tensors(batch)
        logits.append(head(visual, audio, visual_mask, audio_mask).logits.numpy())
        labels.append(label.numpy())
        known.append((visual_mask & audio_mask).numpy())
    return np.concatenate(logits), np.concatenate(labels), np.concatenate(known)


def columns(answers: dict[str, Answers], shift: float) -> dict[str, float]:
    """What answers are worth, by column, in per cent, with `shift` added to the background's logit."""
    found: dict[str, float] = {}
    for column, (logits, label, both) in answers.items():
        shifted = logits.copy()
        shifted[..., BACKGROUND] += shift
        answer = shifted.argmax(-1)
        event = both & (label != BACKGROUND)
        right, said = answer == label, answer != BACKGROUND
        if column == "all":
            found["all"], found["events"] = 100 * right[both].mean(), 100 * right[event].mean()
        elif column == "weak":
            found["weak"] = 100 * right[event].mean()
        else:
            asked_of = both & (paused(label) if column == "pause" else label == BACKGROUND)
            found[column] = 100 * said[asked_of].mean()
    return {column: float(found[column]) for column in COLUMNS}


def judged(head: Head, asked: dict[str, list[Batch]], share: float) -> dict[str, float]:
    """What a head is worth, by column, in per cent."""
    head.eval()
    shift = background_shift(head, asked["nothing"], share)
    said = {column: answered(head, batches) for column, batches in asked.items() if column != "nothing"}
    return columns(said, shift)


def main(work: Path, profile: str, steps: int, seeds: int, batches: int, files: dict[str, Path]) -> None:
    """Train what is missing and print the table."""
    torch.set_num_threads(1)
    kept = work / f"recipes_{profile}.jsonl"
    lines = kept.read_text().splitlines() if kept.is_file() else []
    done = {(r["variant"], r["seed"], r["steps"]): r for r in map(json.loads, lines)}
    pictures, held_pictures = load_picture_pools(work / "views.npz", work / "pictures.npz")
    takes, held_takes = (
        join_takes([load_takes(path) for path in sorted(work.glob(f"takes_{profile}_{part}_*.npz"))])
        for part in ("train", "validation")
    )
    asked = questions(held_pictures, held_takes, batches)
    console = Console(width=110)
    table = Table("", *COLUMNS, title=f"{profile}, {steps} steps, {seeds} seeds, %")
    for name, path in files.items():
        row = judged(load_checkpoint(path, profile=profile)[0], asked, FALSE_SECONDS[profile])
        table.add_row(name, *(f"{row[column]:.1f}" for column in COLUMNS))
    for name, parts in VARIANTS.items() if seeds else ():
        for seed in range(seeds):
            if (name, seed, steps) in done:
                continue
            settings = HeadSettings(steps=steps, validate_every=steps, seed=seed)
            composer = Composer(pictures, takes, replace(_NONE, **parts), seed)
            head, _ = train_head(head_config(profile), settings, composer, asked["all"][:1])
            row = {"variant": name, "seed": seed, "steps": steps}
            done[name, seed, steps] = {**row, **judged(head, asked, FALSE_SECONDS[profile])}
            with kept.open("a") as file:
                file.write(json.dumps(done[name, seed, steps]) + "\n")
        rows = [done[name, seed, steps] for seed in range(seeds)]
        cells = []
        for column in COLUMNS:
            values = np.array([row[column] for row in rows])
            spread = f" ± {values.std(ddof=1):.1f}" if seeds > 1 else ""
            cells.append(f"{values.mean():.1f}{spread}")
        table.add_row(name, *cells)
    console.print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("profile", nargs="?", default="lite", choices=("lite", "lite-yamnet"))
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--batches", type=int, default=6, help="of 64 scenes, a question")
    parser.add_argument("--shipped", action="store_true", help="judge the heads that ship, too")
    parser.add_argument("--heads", type=Path, help="judge the heads of this file, too")
    chosen = parser.parse_args()
    asked_for: dict[str, Path] = {}
    if chosen.shipped:
        asked_for["the heads that ship"] = SHIPPED / f"{chosen.profile.replace('-', '_')}_head.safetensors"
    if chosen.heads:
        asked_for[chosen.heads.name] = chosen.heads
    main(chosen.work, chosen.profile, chosen.steps, chosen.seeds, chosen.batches, asked_for)
