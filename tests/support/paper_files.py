"""Random weights in the public layouts of the paper's networks: right shapes and sizes, no knowledge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from avel_live.model.backbones.vgg19 import BLOCKS, VGG19
from avel_live.model.backbones.vggish import VGGish
from avel_live.model.checkpoint import save_checkpoint
from avel_live.model.diia import DIIA, DIIAConfig


def vgg19_file(path: Path) -> Path:
    """Keras' layout: a group a layer, kernels [3, 3, in, out]."""
    import h5py

    rng, width = np.random.default_rng(0), 3
    with h5py.File(path, "w") as file:
        for block, (channels, count) in enumerate(BLOCKS, 1):
            for conv in range(1, count + 1):
                name = f"block{block}_conv{conv}"
                kernel = rng.standard_normal((3, 3, width, channels), np.float32)
                file[f"{name}/{name}_W_1:0"] = kernel * np.float32(np.sqrt(2 / (9 * width)))
                file[f"{name}/{name}_b_1:0"] = np.zeros(channels, np.float32)
                width = channels
    return path


def vgg19_torchvision_file(path: Path) -> Path:
    """torchvision's layout; scaled so that activations neither vanish nor grow."""
    torch.manual_seed(0)
    network = VGG19("torchvision")
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    torch.save(network.state_dict(), path)
    return path


def vggish_file(path: Path) -> Path:
    """torchvggish's layout."""
    torch.manual_seed(0)
    torch.save(VGGish().state_dict(), path)
    return path


def paper_head(path: Path, profile: str = "paper") -> Path:
    """A head of the paper's size."""
    torch.manual_seed(0)
    save_checkpoint(path, DIIA(DIIAConfig()).eval(), profile=profile)
    return path
