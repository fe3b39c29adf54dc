"""DIIA beside PreFM's published architecture: answers at once, without any future, on generated features.

    python tests/bench/prefm.py WORK [--annotations DIR] [--epochs 6] [--only NAME …] [--for-s 200]
    python tests/bench/prefm.py WORK --cost        milliseconds a step on one core

Both see the ten seconds that end now (less where the stream has just begun) and name the last of them. Both
learn from the same videos, by cross-entropy, for as many epochs, with the settings of `avel train
synthetic` and PreFM's own weighing of seconds, judging of seconds to come, and clipping; both as wide as
there (64). `best possible` is the exact posterior given the seconds so far, `with the future` given all ten.
PreFM takes one vector a picture: the mean over the grid, as a network's pooled output would be, or, which is
more than it asks for, the whole grid in one vector. What is left out of it: `prefm_net.py`.

WORK keeps what was trained, epoch by epoch; `--for-s` ends a run after so long, and the next one goes on.
Not shown: real features. These are Gaussian, AVE's features were not at hand, and PreFM is made for events
that overlap, which AVE has none of.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from avel_live.model.checkpoint import load_checkpoint
from avel_live.model.diia import DIIA
from avel_live.model.diia_config import DIIAConfig
from avel_live.model.training.annotations import generate, read_annotations, read_splits
from avel_live.model.training.compare import DRAWS, MODEL, TRAIN
from avel_live.model.training.data import ArrayData
from avel_live.model.training.loop import Trainer
from avel_live.model.training.settings import TrainConfig
from avel_live.model.training.streaming import StreamingOptions
from avel_live.model.training.synthetic import (
    SyntheticSpec,
    likelihood_ratios,
    posterior,
    synthetic_data,
)
from prefm_net import PreFM, PreFMConfig
from prefm_train import PAST, Answers, Watch, prefm_answers, train_prefm
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

NETWORKS: dict[str, dict[str, Any]] = {
    "DIIA, causal": {"causal": True},
    "DIIA, windows that have begun": {},
    "PreFM, mean over the grid": {"grid": "mean"},
    "PreFM, whole grid": {"grid": "whole"},
    "PreFM, whole grid, positions": {"grid": "whole", "positions": True},
}


def best_possible(spec: SyntheticSpec, data: ArrayData, rows: list[Any]) -> Iterator[tuple[str, Answers]]:
    """The exact posterior's answers: of the seconds so far, and of all."""
    test = data.splits["test"]
    train = [rows[k] for k in data.splits["train"]]
    whole, at_once = [], []
    for part in np.array_split(test, max(1, len(test) // 64)):
        says = likelihood_ratios(spec, data.visual[part], data.audio[part])
        whole.append(posterior(spec, *says, train).argmax(-1))
        answer = np.empty_like(whole[-1])
        for t in range(PAST):
            so_far = [np.where(np.arange(PAST)[:, None] <= t, one, 0.0) for one in says]
            answer[:, t] = posterior(spec, so_far[0], so_far[1], train)[:, t].argmax(-1)
        at_once.append(answer)
    yield "best possible", np.concatenate(at_once)
    yield "best possible with the future", np.concatenate(whole)


def diia_answers(model: nn.Module, data: ArrayData) -> Answers:
    """Each prefix as a window that has just begun."""
    test = data.splits["test"]
    visual, audio = (torch.from_numpy(x[test]) for x in (data.visual, data.audio))
    answer = np.empty((len(test), PAST), np.int64)
    for t in range(PAST):
        here = torch.arange(PAST).expand(len(test), -1) <= t
        parts = [
            model(visual[k] * here[k, :, None, None, None], audio[k] * here[k, :, None], here[k], here[k])
            for k in torch.arange(len(test)).split(128)
        ]
        answer[:, t] = torch.cat([one.logits[:, t] for one in parts]).argmax(-1).numpy()
    return answer


def settings(epochs: int, seed: int) -> TrainConfig:
    """Those of the table of `avel train synthetic`, their schedule as long as wanted."""
    milestones = (max(1, epochs // 2), max(1, epochs * 2 // 3), max(1, epochs * 5 // 6))
    return replace(TRAIN, epochs=epochs, milestones=milestones, seed=seed)


def answers(name: str, data: ArrayData, train: TrainConfig, here: Path, watch: Watch) -> tuple[Answers, int]:
    """Train one network, ask it; and how many parameters it has."""
    if name.startswith("PreFM"):
        model, seen = train_prefm(data, NETWORKS[name], train, here / "last.pt", watch)
        with torch.inference_mode():
            return prefm_answers(model.eval(), data, seen), _count(model)
    change = NETWORKS[name]
    if not change.get("causal"):  # every window is one that has begun
        train = replace(train, streaming=StreamingOptions(start_up=1.0, missing=0.0, offset=0.0))
    config = DIIAConfig(visual_dim=data.visual_dim, audio_dim=data.audio_dim, **{**MODEL, **change})
    result = Trainer(config, data, train, here).fit(resume=True, on_epoch=watch)
    diia, _ = load_checkpoint(result.checkpoint)
    with torch.inference_mode():
        return diia_answers(diia.eval(), data), _count(diia)


def _count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def accuracies(given: argparse.Namespace) -> None:
    """Train what is missing, print the table."""
    torch.set_num_threads(1)
    given.work.mkdir(parents=True, exist_ok=True)
    kept = given.work / "prefm.jsonl"
    lines = kept.read_text().splitlines() if kept.is_file() else []
    done = {(r["evidence"], r["seed"], r["epochs"], r["name"]): r for r in map(json.loads, lines)}
    rows, splits = generate()
    if given.annotations:
        rows = read_annotations(given.annotations / "Annotations.txt")
        splits = read_splits(given.annotations, rows)
    many = [*rows, *(DRAWS[given.evidence] - 1) * [rows[k] for k in splits["train"]]]
    drawn = {**splits, "train": np.concatenate([splits["train"], np.arange(len(rows), len(many))])}
    spec = SyntheticSpec(evidence=given.evidence, seed=given.seed)
    data = synthetic_data(spec, many, drawn)
    target = data.target[data.splits["test"]]

    def keep(name: str, said: Answers, parameters: int, cpu_s: float) -> None:
        by_second = (said == target).mean(axis=0)
        epochs = given.epochs if parameters else 0
        row = {"evidence": given.evidence, "seed": given.seed, "epochs": epochs, "name": name}
        row["parameters"] = parameters
        row |= {"accuracy": float((said == target).mean()), "by_second": by_second.tolist(), "cpu_s": cpu_s}
        done[given.evidence, given.seed, epochs, name] = row
        with kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    if (given.evidence, given.seed, 0, "best possible") not in done:
        for name, said in best_possible(spec, data, many):
            keep(name, said, 0, 0.0)
    train = settings(given.epochs, given.seed)
    for name in given.only or NETWORKS:
        if (given.evidence, given.seed, given.epochs, name) not in done:
            folder = given.work / f"{given.evidence}-{given.seed}-{given.epochs}" / name.replace(" ", "-")
            folder.mkdir(parents=True, exist_ok=True)
            watch = Watch(folder, given.for_s)
            said, parameters = answers(name, data, train, folder, watch)
            keep(name, said, parameters, watch.cpu_s)
    print("| evidence, seed | network | parameters | epochs | cpu s | at once, % | 1st second | 5th | 10th |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (evidence, seed, epochs, name), row in sorted(done.items()):
        first, fifth, last = (100 * row["by_second"][k] for k in (0, 4, 9))
        print(
            f"| {evidence}, {seed} | {name} | {row['parameters']:,} | {epochs} "
            f"| {row['cpu_s']:.0f} | {100 * row['accuracy']:.1f} "
            f"| {first:.1f} | {fifth:.1f} | {last:.1f} |"
        )


def cost() -> None:
    """A step of one stream: a second is over, its answer is wanted; features are there already."""
    torch.set_num_threads(1)
    heard, seen = torch.randn(1, PAST, 128), torch.randn(1, PAST, 7, 7, 512)
    vector = seen.mean(dim=(2, 3))
    diia = DIIA(DIIAConfig()).eval()
    published = PreFM(PreFMConfig(visual_dim=512, audio_dim=128)).eval()
    steps: dict[str, tuple[nn.Module, Callable[[], object]]] = {
        "DIIA (grids of 7 x 7 x 512)": (diia, lambda: diia(seen, heard)),
        "PreFM (vectors of 512)": (published, lambda: published(vector, heard)),
    }
    print(
        "| network, width 256 | parameters | million multiplications a step | ms a step |\n|---|---|---|---|"
    )
    for name, (model, step) in steps.items():
        counter = FlopCounterMode(display=False)  # not in inference mode: fused attention is not counted
        with counter:
            step()
        with torch.inference_mode():
            for _ in range(20):
                step()
            took = []
            for _ in range(200):
                began = time.process_time()
                step()
                took.append(time.process_time() - began)
        million = counter.get_total_flops() / 2e6
        print(f"| {name} | {_count(model):,} | {million:.0f} | {1000 * float(np.median(took)):.1f} |")


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--annotations", type=Path, help="the folder of AVE's annotations and splits")
    parser.add_argument("--evidence", choices=list(DRAWS), default="joint")
    parser.add_argument("--only", nargs="*", choices=list(NETWORKS))
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--for-s", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cost", action="store_true")
    given = parser.parse_args()
    cost() if given.cost else accuracies(given)


if __name__ == "__main__":
    main()
