"""Of `prefm.py`: PreFM's windows, its training, and its answers."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from avel_live.model.training.compare import MODEL
from avel_live.model.training.data import ArrayData
from avel_live.model.training.settings import TrainConfig
from prefm_net import PreFM, PreFMConfig, time_weights
from torch import Tensor, nn

PAST, FUTURE = 10, 5
Answers = np.ndarray
"""[N, T] what is said of each second as soon as it is over."""


class Watch:
    """Told of every epoch: keeps how long training took, and says when the time that was given is over."""

    def __init__(self, folder: Path, seconds: float | None) -> None:
        self._kept = folder / "cpu_s"
        self._until = None if seconds is None else time.monotonic() + seconds
        self._before, self._began = self.cpu_s, time.process_time()

    @property
    def cpu_s(self) -> float:
        """Of all runs so far."""
        return float(self._kept.read_text()) if self._kept.is_file() else 0.0

    def __call__(self, *_: object) -> None:
        self._kept.write_text(f"{self._before + time.process_time() - self._began:.1f}")
        if self._until is not None and time.monotonic() > self._until:
            raise SystemExit("time is over; the next run goes on from here")


def pictures(data: ArrayData, grid: str) -> np.ndarray:
    """[N, T, Dv] one vector a picture."""
    if grid == "mean":
        return np.ascontiguousarray(data.visual.mean(axis=(2, 3)))
    return data.visual.reshape(*data.visual.shape[:2], -1)


def windows(x: np.ndarray, rows: np.ndarray, at: np.ndarray) -> np.ndarray:
    """[B, PAST, D]: the seconds of each row that end with `at`, after zeros."""
    padded = np.concatenate([np.zeros((len(rows), PAST, x.shape[-1]), x.dtype), x[rows]], axis=1)
    return padded[np.arange(len(rows))[:, None], at[:, None] + 1 + np.arange(PAST)]


def prefm_answers(model: PreFM, data: ArrayData, seen: np.ndarray) -> Answers:
    """The last second of each window."""
    test = data.splits["test"]
    answer = np.empty((len(test), PAST), np.int64)
    for t in range(PAST):
        at = np.full(len(test), t)
        shown, heard = (torch.from_numpy(windows(x, test, at)) for x in (seen, data.audio))
        answer[:, t] = model(shown, heard)[:, PAST - 1].argmax(-1).numpy()
    return answer


def labels_of(target: np.ndarray, rows: np.ndarray, at: np.ndarray) -> Tensor:
    """[B, PAST + FUTURE]: −100 where there is no second."""
    none = np.full((len(rows), PAST), -100)
    padded = np.concatenate([none, target[rows], none], axis=1)
    return torch.from_numpy(padded[np.arange(len(rows))[:, None], at[:, None] + 1 + np.arange(PAST + FUTURE)])


def train_prefm(
    data: ArrayData, change: dict[str, Any], train: TrainConfig, last: Path, watch: Watch
) -> tuple[PreFM, np.ndarray]:
    """The best of its epochs on val, and the pictures it takes."""
    change = dict(change)
    seen = pictures(data, change.pop("grid"))
    torch.manual_seed(train.seed)
    sizes = {"width": MODEL["width"], "ffn": 4 * MODEL["width"], "dropout": MODEL["dropout"]}
    model = PreFM(PreFMConfig(seen.shape[-1], data.audio_dim, **sizes, **change))
    optimizer = torch.optim.AdamW(model.parameters(), lr=train.lr, weight_decay=1e-4)
    weight = time_weights(PAST, FUTURE)
    at_epoch, best, kept = 0, -1.0, {}
    if last.is_file():
        state = torch.load(last, weights_only=True)
        at_epoch, best, kept = state["epoch"], state["best"], state["kept"]
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    val = replace_test(data, "val")
    for epoch in range(at_epoch, train.epochs):
        for group in optimizer.param_groups:
            group["lr"] = train.lr_at(epoch)
        rng = np.random.default_rng([train.seed, epoch])
        order = rng.permutation(data.splits["train"])
        model.train()
        for rows in np.array_split(order, -(-len(order) // train.batch)):
            at = rng.integers(0, PAST, len(rows))
            shown, heard = (torch.from_numpy(windows(x, rows, at)) for x in (seen, data.audio))
            label = labels_of(data.target, rows, at)
            each = nn.functional.cross_entropy(model(shown, heard).transpose(1, 2), label, reduction="none")
            loss = (each * weight).sum() / (label >= 0).sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        model.eval()
        with torch.inference_mode():
            right = float((prefm_answers(model, val, seen) == val.target[val.splits["test"]]).mean())
        if right > best:
            best, kept = right, {name: value.clone() for name, value in model.state_dict().items()}
        state = {"epoch": epoch + 1, "best": best, "kept": kept}
        torch.save(state | {"model": model.state_dict(), "optimizer": optimizer.state_dict()}, last)
        print(f"epoch {epoch + 1}: {right:.3f} of val", flush=True)
        watch()
    model.load_state_dict(kept)
    return model, seen


def replace_test(data: ArrayData, split: str) -> ArrayData:
    """The same data, asked about another split."""
    return replace(data, splits={**data.splits, "test": data.splits[split]})
