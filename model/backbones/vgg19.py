"""VGG-19 (Simonyan & Zisserman 2014) up to `block5_pool`: a 7×7 grid of 512 features per frame.

Two sets of public weights, which are *not* interchangeable (profile `paper` needs the first):

    variant        weights                          pixels enter as
    keras          Keras' ImageNet weights, the     BGR, 0..255, minus (103.939, 116.779, 123.68)
                   original Caffe ones
    torchvision    trained by torchvision           RGB / 255, minus mean, divided by deviation

The published AVE features are the `keras` variant's, averaged over sixteen frames a second.

Parameters to `block5_pool`: 20,024,384 = Σ over 16 convolutions of 9·in·out + out.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ModelFileError
from ..formats.arrays import Arrays, file_kind, read_keras, read_safetensors, read_torch
from . import registry

Variant = Literal["keras", "torchvision"]

BLOCKS: Final = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
"""(channels, 3×3 convolutions) of each block; each ends in a 2×2 max pooling."""
FEATURE_DIM: Final = 512
CAFFE_MEAN_RGB: Final = (123.68, 116.779, 103.939)
TORCH_MEAN: Final = (0.485, 0.456, 0.406)
TORCH_STD: Final = (0.229, 0.224, 0.225)

KERAS_LAYERS: Final = tuple(
    f"block{block}_conv{conv}" for block, (_, count) in enumerate(BLOCKS, 1) for conv in range(1, count + 1)
)


class VGG19(nn.Module):
    """Frames → `block5_pool` grids; parameters are named as in torchvision (`features.0.weight` …)."""

    def __init__(self, variant: Variant = "keras") -> None:
        super().__init__()
        self.variant: Variant = variant
        layers: list[nn.Module] = []
        width = 3
        for channels, count in BLOCKS:
            for _ in range(count):
                layers += [nn.Conv2d(width, channels, 3, padding=1), nn.ReLU()]
                width = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)

    def _normalize(self, frames: Tensor) -> Tensor:
        # In float32 whatever the network's precision: 103.939 is not a number in bfloat16. Stacking the
        # channels last and permuting leaves memory channels-last, where CPU convolutions are twice as fast.
        red, green, blue = frames.to(torch.float32).unbind(-1)
        if self.variant == "keras":
            mean = CAFFE_MEAN_RGB
            pixels = torch.stack((blue - mean[2], green - mean[1], red - mean[0]), dim=-1)
        else:
            channels = zip((red, green, blue), TORCH_MEAN, TORCH_STD, strict=True)
            pixels = torch.stack([(c / 255.0 - mean) / std for c, mean, std in channels], dim=-1)
        return pixels.permute(0, 3, 1, 2)

    def forward(self, frames: Tensor) -> Tensor:
        """[N, 224, 224, 3] uint8 or float RGB in 0..255 → [N, 7, 7, 512], non-negative."""
        first = self.features[0]
        assert isinstance(first, nn.Conv2d)
        x = self._normalize(frames).to(first.weight.dtype)
        for layer in self.features:
            x = F.relu(x) if isinstance(layer, nn.ReLU) else layer(x)
        return x.permute(0, 2, 3, 1)


def _convolutions(network: VGG19) -> list[tuple[str, nn.Conv2d]]:
    return [(f"features.{i}", m) for i, m in enumerate(network.features) if isinstance(m, nn.Conv2d)]


def load_arrays(network: VGG19, arrays: Arrays, path: Path) -> None:
    """Put arrays into the network, from Keras names and layout or from torchvision's.

    Keras kernels are [height, width, in, out]; torch's are [out, in, height, width]. The first Keras
    kernel expects BGR, which is the order its variant feeds.

    Raises:
        ModelFileError: a layer is missing or has another shape.

    """
    keras = f"{KERAS_LAYERS[0]}/kernel" in arrays
    state: dict[str, Tensor] = {}
    for layer, (name, conv) in zip(KERAS_LAYERS, _convolutions(network), strict=True):
        try:
            if keras:
                weight = arrays[f"{layer}/kernel"].transpose(3, 2, 0, 1)
                bias = arrays[f"{layer}/bias"]
            else:
                weight, bias = arrays[f"{name}.weight"], arrays[f"{name}.bias"]
        except (KeyError, ValueError) as error:
            raise ModelFileError(f"weights {path}: layer {layer} ({name}) is missing: not VGG-19") from error
        if weight.shape != conv.weight.shape or bias.shape != conv.weight.shape[:1]:
            raise ModelFileError(
                f"weights {path}: layer {layer}: expected {tuple(conv.weight.shape)}, "
                f"got {weight.shape}: not VGG-19"
            )
        state[f"{name}.weight"] = torch.from_numpy(np.ascontiguousarray(weight))
        state[f"{name}.bias"] = torch.from_numpy(np.ascontiguousarray(bias))
    network.load_state_dict(state, assign=True)


def load_vgg19(path: Path | None = None, variant: Variant = "keras") -> VGG19:
    """The network with its ImageNet weights, in eval mode; `None` fetches them once.

    Raises:
        ModelFileError: missing, damaged, or the other variant's weights.

    """
    path = path or (registry.VGG19 if variant == "keras" else registry.VGG19_TORCHVISION).own()
    kind = file_kind(path)
    with torch.device("meta"):
        network = VGG19(variant)
    if variant == "keras" and kind == "torch":
        raise ModelFileError(
            f"weights {path}: these are torchvision's; the published AVE features need Keras' "
            "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5 (or use --profile paper-torchvision)"
        )
    if variant == "torchvision":
        if kind == "keras":
            raise ModelFileError(
                f"weights {path}: these are Keras' weights; use --profile paper, or give torchvision's .pth"
            )
        warnings.warn(
            "torchvision's VGG-19 features are not interchangeable with the published AVE features; "
            "a head trained on one is wrong on the other",
            stacklevel=2,
        )
    if kind == "keras":
        arrays = read_keras(path, KERAS_LAYERS)
    elif kind == "torch":
        arrays = read_torch(path)
    elif kind == "safetensors":
        arrays = read_safetensors(path)
    else:
        raise ModelFileError(f"weights {path}: VGG-19 is read from .h5, .pth or .safetensors, not .npz")
    load_arrays(network, arrays, path)
    return network.eval()


def load_keras(path: Path | None = None) -> VGG19:
    """The network with Keras' weights: what the published AVE features were made with."""
    return load_vgg19(path, "keras")


def load_torchvision(path: Path | None = None) -> VGG19:
    """The network with torchvision's weights."""
    return load_vgg19(path, "torchvision")
