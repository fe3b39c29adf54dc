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
from torch.nn import functional as F

from ..files import SHIPPED
from ..formats.weights import load_weights
from ..labels import EVENT_NAMES
from .efficientnet_lite import (
    FEATURE_DIM,
    EfficientNetLite,
    load_efficientnet_lite0,
    load_efficientnet_lite3,
)
from .evidence import evidence
from .visual_concepts import CONCEPTS, PROBES, tables

DIM: Final = 2 * len(CONCEPTS)
LITE0_PROBES: Final = "lite_visual.safetensors"
LITE3_PROBES: Final = "efficientnet_lite3_probes.safetensors"
"""Files in `model/weights/`."""
# A probability of 0.03, squared: below it an event is not seen, and a neighbour takes what there is.
_UNSEEN: Final = 1e-3


class VisualEvidence(nn.Module):
    """Frames → [N, 7, 7, 2C]: evidence of each cell, then that of the whole picture, repeated.

    Args:
        network: what sees.
        doubting: near neighbours that ImageNet is sure of take from what it says of an event: where heads are
            at work. They learn without, from photographs that hold few such neighbours.

    Attributes:
        sensitive: as the network's; and the evidence itself.

    """

    sensitive = (*(f"network.{part}" for part in EfficientNetLite.sensitive), "probes")
    concepts: Tensor
    neighbours: Tensor

    def __init__(self, network: EfficientNetLite, *, doubting: bool = False) -> None:
        super().__init__()
        self.doubting = doubting
        self.network = network
        self.probes = nn.Linear(FEATURE_DIM, len(PROBES))
        for name, table in tables().items():
            self.register_buffer(name, torch.from_numpy(table))

    def judge(self, features: Tensor) -> Tensor:
        """[..., 1280] features, pooled or of one cell → [..., C] evidence, undoubting."""
        return evidence(self._concepts(self._seen(features)))

    def forward(self, frames: Tensor) -> Tensor:
        """[N, 224, 224, 3] uint8 RGB → [N, 7, 7, 2C]."""
        grid = self.network(frames)
        cells = self._concepts(self._seen(grid))  # first, for runtime/means.py
        seen = self._seen(grid.mean(dim=(1, 2)))
        whole = self._concepts(seen)
        if self.doubting:
            left = self._left(seen)
            cells, whole = cells * left[:, None, None], whole * left
        cells, whole = evidence(cells), evidence(whole)
        return torch.cat([cells, whole[:, None, None, :].expand_as(cells)], dim=-1)

    def _seen(self, features: Tensor) -> Tensor:
        """[..., 1280] → [..., 1000 + probes] probabilities."""
        classes = torch.softmax(self.network._fc(features), dim=-1)
        return torch.cat([classes, torch.sigmoid(self.probes(features))], dim=-1)

    def _concepts(self, seen: Tensor) -> Tensor:
        """[..., 1000 + probes] → [..., C]."""
        return (seen @ self.concepts).clamp(max=1.0)

    def _left(self, seen: Tensor) -> Tensor:
        """[N, 1000 + probes] of whole pictures → [N, C], what near neighbours leave of each concept.

        All that is left where the classifier is not sure of one, nearly all where the event is as likely. The
        whole picture decides for its cells: of a part of a thing the classifier says anything.
        """
        own, others = (seen @ self.neighbours).square().split(len(EVENT_NAMES), dim=-1)
        own = own + _UNSEEN
        return F.pad(own / (own + others.square()), (0, len(CONCEPTS) - len(EVENT_NAMES)), value=1.0)


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
    eye = VisualEvidence(network, doubting=True)
    load_weights(eye.probes, probes, "visual probes", "; reinstall avel-live")
    return eye.eval()
