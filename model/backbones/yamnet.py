"""YAMNet: a MobileNet-v1 that names 521 kinds of sound (AudioSet), as an audio backbone.

The network is defined here; its weights are not part of this package. They are read from the
published 8-bit `.tflite` file (Apache-2.0), given by path or fetched once and checked by its SHA-256,
and dequantised: each 8-bit weight times its channel's scale, with batch normalisation already folded
into the biases. Computing in float32 is finer than the file's own 8-bit arithmetic; over 400 real
sounds its scores differ by 0.0003 on average (0.012 on the top class), and where the top class differs
the file's own scores were tied within their 8-bit step.

YAMNet was trained on log(mel + 0.001); the shared front end gives VGGish's log(mel + 0.01). Nothing is
lost in between, so the network undoes the one and applies the other itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..downloads import check_digest
from ..errors import ModelFileError
from ..formats.tflite_layers import read_layers
from ..logmel import LOG_OFFSET
from . import registry

EMBEDDING_DIM: Final = 1024
CLASSES: Final = 521
YAMNET_LOG_OFFSET: Final = 0.001
# (output channels, stride) of the thirteen separable blocks after the stem.
BLOCKS: Final = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)


class SameConv(nn.Conv2d):
    """3×3 or 1×1 convolution with bias and TensorFlow's "same" padding for even inputs, then ReLU6."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        # At stride 2 an even side needs one row in all, and TensorFlow puts it after.
        self.pad_after = kernel > 1 and stride > 1
        padding = 0 if self.pad_after else (kernel - 1) // 2
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, F, M] → [N, C', F/stride, M/stride], within 0..6."""
        if self.pad_after:
            x = F.pad(x, (0, 1, 0, 1))
        return F.relu6(super().forward(x))


class Yamnet(nn.Module):
    """Log-mel patch [N, 96, 64] → embedding [N, 1024]; `scores` turns embeddings into 521 scores."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [SameConv(1, 32, 3, 2)]
        width = 32
        for outputs, stride in BLOCKS:
            layers += [SameConv(width, width, 3, stride, groups=width), SameConv(width, outputs, 1)]
            width = outputs
        self.layers = nn.Sequential(*layers)
        self.classify = nn.Linear(EMBEDDING_DIM, CLASSES)

    def forward(self, patches: Tensor) -> Tensor:
        """[N, 96, 64] log(mel + 0.01) → [N, 1024], within 0..6: the average over time and frequency."""
        mel = (patches.exp() - LOG_OFFSET).clamp_min(0.0)
        x = self.layers((mel + YAMNET_LOG_OFFSET).log().unsqueeze(1))
        pooled: Tensor = x.mean(dim=(2, 3))
        return pooled

    def scores(self, embedding: Tensor) -> Tensor:
        """[..., 1024] → [..., 521]: independent probabilities, in the order of AudioSet's class map."""
        return torch.sigmoid(self.classify(embedding))


def load_yamnet(path: Path | None = None) -> Yamnet:
    """The network with its published weights, in eval mode, float32.

    Args:
        path: the `.tflite` file; fetched once where None.

    Raises:
        ModelFileError: the file is missing or not the published one, or the `tflite` package is absent.

    """
    public = registry.YAMNET_FILE
    path = path or public.find()
    try:
        got = check_digest(path, public.digest)
        blob = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"YAMNet weights {path}: can't be read ({error.strerror})") from error
    if got is not None:
        raise ModelFileError(
            f"YAMNet weights {path}: expected {public.digest[:19]}…, got {got[:12]}…; "
            f"the file is {public.file} from {public.url}"
        )
    network = Yamnet()
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    with torch.no_grad():
        for layer, read in zip(layers, read_layers(blob, "YAMNet's weights"), strict=True):
            layer.weight.copy_(torch.from_numpy(read.values()).reshape(layer.weight.shape))
            assert layer.bias is not None
            layer.bias.copy_(torch.from_numpy(read.bias))
    return network.eval()
