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

from ..errors import ModelFileError

EMBEDDING_DIM: Final = 128
# (output channels, stride) of the separable blocks.
BLOCKS: Final = (
    (48, 1),
    (96, 2),
    (96, 1),
    (160, 2),
    (160, 1),
    (256, 2),
    (256, 1),
    (256, 1),
    (384, 2),
    (384, 1),
)


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
    """Log-mel patch [N, 96, 64] → embedding [N, dim]."""

    def __init__(self, dim: int = EMBEDDING_DIM) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 32, 3, 2, padding=1, bias=False)
        self.norm_stem = nn.BatchNorm2d(32)
        widths = [32, *(width for width, _ in BLOCKS)]
        self.blocks = nn.Sequential(
            *(SeparableBlock(a, b, stride) for a, (b, stride) in zip(widths, BLOCKS, strict=False))
        )
        self.embed = nn.Linear(2 * widths[-1], dim)

    def forward(self, patches: Tensor) -> Tensor:
        """[N, 96, 64] log-mel → [N, dim], non-negative."""
        x = F.relu(self.norm_stem(self.stem(patches.unsqueeze(1))))
        x = self.blocks(x)
        pooled = x.mean(dim=(2, 3))
        peak = x.amax(dim=(2, 3))
        return F.relu(self.embed(torch.cat([pooled, peak], dim=1)))


def weight_file() -> Path:
    """The shipped weights."""
    return Path(__file__).parent.parent / "weights" / "lite_audio.safetensors"


def load_audio_cnn(path: Path | None = None) -> AudioCNN:
    """The network with its shipped weights, in eval mode.

    Raises:
        ModelFileError: the file is missing or does not fit.

    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = path or weight_file()
    network = AudioCNN()
    try:
        network.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    except (SafetensorError, RuntimeError, OSError) as error:
        first = str(error).splitlines()[0]
        raise ModelFileError(f"audio network weights {path}: missing or damaged ({first})") from error
    return network.eval()
