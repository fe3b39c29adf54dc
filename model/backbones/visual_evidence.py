"""The light profiles' eye: EfficientNet-Lite and what its ImageNet classifier says of every grid cell.

For each of the 7×7 cells and for the whole picture the classifier's probabilities (and those of three
linear probes, trained by `avel train lite`) are summed to concepts and reported as evidence. The probes
of each network lie in `model/weights`; everything else is ImageNet's knowledge, unchanged. Evidence is for
the same concepts whatever the network: a head that learnt from one takes that of another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from ..files import SHIPPED
from ..formats.weights import load_weights
from .efficientnet_lite import (
    FEATURE_DIM,
    EfficientNetLite,
    load_efficientnet_lite0,
    load_efficientnet_lite3,
)
from .evidence import evidence
from .visual_concepts import CONCEPTS, PROBES, concept_matrix

DIM: Final = 2 * len(CONCEPTS)
LITE0_PROBES: Final = "lite_visual.safetensors"
LITE3_PROBES: Final = "efficientnet_lite3_probes.safetensors"
"""Files in `model/weights/`."""


class VisualEvidence(nn.Module):
    """Frames → [N, 7, 7, 2C]: evidence of each cell, then that of the whole picture, repeated.

    Attributes:
        sensitive: as the network's; and the evidence itself.

    """

    sensitive = (*(f"network.{part}" for part in EfficientNetLite.sensitive), "probes")
    concepts: Tensor

    def __init__(self, network: EfficientNetLite) -> None:
        super().__init__()
        self.network = network
        self.probes = nn.Linear(FEATURE_DIM, len(PROBES))
        self.register_buffer("concepts", torch.from_numpy(concept_matrix()), persistent=False)

    def judge(self, features: Tensor) -> Tensor:
        """[..., 1280] features, pooled or of one cell → [..., C] evidence."""
        classes = torch.softmax(self.network._fc(features), dim=-1)
        probed = torch.sigmoid(self.probes(features))
        return evidence((torch.cat([classes, probed], dim=-1) @ self.concepts).clamp(max=1.0))

    def forward(self, frames: Tensor) -> Tensor:
        """[N, 224, 224, 3] uint8 RGB → [N, 7, 7, 2C]."""
        grid = self.network(frames)
        cells = self.judge(grid)
        whole = self.judge(grid.mean(dim=(1, 2)))
        return torch.cat([cells, whole[:, None, None, :].expand_as(cells)], dim=-1)


def load_visual_evidence(weights: Path | None = None, probes: Path | None = None) -> VisualEvidence:
    """EfficientNet-Lite0 with ImageNet's weights and the shipped probes, in eval mode.

    Raises:
        ModelFileError: a file is missing or does not fit.

    """
    return _eye(load_efficientnet_lite0(weights), probes or SHIPPED / LITE0_PROBES)


def load_visual_evidence_lite3(weights: Path | None = None, probes: Path | None = None) -> VisualEvidence:
    """EfficientNet-Lite3, likewise.

    Raises:
        ModelFileError: a file is missing or does not fit.

    """
    return _eye(load_efficientnet_lite3(weights), probes or SHIPPED / LITE3_PROBES)


def _eye(network: EfficientNetLite, probes: Path) -> VisualEvidence:
    eye = VisualEvidence(network)
    load_weights(eye.probes, probes, "visual probes", "; reinstall avel-live")
    return eye.eval()
