"""How a head is trained: the paper's settings, and what the paper leaves open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .streaming import StreamingOptions
from .weak import Pooling


@dataclass(frozen=True)
class TrainConfig:
    """How to train; the defaults are the paper's where it says, else noted.

    Attributes:
        epochs: at most (not in the paper).
        batch: windows per step.
        lr: Adam's learning rate.
        milestones: epochs at which it is multiplied by `decay`.
        decay: "reduced to 0.5".
        patience: stop after so many epochs without a better validation accuracy (not in the paper).
        seed: of everything random.
        weak: learn from video labels only.
        pooling: how weak supervision pools segments.
        streaming: augment windows as a stream would deliver them; None as in the paper.
        clip_norm: largest norm of the gradient; None as in the paper.
        amp: mixed precision; "auto" = on a GPU.
        device: "auto" = CUDA where there is one.
        half: store checkpoints in float16.

    """

    epochs: int = 60
    batch: int = 128
    lr: float = 7e-4
    milestones: tuple[int, ...] = (10, 20, 30)
    decay: float = 0.5
    patience: int = 20
    seed: int = 0
    weak: bool = False
    pooling: Pooling = "mean"
    streaming: StreamingOptions | None = None
    clip_norm: float | None = None
    amp: Literal["auto", "on", "off"] = "auto"
    device: str = "auto"
    half: bool = False

    def __post_init__(self) -> None:
        """Reject what can't train."""
        if min(self.epochs, self.batch, self.patience) < 1:
            raise ValueError("epochs, batch and patience must be at least 1")
        if not self.lr > 0:
            raise ValueError(f"lr must be positive, got {self.lr}")

    def lr_at(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        return self.lr * self.decay ** sum(epoch >= m for m in self.milestones)
