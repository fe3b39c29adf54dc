"""For tests of the runtimes: a head whose answers are sure, so that labels mean something; inputs for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from avel_live.model.checkpoint import save_checkpoint
from avel_live.model.diia import DIIA, DIIAConfig
from avel_live.model.profiles import get_profile
from avel_live.model.runtime.networks import build_network
from numpy.typing import NDArray


def confident_head(path: Path, profile: str = "lite", seed: int = 0) -> Path:
    """A random head whose answers differ clearly from picture to picture, as a trained one's do.

    Its logits on the test pictures are centred and spread, class by class.
    """
    spec = get_profile(profile)
    torch.manual_seed(seed)
    config = DIIAConfig(
        spec.visual.dim, spec.audio.dim, width=64, ffn=128, heads=4, guided_dim=64, hidden=64, normalize=True
    )
    head = DIIA(config).eval()
    if profile == "lite":
        with torch.inference_mode():
            grids = build_network("visual", spec)(torch.from_numpy(pictures(8, seed=100)))[:, None]
            logits = head(grids, torch.rand(8, 1, spec.audio.dim)).logits.flatten(0, 1)
        with torch.no_grad():
            spread = 4.0 / logits.std(dim=0).clamp(min=1e-3)
            head.classify.weight.mul_(spread[:, None])
            head.classify.bias.copy_((head.classify.bias - logits.mean(dim=0)) * spread)
    save_checkpoint(path, head, profile=profile)
    return path


def pictures(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """[count, 224, 224, 3] smooth, bright pictures, each unlike the others."""
    make = np.random.default_rng(seed)
    small = make.integers(0, 256, (count, 8, 8, 3)).astype(np.float32)
    from cv2 import INTER_CUBIC, resize

    large = [resize(one, (224, 224), interpolation=INTER_CUBIC) for one in small]
    grain = make.normal(0, 6, (count, 224, 224, 3))
    return np.clip(np.stack(large) + grain, 0, 255).astype(np.uint8)


def sounds(count: int, seed: int = 0) -> NDArray[np.float32]:
    """[count, 16000] tones and noise."""
    make = np.random.default_rng(seed)
    t = np.arange(16_000) / 16_000
    pitch, gain = make.uniform(100, 4000, (count, 1)), make.random((count, 1))
    return (gain * np.sin(2 * np.pi * pitch * t) + make.normal(0, 0.02, (count, 16_000))).astype(np.float32)
