"""What scenes are composed from and what they become: pools of evidence, batches, and who looks alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...backbones.audio_concepts import CONCEPTS as HEARD
from ...labels import BACKGROUND, EVENT_NAMES

PERSON: Final = BACKGROUND + 1
"""Class of pictures that show people: visible for both speech events."""

SPEECH: Final = tuple(
    EVENT_NAMES.index(n) for n in ("Male speech, man speaking", "Female speech, woman speaking")
)
PLUCKED: Final = tuple(EVENT_NAMES.index(n) for n in ("Ukulele", "Acoustic guitar", "Banjo", "Mandolin"))
# No picture teaches a shofar, so the head must not learn to expect evidence that will never come.
UNSEEN: Final = (EVENT_NAMES.index("Shofar"),)


@dataclass(frozen=True)
class PicturePool:
    """Evidence of every prepared picture.

    `cells` [N, 7, 7, C] and `whole` [N, C] float16; `kind` [N] is an event, BACKGROUND or PERSON;
    `subject` [N] numbers the photograph a view was made from.
    """

    cells: NDArray[np.float16]
    whole: NDArray[np.float16]
    kind: NDArray[np.int64]
    subject: NDArray[np.int64]


@dataclass(frozen=True)
class TakePool:
    """Evidence of every ten-second take of sound.

    `evidence` [N, 10, A] float16; `kind` [N] is the event recorded, or BACKGROUND; `audible` [N, 10]
    says in which seconds it can be heard; `beneath` [N] and `faint` [N, 10] the same of a quieter event;
    `near` [N] which event a take of nothing is almost, BACKGROUND elsewhere.
    """

    evidence: NDArray[np.float16]
    kind: NDArray[np.int64]
    audible: NDArray[np.bool_]
    beneath: NDArray[np.int64]
    faint: NDArray[np.bool_]
    near: NDArray[np.int64]

    def seconds_of(self, take: int, event: int) -> NDArray[np.bool_]:
        """[10]: where the event can be heard in a take."""
        heard: NDArray[np.bool_] = self.audible[take] & (event == self.kind[take])
        heard |= self.faint[take] & (event == self.beneath[take])
        return heard

    def beneath_unlike(self, event: int) -> NDArray[np.int64]:
        """The takes in which it can be heard beneath an event that does not look like it."""
        found: NDArray[np.int64] = np.flatnonzero((self.beneath == event) & self.faint.any(axis=1))
        return found[[not twins(event, int(kind)) for kind in self.kind[found]]]

    def clarity(self) -> NDArray[np.float32]:
        """[N]: how clearly the ear hears each take's event, mean over its audible seconds; 0 of nothing."""
        reading = _strongest(self.evidence.astype(np.float32))
        events = self.kind < BACKGROUND
        kind = np.where(events, self.kind, 0)
        own = np.take_along_axis(reading, kind[:, None, None], axis=2)[..., 0]
        heard = self.audible & events[:, None]
        mean: NDArray[np.float32] = (own * heard).sum(axis=1) / np.maximum(heard.sum(axis=1), 1)
        return mean

    def nothing(self) -> NDArray[np.int64]:
        """The takes of nothing but those that are almost an event."""
        found: NDArray[np.int64] = np.flatnonzero((self.kind == BACKGROUND) & (self.near == BACKGROUND))
        return found

    def nothing_like(self, share: float) -> NDArray[np.int64]:
        """[28, n]: that share of the takes of nothing where the ear comes nearest to hearing each event."""
        nothing = self.nothing()
        reading = _strongest(self.evidence[nothing].astype(np.float32).mean(axis=1))
        most = max(1, int(share * len(nothing)))
        nearest: NDArray[np.int64] = nothing[np.argsort(-reading, axis=0)[:most]].T
        return nearest


@dataclass(frozen=True)
class Batch:
    """`visual` [B, 10, 7, 7, 2C], `audio` [B, 10, A], `label` [B, 10], masks [B, 10]; float32 and int64."""

    visual: NDArray[np.float32]
    audio: NDArray[np.float32]
    label: NDArray[np.int64]
    visual_mask: NDArray[np.bool_]
    audio_mask: NDArray[np.bool_]


def audio_blocks(width: int) -> tuple[int, ...]:
    """Where blocks of one channel per event begin: of concepts, of the ear's classes, of what is read."""
    starts = (0, len(HEARD), len(HEARD) + BACKGROUND)
    return tuple(start for start in starts if start + BACKGROUND <= width)


def _strongest(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """[..., A] evidence → [..., 28]: the most that any reading says of each event; a voice may be either."""
    blocks = [sound[..., start : start + BACKGROUND] for start in audio_blocks(sound.shape[-1])]
    reading: NDArray[np.float32] = np.stack(blocks).max(axis=0)
    reading[..., SPEECH] = reading[..., SPEECH].max(axis=-1, keepdims=True)
    return reading


def twins(first: int, second: int) -> bool:
    """Whether two events are seen alike, so that one seen and the other heard is no contradiction."""
    return any(first in group and second in group for group in (SPEECH, PLUCKED))


def join_visual(cells: NDArray[np.floating], whole: NDArray[np.floating]) -> NDArray[np.float32]:
    """Evidence of each cell beside that of the whole picture: [..., 7, 7, C], [..., C] → [..., 7, 7, 2C]."""
    spread = np.broadcast_to(whole[..., None, None, :], cells.shape)
    return np.concatenate([cells, spread], axis=-1).astype(np.float32)
