"""Rules of the decoder, and a bench on which they are tried by what the decoder then says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model.spans import Span
from .spans import Tally, compare

Floats = NDArray[np.float64]

ENTER_GRID = (
    *(round(0.1 + 0.05 * k, 2) for k in range(18)),
    *(0.97, 0.98, 0.99, 0.995, 0.999),
)
LEAVE_RATIOS = (0.4, 0.625, 0.85)
DURATIONS_S = (1.0, 2.0, 3.0)
_QUIET_SECONDS = 10


@dataclass(frozen=True)
class Rules:
    """Per event class [C − 1]: enter and leave thresholds (probabilities) and least duration (seconds)."""

    enter: Floats
    leave: Floats
    min_duration_s: Floats

    @classmethod
    def same(cls, classes: int, enter: float, leave_ratio: float, min_duration_s: float) -> Rules:
        """One rule for all."""
        return cls(
            np.full(classes, enter), np.full(classes, enter * leave_ratio), np.full(classes, min_duration_s)
        )

    def with_rule(self, label: int, rule: Rule) -> Rules:
        """A copy with another rule for one class."""
        enter, leave, least = self.enter.copy(), self.leave.copy(), self.min_duration_s.copy()
        enter[label], leave[label], least[label] = (
            rule.enter,
            rule.enter * rule.leave_ratio,
            rule.min_duration_s,
        )
        return Rules(enter, leave, least)


@dataclass(frozen=True, order=True)
class Rule:
    """The rule of one class; `leave` is `enter` times `leave_ratio`."""

    enter: float
    leave_ratio: float = 0.625
    min_duration_s: float = 1.0


Decode = Callable[[NDArray[np.float32], Rules], list[Span]]
"""Settled posteriors [S, C], one row per second, and rules → events."""


@dataclass(frozen=True)
class Stream:
    """Settled posteriors [S, C] of consecutive seconds and the true events; background has none."""

    posteriors: NDArray[np.float32]
    truth: tuple[Span, ...] = ()


class Bench:
    """Decodes and tallies, looking only at the pieces of streams in which a class can matter.

    Args:
        streams: labelled.
        background: footage in which nothing of interest happens.
        classes: number of event classes.
        decode: the decoder under test.
        tiou: least overlap of a hit.
        segment_s: seconds per row of the posteriors.

    """

    def __init__(
        self,
        streams: Sequence[Stream],
        background: Sequence[Stream],
        classes: int,
        decode: Decode,
        *,
        tiou: float,
        segment_s: float,
    ) -> None:
        self.classes, self.decode, self.tiou = classes, decode, tiou
        self.labelled = [piece for s in streams for piece in _pieces(s, segment_s)]
        self.background = [piece for s in background for piece in _pieces(s, segment_s)]
        self.where = [self._touching(self.labelled, c) for c in range(classes)]
        self.where_background = [self._touching(self.background, c) for c in range(classes)]

    @staticmethod
    def _touching(streams: Sequence[Stream], label: int) -> list[Stream]:
        return [
            s
            for s in streams
            if s.posteriors[:, label].max() >= ENTER_GRID[0] or any(e.label == label for e in s.truth)
        ]

    def tally(self, rules: Rules, label: int | None = None) -> Tally:
        """Hits, false events and misses on the labelled streams, or on those where `label` can matter."""
        total = Tally.zero(self.classes)
        for stream in self.labelled if label is None else self.where[label]:
            total += compare(self.decode(stream.posteriors, rules), stream.truth, self.classes, self.tiou)
        return total

    def alarms(self, rules: Rules, label: int | None = None) -> NDArray[np.int64]:
        """False alarms per class on the background, or on the part of it where `label` can matter."""
        count = np.zeros(self.classes, np.int64)
        for stream in self.background if label is None else self.where_background[label]:
            for span in self.decode(stream.posteriors, rules):
                count[span.label] += 1
        return count

    def events_of(self, label: int) -> int:
        """True events of a class."""
        return sum(e.label == label for s in self.labelled for e in s.truth)


def _pieces(stream: Stream, segment_s: float) -> list[Stream]:
    """The stretches in which something may be decoded or should be.

    Between them lie quiet seconds in which no rule of the grid lets any class enter or stay, more of them
    than events are held over: the decoder starts afresh after each, so they can be left out.
    """
    p = stream.posteriors
    if not len(p):
        return []
    awake = p[:, :-1].max(axis=1) >= ENTER_GRID[0] * LEAVE_RATIOS[0]
    for span in stream.truth:
        awake[int(span.start_s / segment_s) : int(np.ceil(span.end_s / segment_s))] = True
    on = np.flatnonzero(awake)
    if not len(on):
        return []
    found = []
    for run in np.split(on, np.flatnonzero(np.diff(on) > _QUIET_SECONDS) + 1):
        start, stop = int(run[0]), min(len(p), int(run[-1]) + 1 + _QUIET_SECONDS)
        shift = start * segment_s
        truth = tuple(
            Span(e.label, e.start_s - shift, e.end_s - shift)
            for e in stream.truth
            if start * segment_s <= e.start_s < stop * segment_s
        )
        found.append(Stream(p[start:stop], truth))
    return found
