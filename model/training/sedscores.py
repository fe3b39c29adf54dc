"""Segment- and event-based scores, as Mesaros, Heittola and Virtanen define them
(*Metrics for Polyphonic Sound Event Detection*, Applied Sciences 6(6), 2016) and sed_eval computes them.

    segment based   in every segment of time, which classes are on: an event is on in all that it touches
    event based     an event is right where its class is, and its onset within the collar of the true one's,
                    and its offset within the collar or half the true event's length; each event is taken once

Undefined, and NaN: precision where nothing was said, recall and rates of error where nothing was there, F
where either is (sed_eval 0.2.1 says the same but for rates of error, which it divides by 2e-16 there). The
mean over classes is over those where F is defined. A recording without events on either side counts nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..spans import Span

COLLAR_S: Final = 0.2
SHARE: Final = 0.5
"""Of a true event's length, how far an offset may be away."""

Recordings = Sequence[Sequence[Span]]
"""The events of each recording."""


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


@dataclass
class Counts:
    """What was said and what was there: of all classes together, or of one."""

    hits: int = 0
    said: int = 0
    there: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def precision(self) -> float:
        """Share of what was said that was there."""
        return _ratio(self.hits, self.said)

    @property
    def recall(self) -> float:
        """Share of what was there that was said."""
        return _ratio(self.hits, self.there)

    @property
    def f1(self) -> float:
        """Their harmonic mean."""
        if not (self.said and self.there):
            return math.nan
        return 2 * self.hits / (self.said + self.there)

    @property
    def error_rate(self) -> float:
        """Substitutions, deletions and insertions in a unit of what was there; may be above 1."""
        return _ratio(self.substitutions + self.deletions + self.insertions, self.there)


@dataclass
class Tally:
    """Counts over recordings: of all classes together (micro), and of each."""

    overall: Counts = field(default_factory=Counts)
    classes: list[Counts] = field(default_factory=list)

    @property
    def macro_f1(self) -> float:
        """Mean F over the classes where it is defined; NaN where it is nowhere."""
        known = [c.f1 for c in self.classes if not math.isnan(c.f1)]
        return float(np.mean(known)) if known else math.nan


def segment_based(said: Recordings, there: Recordings, classes: int, segment_s: float = 1.0) -> Tally:
    """Scores in segments of time.

    Args:
        said: the events that were told, recording by recording.
        there: the true ones.
        classes: how many there are; a `Span.label` counts from 0.
        segment_s: length of a segment.

    """
    tally = Tally(classes=[Counts() for _ in range(classes)])
    for mine, theirs in zip(said, there, strict=True):
        length = max((_last(e, segment_s) for e in (*mine, *theirs)), default=0)
        a, b = (_roll(events, length, classes, segment_s) for events in (mine, theirs))
        both, more, less = a & b, a & ~b, b & ~a
        n_said, n_there, n_hits = a.sum(axis=1), b.sum(axis=1), both.sum(axis=1)
        o = tally.overall
        o.hits += int(n_hits.sum())
        o.said += int(n_said.sum())
        o.there += int(n_there.sum())
        o.substitutions += int((np.minimum(n_said, n_there) - n_hits).sum())
        o.deletions += int(np.maximum(0, n_there - n_said).sum())
        o.insertions += int(np.maximum(0, n_said - n_there).sum())
        for k, counts in enumerate(tally.classes):
            counts.hits += int(both[:, k].sum())
            counts.said += int(a[:, k].sum())
            counts.there += int(b[:, k].sum())
            counts.insertions += int(more[:, k].sum())
            counts.deletions += int(less[:, k].sum())
    return tally


def _last(event: Span, segment_s: float) -> int:
    return math.ceil(event.end_s * 1 / segment_s)


def _roll(events: Sequence[Span], length: int, classes: int, segment_s: float) -> NDArray[np.bool_]:
    """[segments, classes]: what is on when."""
    roll = np.zeros((length, classes), np.bool_)
    for event in events:
        roll[math.floor(event.start_s * 1 / segment_s) : _last(event, segment_s), event.label] = True
    return roll


def event_based(
    said: Recordings, there: Recordings, classes: int, collar_s: float = COLLAR_S, share: float = SHARE
) -> Tally:
    """Scores of whole events; as many pairs are made as can be.

    Args:
        said: the events that were told, recording by recording.
        there: the true ones.
        classes: how many there are.
        collar_s: how far an onset, and an offset, may be away.
        share: of the true event's length, how far an offset may be away if that is more.

    """
    tally = Tally(classes=[Counts() for _ in range(classes)])
    for mine, theirs in zip(said, there, strict=True):
        near = np.array([[_near(m, t, collar_s, share) for t in theirs] for m in mine], np.bool_)
        near = near.reshape(len(mine), len(theirs))
        same = np.array([[m.label == t.label for t in theirs] for m in mine], np.bool_).reshape(near.shape)
        pairs = matching(near & same)
        for k, counts in enumerate(tally.classes):
            hits = sum(theirs[t].label == k for t in pairs.values())
            n_said, n_there = (sum(e.label == k for e in events) for events in (mine, theirs))
            counts.hits += hits
            counts.said += n_said
            counts.there += n_there
            counts.insertions += n_said - hits
            counts.deletions += n_there - hits
        swapped = _swapped(near, pairs)
        o = tally.overall
        o.hits += len(pairs)
        o.said += len(mine)
        o.there += len(theirs)
        o.substitutions += swapped
        o.insertions += len(mine) - len(pairs) - swapped
        o.deletions += len(theirs) - len(pairs) - swapped
    return tally


def _swapped(near: NDArray[np.bool_], pairs: dict[int, int]) -> int:
    """Events in the right place under another name: each true one takes the first that is left."""
    said = [row for row in range(len(near)) if row not in pairs]
    count = 0
    for column in range(near.shape[1]):
        if (
            column not in pairs.values()
            and (row := next((m for m in said if near[m, column]), None)) is not None
        ):
            said.remove(row)
            count += 1
    return count


def _near(mine: Span, theirs: Span, collar_s: float, share: float) -> bool:
    within = max(collar_s, share * (theirs.end_s - theirs.start_s))
    return abs(theirs.start_s - mine.start_s) <= collar_s and abs(theirs.end_s - mine.end_s) <= within


def matching(allowed: NDArray[np.bool_]) -> dict[int, int]:
    """Rows → columns: as many pairs of an allowed kind as there can be (Kuhn's augmenting paths)."""
    owner: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column in np.flatnonzero(allowed[row]).tolist():
            if column in seen:
                continue
            seen.add(column)
            if column not in owner or place(owner[column], seen):
                owner[column] = row
                return True
        return False

    for row in range(len(allowed)):
        place(row, set())
    return {row: column for column, row in owner.items()}
