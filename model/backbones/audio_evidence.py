"""The light profiles' ear: what an audio network says of each concept, as evidence.

Two voices are reported side by side. The *concepts* read AudioSet's 521 scores, given by the listener:
our small network's imitation of them (`lite`), or YAMNet itself (`lite-yamnet`). The *classes* are our
network's own judgement of the 28 events, learnt from labels. It also says whether speech is a man's or
a woman's, which YAMNet does not know.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from ..labels import EVENT_NAMES
from .audio_cnn import AudioCNN, load_audio_cnn
from .audio_concepts import CONCEPTS, concept_weights
from .evidence import evidence
from .yamnet import Yamnet, load_yamnet

DIM: Final = len(CONCEPTS) + len(EVENT_NAMES)
_MALE: Final = EVENT_NAMES.index("Male speech, man speaking")
_FEMALE: Final = EVENT_NAMES.index("Female speech, woman speaking")


def divide_speech(scores: Tensor, logits: Tensor) -> Tensor:
    """Scores of speech divided between men and women as the ear's own classes say.

    [N, C] scores, the 28 events first, and [N, 28] logits → [N, C].
    """
    female = torch.sigmoid(logits[:, _FEMALE] - logits[:, _MALE])[:, None]
    share = torch.ones_like(scores)
    share = torch.cat(
        [
            share[:, :_MALE],
            1.0 - female,
            share[:, _MALE + 1 : _FEMALE],
            female,
            share[:, _FEMALE + 1 :],
        ],
        dim=1,
    )
    return scores * share


class AudioEvidence(nn.Module):
    """Log-mel patches → [N, concepts + 28] evidence."""

    weights: Tensor

    def __init__(self, ear: AudioCNN, listener: Yamnet | None = None) -> None:
        super().__init__()
        self.ear = ear
        self.listener = listener
        self.register_buffer("weights", torch.from_numpy(concept_weights()), persistent=False)

    def forward(self, patches: Tensor) -> Tensor:
        """[N, 96, 64] log-mel → [N, concepts + 28]."""
        embedding = self.ear(patches)
        logits = self.ear.class_logits(embedding)
        if self.listener is None:
            scores = self.ear.scores(embedding)
        else:
            scores = self.listener.scores(self.listener(patches))
        concepts = (scores[:, None, :] * self.weights).amax(dim=-1)
        concepts = divide_speech(concepts, logits)
        return torch.cat([evidence(concepts), evidence(torch.sigmoid(logits))], dim=1)


def load_audio_evidence(weights: Path | None = None) -> AudioEvidence:
    """The `lite` ear with its shipped weights, in eval mode."""
    return AudioEvidence(load_audio_cnn(weights)).eval()


def load_yamnet_evidence(weights: Path | None = None) -> AudioEvidence:
    """The `lite-yamnet` ear: YAMNet's weights from `weights` or fetched, ours from the package."""
    return AudioEvidence(load_audio_cnn(), load_yamnet(weights)).eval()
