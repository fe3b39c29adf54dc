"""Taught classes at work: from a second's sensations to one probability for each, beside the shipped classes.

A taught class is silent unless its threshold is near: below `FLOOR` its probability is exactly 0, and the
shipped classes' numbers are then, bit for bit, what they are without it. Where it speaks, it takes its share
from all others alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelFileError
from .demands import demanded
from .pack import USED, Pack
from .probe import Doubles, both
from .seconds import Sensation, sense
from .senses import Floats, Sense, Sensed, Senses

AT_THRESHOLD: Final = 0.7
"""Probability at a pack's threshold: what the decoder asks of an event of a single second."""
FLOOR: Final = 0.2
"""Less is nothing: where the decoder lets go of an event that it holds."""
_MOST: Final = 0.99
_SHIFT: Final = float(np.log(AT_THRESHOLD / (1 - AT_THRESHOLD)))


def log_odds(pack: Pack, sensed: dict[Sense, Sensed]) -> Doubles:
    """[N]: how likely each second is the class, all senses that it uses agreeing."""
    each: dict[Sense, Doubles] = {one: _of_sense(pack, one, sensed[one]) for one in USED[pack.card.mode]}
    if len(each) == 1:
        return next(iter(each.values()))
    return demanded(both(*each.values()), each, pack.card.floors, pack.card.threshold)


def _of_sense(pack: Pack, one: Sense, sensed: Sensed) -> Doubles:
    if not pack.card.is_rule:
        return pack.probes[one](sensed.embedding)
    logits = sensed.logits.astype(np.float64)
    if one == "audio":
        return np.asarray(logits[:, pack.card.hears].max(axis=1))
    # Softmax over ImageNet's classes: the log-odds of their sum against all others.
    wanted = np.zeros(logits.shape[1], bool)
    wanted[pack.card.sees] = True
    return np.asarray(
        np.logaddexp.reduce(logits[:, wanted], axis=1) - np.logaddexp.reduce(logits[:, ~wanted], axis=1)
    )


def probability(pack: Pack, z: Doubles) -> Floats:
    """Log-odds → what is told: `AT_THRESHOLD` at the threshold, 0 below `FLOOR`."""
    p = 1 / (1 + np.exp(-np.clip(z - pack.card.threshold + _SHIFT, -60, 60)))
    return np.where(p < FLOOR, 0.0, p).astype(np.float32)


class Taught:
    """Taught classes in use.

    Args:
        packs: at least one; all for the senses given.
        senses: of the profile in use.

    """

    def __init__(self, packs: Sequence[Pack], senses: Senses) -> None:
        self.packs = tuple(packs)
        self.names = tuple(pack.card.name for pack in packs)
        self._senses = senses
        wanted = {one for pack in packs for one in USED[pack.card.mode]}
        self._used = tuple(one for one in ("visual", "audio") if one in wanted)

    def judge(self, frames: NDArray[np.uint8] | None, samples: Floats | None) -> Floats:
        """A second → [K] probabilities; see `seconds.sense` for the arguments.

        A class whose senses had nothing to go by is 0.
        """
        return self.judged(sense(self._senses, frames, samples, self._used))

    def judged(self, second: Sensation) -> Floats:
        """[K] probabilities of what was sensed."""
        out = np.zeros(len(self.packs), np.float32)
        for k, pack in enumerate(self.packs):
            given = {one: second.of(one) for one in USED[pack.card.mode]}
            present = {one: made for one, made in given.items() if made is not None}
            if len(present) == len(given):
                out[k] = probability(pack, log_odds(pack, present))[0]
        return out


def join(probabilities: Floats, taught: Floats) -> Floats:
    """Shipped classes' probabilities [T, C] and taught ones' [T, K] → [T, C + K], *background* last.

    Rows sum to 1 as before; where no taught class speaks, the others' numbers do not change at all.
    """
    total = taught.sum(axis=1, keepdims=True)
    taught = np.where(total > _MOST, taught * (_MOST / np.maximum(total, _MOST)), taught)
    left = (1 - taught.sum(axis=1, keepdims=True)).astype(np.float32)
    others = probabilities * left
    return np.concatenate([others[:, :-1], taught, others[:, -1:]], axis=1).astype(np.float32)


def check_fits(pack: Pack, digests: dict[Sense, str], profile: str) -> None:
    """Refuse a pack that was taught with other networks.

    Raises:
        ModelFileError: with the reason, and the fix.

    """
    for one in USED[pack.card.mode]:
        if pack.card.senses[one] != digests[one]:
            what = "eye" if one == "visual" else "ear"
            raise ModelFileError(
                f"taught class {pack.card.name!r}: taught with the {what} of profile {pack.card.profile} "
                f"({pack.card.senses[one][:8]}), but that of {profile} ({digests[one][:8]}) is in use; "
                f"use --profile {pack.card.profile}, or `avel teach again {pack.card.id}`"
            )
