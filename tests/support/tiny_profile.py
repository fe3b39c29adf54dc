"""A profile as somebody else would add one: two networks, a weight file, and a front end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from avel_live.model.backbones.registry import Audio, Visual
from avel_live.model.profiles import Profile
from numpy.typing import NDArray

BANDS = 8


@dataclass(frozen=True)
class Local:
    """A weight file that lies on this disk."""

    path: Path

    def find(self) -> Path:
        return self.path


def tiny(name: str, weights: Path, head: Path) -> Profile:
    """The profile; `weights` is what `write_weights` wrote."""
    return Profile(
        name,
        Visual("tiny-eye", 4, f"{__name__}:load_eye", Local(weights)),
        Audio("tiny-ear", 3, f"{__name__}:load_ear", front=f"{__name__}:loudness", shape=(BANDS,)),
        head,
        "for tests",
    )


def loudness(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """[16000] → [8] logarithmic power of each eighth of a second."""
    power = np.square(samples.reshape(BANDS, -1)).mean(axis=1)
    return np.log(power + np.float32(1e-6)).astype(np.float32)


def write_weights(path: Path) -> Path:
    """Of the eye."""
    rng = np.random.default_rng(0)
    np.save(path, rng.normal(0, 0.02, (4, 3, 32, 32)).astype(np.float32))
    return path


def load_eye(path: Path | None):
    """[N, 224, 224, 3] → [N, 7, 7, 4]."""
    import torch
    from torch import nn

    class Eye(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.look = nn.Conv2d(3, 4, 32, 32, bias=False)

        def forward(self, frames):
            return torch.relu(self.look(frames.float().permute(0, 3, 1, 2) / 255)).permute(0, 2, 3, 1)

    assert path is not None
    eye = Eye()
    eye.look.weight.data = torch.from_numpy(np.load(path))
    return eye.eval()


def load_ear(path: Path | None):
    """[N, 8] → [N, 3]; it has no weight file."""
    import torch
    from torch import nn

    assert path is None
    torch.manual_seed(0)
    return nn.Linear(BANDS, 3).eval()
