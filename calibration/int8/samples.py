"""What INT8 ranges are measured on: a fair sample of seconds from a stream of any length.

A reservoir keeps every second of the stream with the same chance, in constant memory. A second that looks
and sounds like one it already holds is passed over: an hour of an empty room must not crowd out the
minute in which something happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...model.level import level_dbfs

_CELLS = 8
"""A picture is remembered by the brightness of 8 × 8 cells."""
_STRIDE = 4
_ALIKE_PICTURE = 6.0
"""Mean difference of brightness, of 255, below which two pictures count as the same."""
_ALIKE_SOUND_DB = 3.0


@dataclass(frozen=True)
class Second:
    """One segment as the networks get it.

    Attributes:
        frames: [N, 224, 224, 3] uint8 RGB.
        audio: [16000] float32 at 16 kHz.
        label: index of the true class, where it is known.

    """

    frames: NDArray[np.uint8]
    audio: NDArray[np.float32]
    label: int | None = None


@dataclass(frozen=True)
class _Look:
    """What a second is recognised by."""

    cells: NDArray[np.float32]
    level_db: float

    @classmethod
    def of(cls, second: Second) -> _Look:
        middle = second.frames[len(second.frames) // 2] if len(second.frames) else np.zeros((224, 224, 3))
        coarse = middle[::_STRIDE, ::_STRIDE]
        side = coarse.shape[0] // _CELLS
        grey = coarse[: side * _CELLS, : side * _CELLS].mean(axis=2)
        cells = grey.reshape(_CELLS, side, _CELLS, side).mean(axis=(1, 3)).astype(np.float32)
        return cls(cells, level_dbfs(second.audio))

    def like(self, other: _Look) -> bool:
        near = abs(self.level_db - other.level_db) < _ALIKE_SOUND_DB
        return near and float(np.abs(self.cells - other.cells).mean()) < _ALIKE_PICTURE


class Reservoir:
    """At most `size` unlike seconds, each of the stream's unlike seconds equally likely to be among them.

    Args:
        size: how many to keep.
        seed: of the draws; the same stream and seed keep the same seconds.

    """

    def __init__(self, size: int, seed: int = 0) -> None:
        if size < 1:
            raise ValueError(f"a reservoir holds at least one second, got {size}")
        self._size = size
        self._random = np.random.default_rng(seed)
        self._kept: list[tuple[_Look, Second]] = []
        self.seen = 0
        """Seconds offered so far."""
        self.unlike = 0
        """Of them, those unlike what was held."""

    def add(self, second: Second) -> bool:
        """Offer a second; whether it is held now."""
        self.seen += 1
        look = _Look.of(second)
        if any(look.like(other) for other, _ in self._kept):
            return False
        self.unlike += 1
        if len(self._kept) < self._size:
            self._kept.append((look, second))
            return True
        place = int(self._random.integers(self.unlike))
        if place < self._size:
            self._kept[place] = (look, second)
            return True
        return False

    def extend(self, seconds: Iterable[Second]) -> None:
        """Offer every second of a stream."""
        for second in seconds:
            self.add(second)

    def __iter__(self) -> Iterator[Second]:
        return (second for _, second in self._kept)

    def __len__(self) -> int:
        return len(self._kept)
