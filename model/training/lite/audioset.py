"""What the teacher's 521 scores say of the 28 events, as targets for the student.

The table is `backbones.audio_concepts`; here only the classes count that are the thing itself
(weight ≥ 0.7): "Engine" is evidence for a truck, but no reason to teach that every engine is one.
"""

from __future__ import annotations

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


def event_scores(scores: NDArray[np.floating], least: float = SAME_THING) -> NDArray[np.float32]:
    """[N, 521] → [N, 28]: the greatest weighted score among the classes that mean each event."""
    weights = concept_weights()[: len(EVENT_NAMES)]
    found = np.zeros((len(scores), len(EVENT_NAMES)), np.float32)
    for event, row in enumerate(weights):
        columns = np.flatnonzero(row >= least)
        if columns.size:
            found[:, event] = (scores[:, columns].astype(np.float32) * row[columns]).max(1)
    return found
