"""Changes to a scene that leave its truth plain: what one event is, another could have been.

They work on evidence, in place, and move the label along. *Lending* shows an event by another's picture.
*Relabelling* lets two events trade places altogether, so that the head believes the evidence for a rare
event as it believes that for a common one. *Voices* trade places in every other scene: whether a speaker is
a man or a woman is for the ear to say, and a head that sees who recorded the few voices there are would
find other reasons. Ears *slip*: in a second here and there they take a voice for one of the other kind, so
that a voice is judged by all of what is heard of it. *Mimics* are voices that do not speak, which few
recordings hold. *Hushing* and *mishearing* make readings that were learnt from labels (`audio_evidence`)
timid, the ear's own classes, or mistaken, those and the reader of YAMNet's embedding: they were learnt from
few recordings, and err more on others than on these.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...backbones.audio_concepts import CONCEPTS as HEARD
from ...backbones.visual_concepts import CONCEPTS as SEEN
from ...labels import BACKGROUND, EVENT_NAMES
from .material import PLUCKED, SPEECH, UNSEEN, audio_blocks

PERSON_CHANNEL: Final = SEEN.index("person")
_MIMICS: Final = {
    EVENT_NAMES.index("Baby cry, infant cry"): ("laughter", "child"),
    **dict.fromkeys(SPEECH, ("singing", "laughter", "child")),
}
"""What is taken for an event and is none of it, by the other concept that AudioSet has for it."""


def relabel(
    whole: NDArray[np.float32],
    cells: NDArray[np.float32],
    audio: NDArray[np.float32],
    label: NDArray[np.int64],
    rng: np.random.Generator,
) -> None:
    """Let two events trade places in one scene, in place: [10, C], [10, 7, 7, C], [10, A], [10]."""
    first, second = (int(k) for k in rng.choice(BACKGROUND, size=2, replace=False))
    if first in UNSEEN or second in UNSEEN:
        return
    # Both kinds of speech are seen as one person, who would vanish from beside the other voice.
    left = [voice for voice in SPEECH if voice not in (first, second)]
    if len(left) == 1 and np.isin(label, left).any():
        return
    _swap(label, audio, first, second)
    for picture in (whole, cells):
        trade(picture, first, second, rng)


def trade(picture: NDArray[np.float32], first: int, second: int, rng: np.random.Generator) -> None:
    """Let the visual evidence of two events trade places, [..., C], in place.

    What ImageNet can't tell apart stays tied after the trade: both kinds of speech are a person, and
    guitars, banjos, mandolins and ukuleles look alike.
    """
    if first != second:
        picture[..., [first, second]] = picture[..., [second, first]]
    for event in (first, second):
        if event in SPEECH:
            for twin in (*SPEECH, PERSON_CHANNEL):
                picture[..., twin] = picture[..., event]
        elif event in PLUCKED:
            best = picture[..., PLUCKED].max(axis=-1)
            for twin in PLUCKED:
                share = 1.0 if twin == second else rng.uniform(0.6, 1.1)
                picture[..., twin] = np.clip(best * np.float32(share), 0.0, 1.0)


def _swap(label: NDArray[np.int64], audio: NDArray[np.float32], first: int, second: int) -> None:
    """Two events trade labels and sounds, in place: [...], [..., A]."""
    was_first, was_second = label == first, label == second
    label[was_first], label[was_second] = second, first
    for offset in audio_blocks(audio.shape[-1]):
        audio[..., [offset + first, offset + second]] = audio[..., [offset + second, offset + first]]


def swap_voices(audio: NDArray[np.float32], label: NDArray[np.int64]) -> None:
    """Men speak where women did and the other way about, in place: [..., A], [...]."""
    _swap(label, audio, *SPEECH)


def slip_voices(audio: NDArray[np.float32], rng: np.random.Generator) -> None:
    """In up to half of the seconds a man's voice is heard as a woman's or the other way about: [10, A]."""
    seconds = np.flatnonzero(rng.random(len(audio)) < rng.uniform(0.0, 0.5))[:, None]
    man, woman = SPEECH
    for offset in audio_blocks(audio.shape[-1]):
        pair = [offset + man, offset + woman]
        audio[seconds, pair] = audio[seconds, pair[::-1]]


def mimic(audio: NDArray[np.float32], event: int, rng: np.random.Generator) -> None:
    """Where nothing is heard, something like the event that has a name of its own, in place: [10, A]."""
    if event not in _MIMICS:
        return
    first, last = sorted(rng.integers(0, len(audio) + 1, size=2))
    seconds, count = np.arange(first, last), last - first
    other = HEARD.index(str(rng.choice(_MIMICS[event])))
    loud = rng.uniform(0.7, 1.0) + rng.normal(0.0, 0.05, count)
    audio[seconds, other] = np.maximum(audio[seconds, other], loud.clip(0.0, 1.0))
    blocks = audio_blocks(audio.shape[-1])
    for offset, reading in zip(blocks, (loud - rng.uniform(0.2, 0.6), rng.uniform(0.2, 1.0)), strict=False):
        heard = reading + rng.normal(0.0, 0.1, count)
        audio[seconds, offset + event] = np.maximum(audio[seconds, offset + event], heard.clip(0.0, 1.0))


def hush(audio: NDArray[np.float32], event: int, rng: np.random.Generator) -> None:
    """The ear's own classes hardly hear an event, in place: [10, A]."""
    if len(blocks := audio_blocks(audio.shape[-1])) > 1:
        audio[:, blocks[1] + event] *= np.float32(rng.uniform(0.0, 0.8))


def mishear(
    audio: NDArray[np.float32], label: NDArray[np.int64], event: int, rng: np.random.Generator
) -> None:
    """What was learnt from labels hears an event for a while where there is none, in place: [10, A], [10].

    The ear's own classes do; where there is a reader beside them, one of the two or both, for both learnt
    from the same few recordings.
    """
    learnt = audio_blocks(audio.shape[-1])[1:]
    first, last = sorted(rng.integers(0, len(label) + 1, size=2))
    seconds = np.arange(first, last)
    seconds = seconds[label[seconds] != event]
    if len(learnt) > 1:
        learnt = (learnt[:1], learnt[1:], learnt)[rng.integers(3)]
    for start in learnt if seconds.size else ():
        heard = rng.uniform(0.4, 0.95) + rng.normal(0.0, 0.1, seconds.size)
        channel = start + event
        audio[seconds, channel] = np.maximum(audio[seconds, channel], heard.clip(0.0, 1.0))
