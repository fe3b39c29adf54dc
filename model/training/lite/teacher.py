"""The teacher: YAMNet over many patches, on the CPU, in batches, and what its scores say of the 28 events.

The table of AudioSet's 521 classes is `backbones.audio_concepts`; here only those count that are the thing
itself (weight ≥ 0.7): "Engine" is evidence for a truck, but no reason to teach that every engine is one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...backbones.audio_concepts import concept_weights
from ...labels import EVENT_NAMES, label_index

SAME_THING: Final = 0.7
# Classes with so few labelled sounds, or none that may be trained on, that the teacher's own score is
# a target for them on every sound; elsewhere the label alone speaks.
TAUGHT_BY_TEACHER: Final = tuple(
    label_index(name)
    for name in (
        "Airplane", "Race car", "Frying", "Truck", "Shofar", "Motorcycle", "Train horn", "Clock", "Goat",
        "Bus", "Cat", "Horse", "Toilet flush", "Rodents",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Lesson:
    """What the teacher says of N patches."""

    embedding: NDArray[np.float16]
    """[N, 1024]."""
    scores: NDArray[np.float16]
    """[N, 521], 0..1."""


class Teacher:
    """YAMNet from its weight file; fetched once where no path is given."""

    def __init__(self, path: Path | None = None) -> None:
        import torch

        from ...backbones.yamnet import load_yamnet

        # A third faster on CPUs than the default layout.
        self._network = load_yamnet(path).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def teach(
        self,
        patches: NDArray[np.floating],
        batch: int = 128,
        progress: Callable[[float], None] = lambda _: None,
    ) -> Lesson:
        """[N, 96, 64] log-mel patches → embeddings and scores."""
        import torch

        embeddings: list[NDArray[np.float16]] = []
        scores: list[NDArray[np.float16]] = []
        with torch.inference_mode():
            for start in range(0, len(patches), batch):
                chunk = torch.from_numpy(np.asarray(patches[start : start + batch], np.float32))
                embedding = self._network(chunk)
                embeddings.append(embedding.numpy().astype(np.float16))
                scores.append(self._network.scores(embedding).numpy().astype(np.float16))
                progress(min(1.0, (start + batch) / len(patches)))
        return Lesson(np.concatenate(embeddings), np.concatenate(scores))


def event_scores(scores: NDArray[np.floating], least: float = SAME_THING) -> NDArray[np.float32]:
    """[N, 521] → [N, 28]: the greatest weighted score among the classes that mean each event."""
    weights = concept_weights()[: len(EVENT_NAMES)]
    found = np.zeros((len(scores), len(EVENT_NAMES)), np.float32)
    for event, row in enumerate(weights):
        columns = np.flatnonzero(row >= least)
        if columns.size:
            found[:, event] = (scores[:, columns].astype(np.float32) * row[columns]).max(1)
    return found
