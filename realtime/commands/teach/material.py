"""What a class can be taught again from when eye or ear are others: small pictures and sounds (`--keep`).

kept.sound       [N, 16000] int16, the second at 16 kHz
kept.picture     [bytes] uint8, JPEGs of 224 × 224, one after the other; what the eye looks at, two a second
kept.picture_of  [M] uint16, whose second each is
kept.picture_end [M] uint32, where it ends
kept.second_of   [N] int16, of which example, −1 = background

Unlike the embeddings that every pack keeps, this can be looked at and listened to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ....model.errors import ModelFileError, first_line
from ....model.teach.seconds import picked
from ....model.teach.senses import Floats
from ...core.messages import Segment

BACKGROUND: Final = -1
PER_EXAMPLE: Final = 6
EXAMPLES: Final = 180
PLACE: Final = 90
"""Seconds that are kept: of an example, of all, of the background."""
_QUALITY: Final = 90
KEYS: Final = ("sound", "picture", "picture_of", "picture_end", "second_of")


@dataclass(frozen=True)
class Small:
    """A second as it is kept; no pictures or no sound where there were none."""

    pictures: tuple[bytes, ...]
    sound: NDArray[np.int16] | None

    @classmethod
    def of(cls, segment: Segment) -> Small:
        """Made small."""
        frames = segment.frames if segment.video and len(segment.frames) else None
        return cls.made(frames, segment.audio if segment.sound else None)

    @classmethod
    def made(cls, frames: NDArray[np.uint8] | None, samples: Floats | None) -> Small:
        """Of [N, 224, 224, 3] RGB and [16000] at 16 kHz; either may be missing."""
        quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
        chosen = [] if frames is None else [frames[k] for k in picked(len(frames))]
        pictures = (cv2.imencode(".jpg", frame[..., ::-1], quality)[1].tobytes() for frame in chosen)
        sound = None if samples is None else np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
        return cls(tuple(pictures), sound)


@dataclass
class Material:
    """Seconds that are kept, as they come."""

    examples: list[tuple[int, Small]] = field(default_factory=list)
    place: list[Small] = field(default_factory=list)
    _stride: int = 1
    _seen: int = 0

    def example(self, number: int, segment: Segment) -> None:
        """A second of an example; of each the first ones, of all so many."""
        if len(self.examples) < EXAMPLES and Counter(n for n, _ in self.examples)[number] < PER_EXAMPLE:
            self.examples.append((number, Small.of(segment)))

    def background(self, second: Segment | Small) -> None:
        """A second of the place; however many there are, those that stay lie evenly."""
        if self._seen % self._stride == 0:
            self.place.append(Small.of(second) if isinstance(second, Segment) else second)
        self._seen += 1
        if len(self.place) >= 2 * PLACE:
            self.place, self._stride = self.place[::2], 2 * self._stride

    def choose(self, numbers: Sequence[int]) -> None:
        """Only these examples, counted from 0 in this order."""
        self.examples = [(numbers.index(n), small) for n, small in self.examples if n in numbers]

    def take(self, kept: Mapping[str, NDArray[Any]], order: Mapping[int, int], *, place: bool) -> None:
        """What a pack keeps already: of examples by their new numbers, and of the place."""
        for of, frames, samples in stored(kept):
            if of in order or (of == BACKGROUND and place):
                small = Small.made(frames, samples)
                if of in order:
                    self.examples.append((order[of], small))
                else:
                    self.background(small)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """For a pack; empty where nothing was kept."""
        chosen = np.linspace(0, len(self.place) - 1, min(len(self.place), PLACE)).astype(int)
        rows = [*self.examples, *((BACKGROUND, self.place[k]) for k in chosen)]
        if not rows:
            return {}
        silence = np.zeros(16_000, np.int16)
        jpegs = [(k, one) for k, (_, small) in enumerate(rows) for one in small.pictures]
        ends = np.cumsum([len(jpeg) for _, jpeg in jpegs], dtype=np.int64)
        return {
            "second_of": np.array([of for of, _ in rows], np.int16),
            "sound": np.stack([silence if small.sound is None else small.sound for _, small in rows]),
            "picture": np.frombuffer(b"".join(jpeg for _, jpeg in jpegs), np.uint8),
            "picture_of": np.array([k for k, _ in jpegs], np.uint16),
            "picture_end": ends.astype(np.uint32),
        }


def stored(kept: Mapping[str, NDArray[Any]]) -> Iterator[tuple[int, NDArray[np.uint8] | None, Floats | None]]:
    """Each second that a pack keeps: of which example, [N, 224, 224, 3] RGB, and [16000] at 16 kHz.

    None where there was nothing to see, or nothing but digital silence to hear.

    Raises:
        ModelFileError: what is kept does not fit together.

    """
    if not has_material(kept):
        return
    try:
        yield from _stored(kept)
    except (ValueError, IndexError, TypeError, cv2.error) as error:
        raise ModelFileError(
            f"what the class keeps is damaged ({first_line(error)}); teach it anew"
        ) from error


def _stored(
    kept: Mapping[str, NDArray[Any]],
) -> Iterator[tuple[int, NDArray[np.uint8] | None, Floats | None]]:
    ends = kept["picture_end"].astype(int).tolist()
    pictures: dict[int, list[NDArray[np.uint8]]] = {}
    for k, (second, end) in enumerate(zip(kept["picture_of"].tolist(), ends, strict=True)):
        image = cv2.imdecode(kept["picture"][ends[k - 1] if k else 0 : end], cv2.IMREAD_COLOR)
        if image is not None:
            pictures.setdefault(second, []).append(np.asarray(image[..., ::-1], np.uint8))
    for number, (of, sound) in enumerate(zip(kept["second_of"].tolist(), kept["sound"], strict=True)):
        shown = pictures.get(number)
        samples = sound.astype(np.float32) / 32767 if sound.any() else None
        yield of, np.stack(shown) if shown else None, samples


def has_material(kept: Mapping[str, NDArray[Any]]) -> bool:
    """Whether a pack can be taught again from itself."""
    return all(key in kept for key in KEYS)


def without(kept: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """What a pack keeps but pictures and sounds."""
    return {key: value for key, value in kept.items() if key not in KEYS}
