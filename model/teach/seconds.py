"""One second as the senses of taught classes take it: the same when a class is taught and when it is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .senses import Floats, Sense, Sensed, Senses

PICTURES: Final = 2
"""Pictures of a second that the eye of taught classes looks at; their mean counts."""


@dataclass(frozen=True)
class Sensation:
    """What the senses make of one second; a sense is missing where there was nothing to see or to hear."""

    visual: Sensed | None
    audio: Sensed | None

    def of(self, sense: Sense) -> Sensed | None:
        """What one sense makes of it, N = 1."""
        return self.visual if sense == "visual" else self.audio


def sense(
    senses: Senses,
    frames: NDArray[np.uint8] | None,
    samples: Floats | None,
    used: tuple[Sense, ...] = ("visual", "audio"),
) -> Sensation:
    """Look at and listen to a second.

    Args:
        senses: of the profile.
        frames: [N, 224, 224, 3] uint8 RGB, in order; None or empty: nothing was seen.
        samples: [16000] at 16 kHz; None: nothing was heard.
        used: which senses are wanted at all.

    """
    seen = heard = None
    if "visual" in used and frames is not None and len(frames):
        made = senses.see(frames[picked(len(frames))])
        seen = Sensed(*(part.mean(axis=0, keepdims=True) for part in made))
    if "audio" in used and samples is not None:
        heard = senses.hear(samples)
    return Sensation(seen, heard)


def picked(count: int) -> list[int]:
    """Which of so many pictures are looked at: evenly spaced, in the middle of their shares."""
    wanted = min(count, PICTURES)
    return [(2 * k + 1) * count // (2 * wanted) for k in range(wanted)]
