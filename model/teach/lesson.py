"""Teaching a class: probes on the examples, a threshold for a false-alarm budget, and what to expect of it.

Everything that is said of a class is said of examples that it was not made from: the recordings are left out
in turn, a part of the background with each, and what the others make of them is what is judged. A threshold
is put where the tail of the background's log-odds keeps the budget (`model.tails`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .demands import ROOM, ROOM_OF_BOTH, STRANGE, STRANGE_TO_BOTH, between, demanded, floor_of, threshold_of
from .pack import USED, Mode
from .probe import Doubles, Floats, Probe, both, centre, directions, fit_probe
from .senses import Sense

LEAST: Final = 3
"""Examples, at least."""
ENOUGH: Final = 10
"""Examples from which on more are not asked for by themselves."""
FOLDS: Final = 10
MOST_ALIKE: Final = 0.03
"""Of what ships as background, how much may be left out because it is the class itself."""
_WITHIN: Final = 2.0
"""Log-odds below an example's best second that its other seconds may be to count as the event."""
_PAIRS: Final = 12
"""Pictures that each sound of nothing is judged with."""


_Held = tuple[NDArray[np.int64], Doubles, dict[Sense, Doubles]]
"""Seconds of examples that were left out: of which, what all senses say, what each says."""


@dataclass(frozen=True)
class Seconds:
    """What the senses made of N seconds.

    `arrays[sense]` [N, D] (zeros where it is missing), `has[sense]` [N], `of` [N] numbers the example that a
    second is from, `copy` [N] marks variations, which are learnt from and not judged.
    """

    arrays: dict[Sense, Floats]
    has: dict[Sense, NDArray[np.bool_]]
    of: NDArray[np.int64]
    copy: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.of)

    def where(self, mask: NDArray[np.bool_]) -> Seconds:
        """Some of them."""
        return Seconds(
            {one: values[mask] for one, values in self.arrays.items()},
            {one: values[mask] for one, values in self.has.items()},
            self.of[mask],
            self.copy[mask],
        )

    def with_all(self, used: Sequence[Sense]) -> Seconds:
        """Those that none of these senses is missing in."""
        return self.where(np.logical_and.reduce([self.has[one] for one in used]))


@dataclass(frozen=True)
class Lesson:
    """A class that was taught, and what is known of it.

    Attributes:
        probes: by sense.
        threshold: log-odds.
        floors: that each sense by itself must reach, where two must agree.
        best: [E] the log-odds of each example's best second, by what the others teach.
        apart: [S] by sense: how often an example's second is above background's (0.5 = by chance).
        own_apart: the same against the user's own background; empty where there is none.

    """

    probes: dict[Sense, Probe]
    threshold: float
    floors: dict[Sense, float]
    best: Doubles
    apart: dict[Sense, float]
    own_apart: dict[Sense, float]

    @property
    def found(self) -> NDArray[np.bool_]:
        """[E] which examples the others lead to."""
        return np.asarray(self.best >= self.threshold)

    @property
    def recall(self) -> tuple[float, float, float]:
        """Share of events that will be found: the estimate, and Wilson's 95 % interval."""
        count = len(self.best)
        return (float(self.found.mean()), *wilson(int(self.found.sum()), count))


def wilson(hits: int, count: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson, JASA 1927)."""
    z, p = 1.959964, hits / count
    middle = (p + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Everything:
    """What is not the class.

    Attributes:
        bank: [N, D] by sense: what ships, each sense by itself; may be empty.
        own: the user's background, both senses together; may be empty.

    """

    bank: dict[Sense, Floats]
    own: Seconds

    def negatives(self, sense: Sense, keep: Kept) -> Floats:
        """Of one sense, to learn from."""
        own = self.own.arrays[sense][self.own.has[sense] & keep.own]
        return np.concatenate([self.bank[sense][keep.bank[sense]], own])


@dataclass(frozen=True)
class Kept:
    """Which of the background is learnt from; the rest is judged."""

    bank: dict[Sense, NDArray[np.bool_]]
    own: NDArray[np.bool_]


def teach(examples: Seconds, groups: Sequence[int], other: Everything, mode: Mode, per_hour: float) -> Lesson:
    """Teach a class.

    Args:
        examples: their seconds, `of` counting from 0; every example has one that all senses in use have.
        groups: [E] the recording of each example: those of one are left out together, if there are several.
        other: what is not the class.
        mode: which senses must agree.
        per_hour: false alarms that the threshold is chosen for.

    """
    used = USED[mode]
    events = examples.with_all(used)
    other = Everything(without_likes(events, other.bank, used), other.own)
    count = int(examples.of.max()) + 1
    folds = _folds(np.asarray(groups), count)
    rng = np.random.default_rng(0)
    bank_fold = {one: rng.permutation(len(other.bank[one])) % len(folds) for one in used}
    # Neighbouring seconds of a background are alike: what is left out is in one piece.
    own_fold = np.arange(len(other.own)) * len(folds) // max(1, len(other.own))
    quiet, own_quiet, heldout = list[Doubles](), list[Doubles](), list[_Held]()
    marks: dict[Sense, list[tuple[Doubles, Doubles, Doubles]]] = {one: [] for one in used}
    for number, left_out in enumerate(folds):
        held = np.isin(events.of, left_out)
        keep = Kept({one: bank_fold[one] != number for one in used}, own_fold != number)
        probes = _fit(events.where(~held), other, used, keep)
        judged = events.where(held & ~events.copy)
        z = {one: probes[one](judged.arrays[one]) for one in used}
        heldout.append((judged.of, _agree(z, used), z))
        none = {one: probes[one](other.bank[one][~keep.bank[one]]) for one in used}
        own = other.own.where(~keep.own).with_all(used)
        mine = {one: probes[one](own.arrays[one]) for one in used}
        quiet.append(_paired(none, used, rng))
        own_quiet.append(_agree(mine, used))
        for one in used:
            marks[one].append((z[one], none[one], mine[one]))
    everything = Kept(
        {one: np.ones(len(other.bank[one]), bool) for one in used}, np.ones(len(other.own), bool)
    )
    apart, own_apart = _apart(marks)
    two = len(used) > 1
    floors = {one: _floor(rows) for one, rows in marks.items()} if two else {}
    budget = threshold_of(
        np.concatenate(quiet), np.concatenate(own_quiet), per_hour, STRANGE_TO_BOTH if two else STRANGE
    )
    threshold = between(budget, _best(heldout, count, {}, 0.0), ROOM_OF_BOTH if two else ROOM)
    return Lesson(
        probes=_fit(events, other, used, everything),
        threshold=threshold,
        floors=floors,
        best=_best(heldout, count, floors, threshold),
        apart=apart,
        own_apart=own_apart,
    )


def without_likes(events: Seconds, bank: dict[Sense, Floats], used: Sequence[Sense]) -> dict[Sense, Floats]:
    """What ships of everything else, without what is the class itself: people teach what is in there, too.

    A second or picture goes that is as near to the examples' mean as the most unlike example, the nearest
    first, a few in a hundred at most.
    """
    left: dict[Sense, Floats] = {}
    for one in used:
        if not len(bank[one]):
            left[one] = bank[one]
            continue
        middle = centre(bank[one])
        real = events.where(~events.copy)
        rows = directions(real.arrays[one], middle)
        means = np.stack([rows[real.of == k].mean(axis=0) for k in np.unique(real.of)])
        total, count = means.sum(axis=0), len(means)
        among = [float(row @ (total - row)) / max(1, count - 1) for row in means]
        near = directions(bank[one], middle) @ (total / count)
        limit = max(min(among), float(np.quantile(near, 1 - MOST_ALIKE)))
        left[one] = bank[one][near < limit]
    return left


def _folds(groups: NDArray[np.int64], count: int) -> list[NDArray[np.int64]]:
    """Examples that are left out together; none but one recording's where there is no other."""
    numbers = np.unique(groups)
    if len(numbers) < LEAST:
        groups = np.arange(count)
        numbers = groups
    parts = np.array_split(np.random.default_rng(1).permutation(numbers), min(FOLDS, len(numbers)))
    return [np.flatnonzero(np.isin(groups, part)) for part in parts]


def _fit(events: Seconds, other: Everything, used: Sequence[Sense], keep: Kept) -> dict[Sense, Probe]:
    """Probes, twice: at first every second of an example counts, then those that look like the event."""
    negative = {one: other.negatives(one, keep) for one in used}
    middle = {one: centre(negative[one]) for one in used}
    chosen = np.ones(len(events), bool)
    probes: dict[Sense, Probe] = {}
    for _ in range(2):
        some = events.where(chosen)
        share = 1 / np.bincount(some.of)[some.of]
        probes = {one: fit_probe(some.arrays[one], share, negative[one], middle[one]) for one in used}
        z = _agree({one: probes[one](events.arrays[one]) for one in used}, used)
        top = np.full(int(events.of.max()) + 1, -np.inf)
        np.maximum.at(top, events.of, z)
        chosen = z >= top[events.of] - _WITHIN
    return probes


def _agree(z: dict[Sense, Doubles], used: Sequence[Sense]) -> Doubles:
    return z[used[0]] if len(used) == 1 else both(z[used[0]], z[used[1]])


def _paired(z: dict[Sense, Doubles], used: Sequence[Sense], rng: np.random.Generator) -> Doubles:
    """Sounds of nothing with pictures of nothing: the bank's are of no common second."""
    if len(used) == 1 or not all(len(z[one]) for one in used):
        return _agree(z, used) if len(used) == 1 else np.zeros(0)
    sound = np.repeat(z["audio"], _PAIRS)
    return both(sound, rng.choice(z["visual"], len(sound)))


def _floor(rows: list[tuple[Doubles, Doubles, Doubles]]) -> float:
    return floor_of(*(np.concatenate([row[column] for row in rows]) for column in (1, 2)))


def _best(heldout: Sequence[_Held], count: int, floors: dict[Sense, float], threshold: float) -> Doubles:
    """[count]: each example's best second, by what the others teach."""
    best = np.full(count, -np.inf)
    for of, joint, each in heldout:
        np.maximum.at(best, of, demanded(joint, each, floors, threshold))
    return best


def _apart(
    marks: dict[Sense, list[tuple[Doubles, Doubles, Doubles]]],
) -> tuple[dict[Sense, float], dict[Sense, float]]:
    shipped: dict[Sense, float] = {}
    own: dict[Sense, float] = {}
    for sense, rows in marks.items():
        events = np.concatenate([row[0] for row in rows])
        for column, into in ((1, shipped), (2, own)):
            others = np.concatenate([row[column] for row in rows])
            if len(others) and len(events):
                into[sense] = float((events[:, None] > others[None]).mean())
    return shipped, own
