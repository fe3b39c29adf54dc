"""The lite profile's ear: a small depthwise-separable CNN on VGGish log-mel patches.

MobileNet's pattern (Howard et al. 2017) on a 96×64 patch, ending in a `dim`-wide embedding that is
non-negative like VGGish's. Trained by `avel train lite`; the weights ship in `model/weights/`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..formats.weights import load_weights
from ..labels import EVENT_NAMES
from . import registry

EMBEDDING_DIM: Final = 256
AUDIOSET_CLASSES: Final = 521
# (output channels, stride) of the separable blocks. The stem keeps the patch at 48×32: with a coarser one
# the partials of a plucked string fall into one bin, and unseen instruments are not told apart. The ear
# listens once a second, so that its cost does not show beside that of sixteen pictures.
STEM: Final = 32
BLOCKS: Final = ((64, 2), (96, 1), (192, 2), (192, 1), (192, 1), (384, 2), (384, 1))


class SeparableBlock(nn.Module):
    """Depthwise 3×3 then pointwise 1×1, both with batch normalisation; shortcut where shapes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False)
        self.norm_depthwise = nn.BatchNorm2d(inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.norm_pointwise = nn.BatchNorm2d(outputs)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, F, M] → [N, C', F', M']."""
        y = F.relu(self.norm_depthwise(self.depthwise(x)))
        y = F.relu(self.norm_pointwise(self.pointwise(y)))
        return x + y if self.shortcut else y


class AudioCNN(nn.Module):
    """Log-mel patch [N, 96, 64] → embedding [N, dim]; `class_logits` and `scores` read sounds from it."""

    def __init__(self, dim: int = EMBEDDING_DIM) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, STEM, 5, 2, padding=2, bias=False)
        self.norm_stem = nn.BatchNorm2d(STEM)
        widths = [STEM, *(width for width, _ in BLOCKS)]
        self.blocks = nn.Sequential(
            *(SeparableBlock(a, b, stride) for a, (b, stride) in zip(widths, BLOCKS, strict=False))
        )
        # Without a norm before it the last ReLU dies within a few steps of training.
        self.embed = nn.Linear(2 * widths[-1], dim, bias=False)
        self.norm_embed = nn.BatchNorm1d(dim)
        self.classify = nn.Linear(dim, len(EVENT_NAMES))
        self.audioset = nn.Linear(dim, AUDIOSET_CLASSES)

    def forward(self, patches: Tensor) -> Tensor:
        """[N, 96, 64] log-mel → [N, dim], non-negative."""
        x = F.relu(self.norm_stem(self.stem(patches.unsqueeze(1))))
        x = self.blocks(x)
        pooled = x.mean(dim=(2, 3))
        peak = x.amax(dim=(2, 3))
        return F.relu(self.norm_embed(self.embed(torch.cat([pooled, peak], dim=1))))

    def class_logits(self, embedding: Tensor) -> Tensor:
        """[..., dim] → [..., 28]: independent logits, "this event is heard in this second"."""
        logits: Tensor = self.classify(embedding)
        return logits

    def scores(self, embedding: Tensor) -> Tensor:
        """[..., dim] → [..., 521]: AudioSet's classes as its teacher YAMNet would score them, 0..1."""
        return torch.sigmoid(self.audioset(embedding))


def weight_file() -> Path:
    """The shipped weights."""
    return registry.AUDIO_CNN.own()


def load_audio_cnn(path: Path | None = None) -> AudioCNN:
    """The network with its shipped weights, in eval mode.

    Raises:
        ModelFileError: the file is missing or does not fit.

    """
    network = AudioCNN()
    load_weights(network, path or weight_file(), "audio network weights")
    return network.eval()
