"""Which class each second of a recording carries, of labels with any times.

A second carries the class whose labels, taken together, cover at least half of it: three barks of 0.3 s are a
bark. Where two classes do, it is the one that covers more of it, and of equals the one that began later (a
bark during a long rain). What loses a second that it would have had, and what reaches none, is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..labels import BACKGROUND_NAME
from .data import Rows
from .labelfile import Labelled

_HALF: Final = 0.5 - 1e-9
"""Share of a second that a class has to cover; 2.3 − 1.8 is a little less than 0.5."""


@dataclass
class Video:
    """The seconds of one video, and what of its lines did not come into them."""

    target: Rows
    """[seconds] class of each second."""
    lost: list[str]


def seconds_of(events: Sequence[Labelled], length: int, index: dict[str, int]) -> Video:
    """The class of each of a recording's `length` seconds; `index` numbers the events, background is last."""
    background = len(index)
    target = np.full(length, background, np.int64)
    timed = [event for event in events if event.end]
    reached, lost = set[Labelled](), list[str]()
    wins: dict[tuple[str, str], list[int]] = {}
    for t in range(length):
        inside = [e for e in timed if e.start < t + 1 and e.end > t]
        if not inside:
            continue
        rivals = []
        for label in dict.fromkeys(e.label for e in inside):
            mine = [e for e in inside if e.label == label]
            covered = _covered([(max(e.start, t), min(e.end, t + 1)) for e in mine])
            if covered >= _HALF:
                rivals.append((round(covered, 6), max(e.start for e in mine), label, mine))
        if not rivals:
            continue
        rivals.sort(key=lambda rival: rival[:2])
        *losers, (_, _, label, mine) = rivals
        target[t] = background if label is None else index[label]
        reached |= {e for rival in rivals for e in rival[3]}
        for _, _, other, _ in losers:
            wins.setdefault((label or BACKGROUND_NAME, other or BACKGROUND_NAME), []).append(t)
    for (winner, loser), where in wins.items():
        spots = ", ".join(map(str, where[:5])) + (" …" if len(where) > 5 else "")
        lost.append(f"{events[0].file}: {winner} and {loser} in second {spots}; taken for {winner}")
    for e in timed:
        if e not in reached and e.label is not None:
            lost.append(
                f"line {e.line}: {e.label} in {e.file}, {e.start:g}–{e.end:g} s, covers half of no second"
            )
        elif length + 1 <= e.end < float("inf"):
            lost.append(f"line {e.line}: {e.file} ends at {length} s, before {e.end:g} s")
    return Video(target, lost)


def _covered(spans: list[tuple[float, float]]) -> float:
    """Length of the union."""
    total, reached = 0.0, -np.inf
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return float(total)
