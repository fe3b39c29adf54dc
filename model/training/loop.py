"""The training loop: the paper's settings, kept reproducible to the bit and safe to kill.

Everything random in an epoch (order, dropout, augmentation) derives from (seed, epoch), so a run that was
killed and resumed writes the very numbers of one that was not. Two files are kept, each replaced
atomically: `best.safetensors`, the checkpoint of the best *validation* epoch (never chosen on the test
split), and `last.pt`, from which `resume` goes on. `log.csv` has a line per epoch.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checkpoint import save_checkpoint
from ..committee import Head
from ..diia import DIIA, DIIAConfig
from ..diia import loss as supervised_loss
from ..errors import AvelError, ModelFileError, first_line
from ..files import replacing
from . import weak
from .data import IGNORE, Batch, DataSet, Rows, batches
from .metrics import accuracy
from .settings import TrainConfig
from .streaming import stream_like

_LAST = "avel-training-1"


class TrainingError(AvelError, ArithmeticError):
    """The loss is not a number any more; the message says where the last good checkpoint is."""

    exit_code = 4


@dataclass(frozen=True)
class EpochReport:
    """One line of the log."""

    epoch: int
    lr: float
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    best: bool


@dataclass(frozen=True)
class FitResult:
    """How training ended."""

    best_epoch: int
    best_accuracy: float
    epochs: int
    stopped_early: bool
    checkpoint: Path


@dataclass
class _Progress:
    epoch: int = 0
    """The next one to run."""
    best_epoch: int = -1
    best_accuracy: float = -1.0
    history: list[EpochReport] = field(default_factory=list)


StepHook = Callable[[int, int, int], None]
"""Called after each step with epoch, steps done, steps in the epoch."""


def _tensors(batch: Batch, device: torch.device) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(np.ascontiguousarray(x)).to(device, non_blocking=True) for x in batch)


def predict(
    model: Head, data: DataSet, rows: Rows, *, batch: int = 128, device: torch.device | None = None
) -> NDArray[np.float32]:
    """Logits [N, T, C] of whole windows, in eval mode; the model's mode is put back afterwards."""
    device = device or next(model.parameters()).device
    mode = model.training
    model.eval()
    parts = []
    with torch.inference_mode():
        for piece in batches(data, rows, batch):
            visual, audio, visual_mask, audio_mask, _, _ = _tensors(piece, device)
            parts.append(model(visual, audio, visual_mask, audio_mask).logits.float().cpu().numpy())
    model.train(mode)
    return np.concatenate(parts)


class Trainer:
    """Trains one network on one data set into one folder."""

    def __init__(self, model: DIIAConfig, data: DataSet, config: TrainConfig, folder: Path) -> None:
        self.config, self.data, self.folder = config, data, folder
        name = config.device
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(name)
        self.amp = config.amp == "on" or (config.amp == "auto" and self.device.type == "cuda")
        bf16 = self.device.type == "cpu" or torch.cuda.is_bf16_supported()
        self.amp_type = torch.bfloat16 if bf16 else torch.float16
        torch.manual_seed(config.seed)
        self.model = DIIA(model).to(self.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.lr)
        # bfloat16 has float32's range and needs no scaling of the loss.
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.amp and not bf16)
        self.progress = _Progress()
        self.best_file, self.last_file = folder / "best.safetensors", folder / "last.pt"

    def fit(
        self,
        *,
        resume: bool = False,
        on_epoch: Callable[[EpochReport], None] | None = None,
        on_step: StepHook | None = None,
    ) -> FitResult:
        """Train until `epochs`, or until validation stops improving.

        Args:
            resume: go on from `last.pt` if it is there.
            on_epoch: called with each finished epoch.
            on_step: called after each step, for a progress bar.

        Raises:
            TrainingError: the loss is not finite.
            ModelFileError: features are not finite, or `last.pt` is damaged or of another configuration.

        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if resume and self.last_file.exists():
            self._load()
        elif self.last_file.exists():
            self.last_file.unlink()
        p, c = self.progress, self.config
        stopped = False
        while p.epoch < c.epochs:
            if stopped := p.best_epoch >= 0 and p.epoch - 1 - p.best_epoch >= c.patience:
                break
            report = self._epoch(p.epoch, on_step)
            p.history.append(report)
            p.epoch += 1
            if report.best:
                p.best_epoch, p.best_accuracy = report.epoch, report.val_accuracy
                self._save_best(report)
            self._save_last()
            self._write_log()
            if on_epoch is not None:
                on_epoch(report)
        return FitResult(p.best_epoch, p.best_accuracy, p.epoch, stopped, self.best_file)

    def _epoch(self, epoch: int, on_step: StepHook | None) -> EpochReport:
        c = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = c.lr_at(epoch)
        torch.manual_seed(int(np.random.default_rng([c.seed, epoch]).integers(2**62)))
        train = self.data.splits["train"]
        order = train[np.random.default_rng([c.seed, epoch, 0]).permutation(len(train))]
        steps = math.ceil(len(order) / c.batch)
        self.model.train()
        total = right = seconds = 0.0
        for step, batch in enumerate(batches(self.data, order, c.batch)):
            if c.streaming is not None:
                rng = np.random.default_rng([c.seed, epoch, 1 + step])
                batch = stream_like(batch, c.streaming, rng, len(self.data.labels))
            value, hits, count = self._step(batch, epoch, step, order)
            total += value
            right += hits
            seconds += count
            if on_step is not None:
                on_step(epoch, step + 1, steps)
        val = self.data.splits["val"]
        logits = predict(self.model, self.data, val, batch=c.batch, device=self.device)
        val_loss = self._value(torch.from_numpy(logits), *self._answers(val))
        val_accuracy = accuracy(logits.argmax(-1), self.data.target[val])
        return EpochReport(
            epoch,
            c.lr_at(epoch),
            total / steps,
            right / max(seconds, 1),
            float(val_loss),
            val_accuracy,
            val_accuracy > self.progress.best_accuracy,
        )

    def _answers(self, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
        target = torch.from_numpy(self.data.target[rows])
        return target, torch.from_numpy(self.data.video_target[rows]), target != IGNORE

    def _value(self, logits: Tensor, target: Tensor, video_target: Tensor, valid: Tensor) -> Tensor:
        if self.config.weak:
            return weak.loss(logits, video_target, valid, self.config.pooling)
        return supervised_loss(logits, target)

    def _step(self, batch: Batch, epoch: int, step: int, order: Rows) -> tuple[float, int, int]:
        visual, audio, visual_mask, audio_mask, target, video_target = _tensors(batch, self.device)
        with torch.autocast(self.device.type, self.amp_type, enabled=self.amp):
            logits = self.model(visual, audio, visual_mask, audio_mask).logits
        valid = target != IGNORE
        value = self._value(logits.float(), target, video_target, valid)
        if not torch.isfinite(value):
            self._stop(batch, epoch, step, order)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(value).backward()
        if self.config.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        hits = int(((logits.argmax(-1) == target) & valid).sum())
        return float(value.detach()), hits, int(valid.sum())

    def _stop(self, batch: Batch, epoch: int, step: int, order: Rows) -> None:
        for name, values in (("visual", batch.visual), ("audio", batch.audio)):
            bad = ~np.isfinite(values).reshape(len(values), -1).all(1)
            if bad.any():
                row = int(order[step * self.config.batch + int(bad.argmax())])
                raise ModelFileError(
                    f"{name} features of row {row} hold NaN or infinity (epoch {epoch}, step {step}); "
                    "extract that video again, or leave it out of the split"
                )
        kept = (
            f"the last good checkpoint is {self.best_file} (epoch {self.progress.best_epoch})"
            if self.progress.best_epoch >= 0
            else "no checkpoint had been written yet"
        )
        raise TrainingError(
            f"the loss is not finite at epoch {epoch}, step {step}; {kept}; "
            f"try a smaller --lr (now {self.config.lr_at(epoch):g}) or --clip-norm 1"
        )

    def _save_best(self, report: EpochReport) -> None:
        info = {
            "epoch": report.epoch,
            "val_accuracy": report.val_accuracy,
            "train": _plain(self.config),
            "videos": {name: len(rows) for name, rows in self.data.splits.items()},
        }
        save_checkpoint(
            self.best_file,
            self.model,
            profile=self.data.profile,
            labels=self.data.labels,
            info=info,
            stored="float16" if self.config.half else "float32",
        )

    def _identity(self) -> dict[str, Any]:
        """What must be the same when training goes on; only `epochs` and `patience` may grow."""
        train = _plain(self.config)
        for name in ("epochs", "patience", "device"):
            train.pop(name)
        return {
            **train,
            **self.model.config.to_dict(),
            "labels": list(self.data.labels),
            "profile": self.data.profile,
            "train_rows": len(self.data.splits["train"]),
        }

    def _save_last(self) -> None:
        state = {
            "format": _LAST,
            "identity": json.dumps(self._identity()),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "epoch": self.progress.epoch,
            "best_epoch": self.progress.best_epoch,
            "best_accuracy": self.progress.best_accuracy,
            "history": json.dumps([asdict(r) for r in self.progress.history]),
        }
        with replacing(self.last_file) as temporary:
            torch.save(state, temporary)

    def _load(self) -> None:
        try:
            state = torch.load(self.last_file, map_location=self.device, weights_only=True)
            if state["format"] != _LAST:
                raise ValueError(f"format {state['format']!r}")
            was, now = json.loads(state["identity"]), json.loads(json.dumps(self._identity()))
        except Exception as error:  # torch.load raises many kinds for damaged files
            raise ModelFileError(
                f"{self.last_file}: can't go on from it ({first_line(error)}); delete it to start anew"
            ) from error
        if changed := sorted(k for k in {*was, *now} if was.get(k) != now.get(k)):
            detail = ", ".join(f"{k} was {was.get(k)}, is {now.get(k)}" for k in changed[:3])
            raise ModelFileError(
                f"{self.last_file}: was trained with other settings ({detail}); "
                "give the same ones, or another --out"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        history = [EpochReport(**r) for r in json.loads(state["history"])]
        self.progress = _Progress(state["epoch"], state["best_epoch"], state["best_accuracy"], history)

    def _write_log(self) -> None:
        with replacing(self.folder / "log.csv") as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(EpochReport.__dataclass_fields__))
            writer.writeheader()
            writer.writerows(asdict(r) for r in self.progress.history)


def _plain(config: TrainConfig) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return plain
