"""The light profiles' ear: what an audio network says of each concept, as evidence.

Several voices are reported side by side. The *concepts* read AudioSet's 521 scores: our small network's
imitation of them (`lite`), or those of YAMNet, the listener (`lite-yamnet`). The *classes* are our network's
own judgement of the 28 events, learnt from labels. Those *read* (`lite-yamnet` only) are what a reader of
the listener's embedding makes of the 28 events, learnt from the same labels: it is wrong where our network
is not, and the other way about. Whether speech is a man's or a woman's a network of voices says, each time:
YAMNet's classes do not know, and our ear, which learnt from ten speakers, takes one unseen man in three for a
woman. Where heads are trained the ear says it after all: there men's and women's voices trade places anyway.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from ..files import SHIPPED
from ..formats.weights import load_weights
from ..labels import EVENT_NAMES
from .audio_cnn import AudioCNN, load_audio_cnn
from .audio_concepts import CONCEPTS, concept_weights, neighbour_weights
from .evidence import evidence
from .voices import Voices, load_voices
from .yamnet import EMBEDDING_DIM, Yamnet, load_yamnet

READER: Final = "lite_yamnet_reader.safetensors"
"""File in `model/weights/`."""
_READER_WIDTH: Final = 256
DIM: Final = len(CONCEPTS) + len(EVENT_NAMES)
"""Of `lite`: concepts and classes."""
YAMNET_DIM: Final = DIM + len(EVENT_NAMES)
"""Of `lite-yamnet`: what is read besides."""
_MALE: Final = EVENT_NAMES.index("Male speech, man speaking")
_FEMALE: Final = EVENT_NAMES.index("Female speech, woman speaking")


# A score of 0.03, squared: below it there is nothing to divide.
_UNHEARD: Final = 1e-3


def _with_speech(values: Tensor, male: Tensor, female: Tensor) -> Tensor:
    """[N, C] values, the 28 events first, with these [N, 1] in place of men's and women's speech."""
    return torch.cat(
        [values[:, :_MALE], male, values[:, _MALE + 1 : _FEMALE], female, values[:, _FEMALE + 1 :]], dim=1
    )


def women(logits: Tensor) -> Tensor:
    """[N, 28] logits of the ear's own classes → [N, 1]: how likely a voice is a woman's, by them."""
    return torch.sigmoid(logits[:, _FEMALE] - logits[:, _MALE])[:, None]


def divide_speech(scores: Tensor, female: Tensor) -> Tensor:
    """Scores of speech divided between men and women.

    Args:
        scores: [N, C], the 28 events first.
        female: [N, 1], how likely the voice is a woman's.

    Returns:
        [N, C].

    """
    return scores * _with_speech(torch.ones_like(scores), 1.0 - female, female)


class Reader(nn.Sequential):
    """YAMNet's embedding [..., 1024] → independent logits of the 28 events [..., 28]."""

    def __init__(self) -> None:
        super().__init__(
            nn.Linear(EMBEDDING_DIM, _READER_WIDTH),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(_READER_WIDTH, len(EVENT_NAMES)),
        )


def read_events(logits: Tensor, female: Tensor) -> Tensor:
    """[N, 28] logits → [N, 28] probabilities, those of speech divided by [N, 1] `female`."""
    events = torch.sigmoid(logits)
    speech = torch.maximum(events[:, _MALE], events[:, _FEMALE])[:, None]
    return divide_speech(_with_speech(events, speech, speech), female)


class Listener(nn.Module):
    """YAMNet and the reader of its embedding, which are of use together only."""

    def __init__(self, yamnet: Yamnet, reader: Reader) -> None:
        super().__init__()
        self.yamnet = yamnet
        self.reader = reader

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """[N, 96, 64] log-mel → [N, 521] scores and [N, 28] logits."""
        embedding = self.yamnet(patches)
        return self.yamnet.scores(embedding), self.reader(embedding)


class AudioEvidence(nn.Module):
    """Log-mel patches → evidence, [N, DIM] or, with a listener, [N, YAMNET_DIM].

    Args:
        ear: our network.
        listener: to be believed about everything but who speaks.
        voices: to be believed about that; without it the ear is.
        doubting: near neighbours of an event take from what AudioSet's scores say of it: where heads are at
            work. They learn without, from recordings that hold few such neighbours.

    """

    weights: Tensor
    own: Tensor
    neighbours: Tensor

    def __init__(
        self,
        ear: AudioCNN,
        listener: Listener | None = None,
        voices: Voices | None = None,
        *,
        doubting: bool = False,
    ) -> None:
        super().__init__()
        self.doubting = doubting
        self.ear = ear
        self.listener = listener
        self.voices = voices
        self.register_buffer("weights", torch.from_numpy(concept_weights()), persistent=False)
        itself = (concept_weights()[: len(EVENT_NAMES)] == 1).astype("float32")
        self.register_buffer("own", torch.from_numpy(itself), persistent=False)
        self.register_buffer("neighbours", torch.from_numpy(neighbour_weights()), persistent=False)

    def forward(self, patches: Tensor) -> Tensor:
        """[N, 96, 64] log-mel → [N, DIM or YAMNET_DIM]."""
        embedding = self.ear(patches)
        own = self.ear.class_logits(embedding)
        if self.voices is None:
            female, classes = women(own), torch.sigmoid(own)
        else:
            female = torch.sigmoid(self.voices(patches))[:, None]
            classes = read_events(own, female)
        if self.listener is None:
            scores, read = self.ear.scores(embedding), []
        else:
            scores, logits = self.listener(patches)
            read = [read_events(logits, female)]
        concepts = (scores[:, None, :] * self.weights).amax(dim=-1)
        if self.doubting:
            concepts = self._doubted(concepts, scores)
        return torch.cat([evidence(p) for p in (divide_speech(concepts, female), classes, *read)], dim=1)

    def _doubted(self, concepts: Tensor, scores: Tensor) -> Tensor:
        """[N, C] concepts, those of events less sure where a near neighbour scores like the event itself."""
        own = (scores[:, None, :] * self.own).amax(dim=-1).square() + _UNHEARD
        others = (scores[:, None, :] * self.neighbours).amax(dim=-1).square()
        events = concepts[:, : len(EVENT_NAMES)] * (own / (own + others))
        return torch.cat([events, concepts[:, len(EVENT_NAMES) :]], dim=1)


def load_audio_evidence(weights: Path | None = None) -> AudioEvidence:
    """The `lite` ear with its shipped weights, in eval mode."""
    return AudioEvidence(load_audio_cnn(weights), voices=load_voices(), doubting=True).eval()


def load_reader(path: Path | None = None) -> Reader:
    """What reads the 28 events from YAMNet's embedding, with its shipped weights.

    Raises:
        ModelFileError: the file is missing or does not fit.

    """
    reader = Reader()
    load_weights(reader, path or SHIPPED / READER, "reader of YAMNet")
    return reader.eval()


def load_yamnet_evidence(weights: Path | None = None) -> AudioEvidence:
    """The `lite-yamnet` ear: YAMNet's weights from `weights` or fetched, ours from the package."""
    listener = Listener(load_yamnet(weights), load_reader())
    return AudioEvidence(load_audio_cnn(), listener, load_voices(), doubting=True).eval()
