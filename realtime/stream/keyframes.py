"""Which pictures the visual network computes: those that show something new.

The pictures of one second say almost the same, and those of a camera that looks at an empty yard say the
same for hours. A picture is computed when its small luma picture differs from that of the last computed one
(the *key picture*); any other is represented by the features of that one, across seconds too, for at most
`MAX_AGE_NS`. What is computed follows from pictures and instants alone: the same stream gives the same
numbers at every speed. Pictures go through the network one by one, so that no number depends on its
neighbours in a batch, and a picture that belongs to several segments (`--hop 0.5`) is computed once.

Whatever moves changes every picture, and mostly still shows the same: sparing (`--frames auto`), the key
picture stands for any other within `REST_NS` where its features and those of the one computed before it say
the same. A picture that says something else ends that at once.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...model.runtime.base import Engine
from ..core.clock import NS_PER_S

THRESHOLD: Final = 12.0
"""Levels of 255 by which a block's mean luma must differ before a picture counts as new. On composed scenes
the answers are those of every picture up to here at least (`tests/bench/keyframes.py`)."""
MAX_AGE_NS: Final = 5 * NS_PER_S
"""A key picture stands for others within this time; then one is computed, changed or not."""
BLOCKS: Final = 14
"""Blocks in each direction of the small luma picture: 16×16 pixels of 224×224, so that the noise of a
sensor averages out and a dog at the far end of a yard does not."""
REST_NS: Final = 2 * NS_PER_S // 5
"""Sparing, a key picture that said nothing new stands for what follows so long: every other of four pictures
a second, whose distances are those of a camera's own."""
STEADY: Final = 0.15
"""Share by which features, averaged over the grid, may differ and say the same. Of real cameras' pictures a
quarter of a second apart two thirds do."""
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
_KEPT: Final = 64
"""Pictures whose features are remembered: more than the segments that can be open at once hold."""


def small_luma(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean luma of blocks: [H, W, 3] uint8 RGB → [14, 14] float32 in 0..255 (ITU-R BT.601 weights)."""
    height, width = image.shape[0] // BLOCKS, image.shape[1] // BLOCKS
    whole = image[: height * BLOCKS, : width * BLOCKS]
    # Rows first, which lie together: three times as quick as both axes at once.
    rows = whole.reshape(BLOCKS, height, -1).sum(axis=1, dtype=np.uint32)
    sums = rows.reshape(BLOCKS, BLOCKS, width, 3).sum(axis=2, dtype=np.uint32)
    means: NDArray[np.float32] = sums.astype(np.float32) @ (_LUMA / (height * width))
    return means


def change(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """How much two small luma pictures differ: the largest difference of a block, in levels of 255."""
    return float(np.abs(one - other).max())


def says_the_same(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether the features [G, G, D] of two pictures differ by no more than `STEADY` of themselves."""
    before, after = one.mean((0, 1)), other.mean((0, 1))
    return bool(np.abs(before - after).sum() <= STEADY * np.abs(before).sum())


class KeyFrames:
    """Features of the pictures of one stream, computed where they show something new.

    Args:
        engine: the networks.
        threshold: see `THRESHOLD`.
        max_age_ns: see `MAX_AGE_NS`.
        rest_ns: see `REST_NS`; 0 = whatever shows something new is computed.

    """

    def __init__(
        self,
        engine: Engine,
        *,
        threshold: float = THRESHOLD,
        max_age_ns: int = MAX_AGE_NS,
        rest_ns: int = 0,
    ) -> None:
        self._engine, self._threshold, self._max_age_ns = engine, threshold, max_age_ns
        self._rest_ns = rest_ns
        self._steady = False
        self._known: OrderedDict[int, NDArray[np.float32]] = OrderedDict()
        self._key: tuple[int, NDArray[np.float32], NDArray[np.float32]] | None = None
        self.computed = 0
        """Pictures that went through the network so far."""

    def grid(self, t_ns: int, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features [G, G, D] that stand for the picture [224, 224, 3] taken at `t_ns`."""
        known = self._known.get(t_ns)
        if known is not None:
            return known
        luma = small_luma(image)
        grid = self._carried(t_ns, luma)
        if grid is None:
            grid = self._engine.visual(image[None])[0]
            self._steady = self._key is not None and says_the_same(self._key[2], grid)
            self._key = t_ns, luma, grid
            self.computed += 1
        self._known[t_ns] = grid
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return grid

    def _carried(self, t_ns: int, luma: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """The key picture's features, where it is recent and alike."""
        if self._key is None:
            return None
        key_ns, key_luma, grid = self._key
        age_ns = abs(t_ns - key_ns)
        if self._steady and age_ns < self._rest_ns:
            return grid
        if age_ns >= self._max_age_ns or change(luma, key_luma) > self._threshold:
            return None
        return grid
