"""What a class demands of a second: a threshold for a false-alarm budget, and of two senses a floor each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from ..tails import normal_tail
from .probe import Doubles
from .senses import Sense

STRANGE: Final = 1 / 50
"""Of seconds of nothing, how many hold something like what ships as background; the others are quiet."""
STRANGE_TO_BOTH: Final = 1 / 20
"""The same where two senses must agree: in a place they are strange together more often than by chance."""
OWN_LEAST: Final = 60
"""Seconds of the user's own background from which on its tail counts by itself."""
ROOM: Final = 0.5
ROOM_OF_BOTH: Final = 0.25
"""How much of the room between budget and examples a threshold takes; less where floors are demanded, too."""
_FEW: Final = 10
"""So many examples take their whole share of that room; four times as many half of it."""
_POORER: Final = 0.1
_ALONE: Final = 0.015
"""Of seconds of background, how many each of two senses may by itself take for the event."""
_BULK: Final = (0.8, 0.95)
"""Between which shares of the background that is measured: what lies above is often akin to the class."""


def threshold_of(quiet: Doubles, own: Doubles, per_hour: float, strange: float = STRANGE) -> float:
    """Where the tails keep the budget: of the quiet of the place, and of what is strange to it."""
    levels = []
    if len(quiet):
        levels.append(normal_tail(quiet, per_hour / 3600 / strange))
    if len(own) >= OWN_LEAST or not len(quiet):
        levels.append(normal_tail(own, per_hour / 3600))
    elif len(own):
        levels.append(float(own.max()))
    return max(levels)


def between(budget: float, best: Doubles, share: float = ROOM) -> float:
    """What keeps the budget, or, where the examples leave room above that, some way up to the poorer of them.

    A room may hold what no background did; room that costs no event is not to be given away. It is a share
    of the way with a few examples, and less with more: they are surer of each other than of what is to come.
    """
    poorer = float(np.quantile(np.maximum(best, -1e3), _POORER))  # an example without a second counts as lost
    return max(budget, budget + (poorer - budget) * share * min(1.0, math.sqrt(_FEW / len(best))))


def floor_of(shipped: Doubles, own: Doubles) -> float:
    """What a sense says of hardly any background: of what ships, or of the place's where nothing does.

    The best of what ships is passed over: it holds instruments, which are much like the one that is taught,
    and people, who are seen wherever one speaks. The tail of the bulk is what an ordinary second may reach.
    """
    return normal_tail(shipped if len(shipped) else own, _ALONE, _BULK)


def demanded(
    joint: Doubles, each: Mapping[Sense, Doubles], floors: Mapping[Sense, float], threshold: float
) -> Doubles:
    """What all senses say together, [N], held down where one by itself does not say enough.

    A product of probabilities lets a sense that is very sure stand for one that says hardly anything: seen
    *and* heard is meant. Nothing is farther above the threshold than each sense above its floor.
    """
    for one, floor in floors.items():
        joint = np.minimum(joint, threshold + (each[one] - floor))
    return joint
