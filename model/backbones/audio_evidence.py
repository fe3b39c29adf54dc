"""The light profiles' ear: what an audio network says of each concept, as evidence.

Two voices are reported side by side. The *concepts* read AudioSet's 521 scores: our small network's
imitation of them (`lite`), or those of YAMNet, the listener (`lite-yamnet`). The *classes* are a judgement
of the 28 events learnt from labels: by our network, or by a linear reader of the listener's embedding.
Whether speech is a man's or a woman's our network says in either case: YAMNet's classes do not know,
and a reader of its embedding told unseen voices apart worse.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from ..errors import ModelFileError
from ..labels import EVENT_NAMES
from .audio_cnn import AudioCNN, load_audio_cnn
from .audio_concepts import CONCEPTS, concept_weights
from .evidence import evidence
from .yamnet import EMBEDDING_DIM, Yamnet, load_yamnet

READER: Final = "lite_yamnet_reader.safetensors"
"""File in `model/weights/`."""
DIM: Final = len(CONCEPTS) + len(EVENT_NAMES)
_MALE: Final = EVENT_NAMES.index("Male speech, man speaking")
_FEMALE: Final = EVENT_NAMES.index("Female speech, woman speaking")


def _with_speech(values: Tensor, male: Tensor, female: Tensor) -> Tensor:
    """[N, C] values, the 28 events first, with these [N, 1] in place of men's and women's speech."""
    return torch.cat(
        [values[:, :_MALE], male, values[:, _MALE + 1 : _FEMALE], female, values[:, _FEMALE + 1 :]], dim=1
    )


def divide_speech(scores: Tensor, logits: Tensor) -> Tensor:
    """Scores of speech divided between men and women as the ear's own classes say.

    [N, C] scores, the 28 events first, and [N, 28] logits → [N, C].
    """
    female = torch.sigmoid(logits[:, _FEMALE] - logits[:, _MALE])[:, None]
    return scores * _with_speech(torch.ones_like(scores), 1.0 - female, female)


def read_events(logits: Tensor, voices: Tensor) -> Tensor:
    """[N, 28] logits of a reader of YAMNet's embedding, and the ear's → [N, 28] probabilities."""
    events = torch.sigmoid(logits)
    speech = torch.maximum(events[:, _MALE], events[:, _FEMALE])[:, None]
    return divide_speech(_with_speech(events, speech, speech), voices)


class AudioEvidence(nn.Module):
    """Log-mel patches → [N, concepts + 28] evidence.

    Args:
        ear: our network.
        listener: YAMNet, to be believed about everything but who speaks.
        reader: [..., 1024] embedding of the listener → [..., 28] logits; given where the listener is.

    """

    weights: Tensor

    def __init__(
        self, ear: AudioCNN, listener: Yamnet | None = None, reader: nn.Linear | None = None
    ) -> None:
        super().__init__()
        self.ear = ear
        self.listener = listener
        self.reader = reader
        self.register_buffer("weights", torch.from_numpy(concept_weights()), persistent=False)

    def forward(self, patches: Tensor) -> Tensor:
        """[N, 96, 64] log-mel → [N, concepts + 28]."""
        embedding = self.ear(patches)
        voices = self.ear.class_logits(embedding)
        if self.listener is None or self.reader is None:
            scores = self.ear.scores(embedding)
            events = torch.sigmoid(voices)
        else:
            heard = self.listener(patches)
            scores = self.listener.scores(heard)
            events = read_events(self.reader(heard), voices)
        concepts = (scores[:, None, :] * self.weights).amax(dim=-1)
        return torch.cat([evidence(divide_speech(concepts, voices)), evidence(events)], dim=1)


def load_audio_evidence(weights: Path | None = None) -> AudioEvidence:
    """The `lite` ear with its shipped weights, in eval mode."""
    return AudioEvidence(load_audio_cnn(weights)).eval()


def load_reader(path: Path | None = None) -> nn.Linear:
    """What reads the 28 events from YAMNet's embedding, with its shipped weights.

    Raises:
        ModelFileError: the file is missing or does not fit.

    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = path or Path(__file__).parent.parent / "weights" / READER
    reader = nn.Linear(EMBEDDING_DIM, len(EVENT_NAMES))
    try:
        reader.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    except (SafetensorError, RuntimeError, OSError) as error:
        first = str(error).splitlines()[0]
        raise ModelFileError(f"reader of YAMNet {path}: missing or damaged ({first})") from error
    return reader


def load_yamnet_evidence(weights: Path | None = None) -> AudioEvidence:
    """The `lite-yamnet` ear: YAMNet's weights from `weights` or fetched, ours from the package."""
    return AudioEvidence(load_audio_cnn(), load_yamnet(weights), load_reader()).eval()
