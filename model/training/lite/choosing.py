"""Which take of sound goes with a scene: of an event, of nothing, of what is almost the event."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...labels import BACKGROUND
from .material import TakePool
from .recipe import Recipe

# Takes among which one that lasts is chosen; not the longest of all, or a few would be heard all the time.
_SEVERAL: Final = 6
# Share of the takes of nothing that count as sounding like an event.
_ALIKE: Final = 0.03


class TakeChoice:
    """Draws takes from a pool.

    Args:
        takes: the pool.
        recipe: how often which.
        rng: of the scenes.

    """

    def __init__(self, takes: TakePool, recipe: Recipe, rng: np.random.Generator) -> None:
        self._pool, self._recipe, self._rng = takes, recipe, rng
        self._of = {int(k): np.flatnonzero(takes.kind == k) for k in np.unique(takes.kind)}
        self._of[BACKGROUND] = takes.nothing()
        self._alike = takes.nothing_like(_ALIKE)
        self._near = {int(k): np.flatnonzero(takes.near == k) for k in np.unique(takes.near)}
        self.audible = [k for k in self._of if k < BACKGROUND]
        """The events that there are takes of."""
        self.resembled = [k for k in self._near if k < BACKGROUND]
        """The events that there are takes of what is almost them of."""

    @cached_property
    def _clarity(self) -> NDArray[np.float32]:
        """Of each take; many choices never ask."""
        return self._pool.clarity()

    def of(self, kind: int) -> int:
        """One of an event, or of nothing."""
        options, rng = self._of[kind], self._rng
        take = int(options[rng.integers(len(options))])
        if kind == BACKGROUND:
            return take
        if rng.random() < self._recipe.lasting:
            return self._clearest(self._lasting(options))
        if rng.random() < self._recipe.clear:
            return self._clearest(np.array([take, options[rng.integers(len(options))]]))
        return take

    def faint(self, event: int) -> int:
        """One in which the event lasts, and the ear hears it least of a few."""
        some = self._lasting(self._of[event])
        return int(some[np.argmin(self._clarity[some])])

    def like(self, event: int) -> int:
        """One of nothing, in which the ear comes near to hearing the event."""
        return int(self._rng.choice(self._alike[event]))

    def almost(self, event: int) -> int:
        """One of what is almost the event, one of `resembled`."""
        return int(self._rng.choice(self._near[event]))

    def _lasting(self, options: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of several takes the two in which the event is heard longest, and those that are as long."""
        some = options[self._rng.integers(len(options), size=_SEVERAL)]
        seconds = self._pool.audible[some].sum(axis=1)
        lasting: NDArray[np.int64] = some[seconds >= np.sort(seconds)[-2]]
        return lasting

    def _clearest(self, takes: NDArray[np.int64]) -> int:
        """Of these takes, the one whose event the ear hears best."""
        return int(takes[np.argmax(self._clarity[takes])])
