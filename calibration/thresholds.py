"""Thresholds of the decoder, chosen and not guessed: for event F1, or for a false-alarm budget.

Every event class has an *enter* threshold, a *leave* threshold below it, and a minimum duration. They are
judged by what the decoder then says, on labelled streams (hits, false events, misses) and on background
footage in which nothing of interest happens (false alarms per hour). The decoder itself is handed in: the
rules here were tried on the very code that will use them.

1. `best_global`: one rule for all classes, by grid.
2. `choose`: class by class, the others fixed, the enter threshold in the middle of the plateau of the
   best F1 (with few events the maximum is a plateau, and its edge is an accident). A class with fewer
   than `min_events` true events keeps the global rule.
3. With a budget: the class whose F1 suffers least per false alarm saved is made stricter, until
   the upper 80 % limit of the rate is within the budget: thresholds that were chosen on some footage look
   better on it than they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..model.errors import AvelError
from .rates import Rate, poisson_rate
from .spans import Span, Tally, compare

Floats = NDArray[np.float64]

ENTER_GRID = (
    *(round(0.1 + 0.05 * k, 2) for k in range(18)),
    *(0.97, 0.98, 0.99, 0.995, 0.999),
)
LEAVE_RATIOS = (0.4, 0.625, 0.85)
DURATIONS_S = (1.0, 2.0, 3.0)
MIN_EVENTS = 5
_QUIET_SECONDS = 10

Progress = Callable[[int, int], None]


class BudgetError(AvelError, ValueError):
    """The false-alarm budget can't be promised; the message says what to do."""

    exit_code = 2


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


@dataclass(frozen=True)
class Chosen:
    """The outcome, and what it was compared with."""

    rules: Rules
    tally: Tally
    global_rule: Rule
    global_tally: Tally
    false_alarms: Rate | None
    """On the background footage; None where there was none."""
    per_class_false: NDArray[np.int64]
    """False alarms per class there."""
    kept_global: tuple[int, ...]
    """Classes with too few events for a rule of their own."""


class _Bench:
    """Decodes and tallies, looking only at the pieces of streams in which a class can matter."""

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
        total = Tally.zero(self.classes)
        for stream in self.labelled if label is None else self.where[label]:
            total += compare(self.decode(stream.posteriors, rules), stream.truth, self.classes, self.tiou)
        return total

    def alarms(self, rules: Rules, label: int | None = None) -> NDArray[np.int64]:
        count = np.zeros(self.classes, np.int64)
        for stream in self.background if label is None else self.where_background[label]:
            for span in self.decode(stream.posteriors, rules):
                count[span.label] += 1
        return count

    def events_of(self, label: int) -> int:
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


def best_global(
    streams: Sequence[Stream], classes: int, decode: Decode, *, tiou: float = 0.5, segment_s: float = 1.0
) -> Rule:
    """The single rule of the best event F1 over all classes."""
    return _best_global(_Bench(streams, (), classes, decode, tiou=tiou, segment_s=segment_s))


def _best_global(bench: _Bench) -> Rule:
    def f1(rule: Rule) -> float:
        rules = Rules.same(bench.classes, rule.enter, rule.leave_ratio, rule.min_duration_s)
        return bench.tally(rules).f1

    rule = Rule(_plateau(ENTER_GRID, [f1(Rule(e)) for e in ENTER_GRID]))
    return _refined(rule, f1)


def _refined(rule: Rule, score: Callable[[Rule], float]) -> Rule:
    """Try the other leave ratios and durations at this enter threshold; ties keep what is there."""
    best, best_score = rule, score(rule)
    for ratio in LEAVE_RATIOS:
        for least in DURATIONS_S:
            other = Rule(rule.enter, ratio, least)
            if other != rule and (value := score(other)) > best_score + 1e-9:
                best, best_score = other, value
    return best


def _plateau(grid: Sequence[float], scores: Sequence[float]) -> float:
    """The middle of the widest run of the best score."""
    top = np.asarray(scores) >= max(scores) - 1e-9
    edges = np.flatnonzero(np.diff(np.concatenate([[0], top.astype(np.int8), [0]])))
    runs = edges.reshape(-1, 2)
    start, stop = runs[np.argmax(runs[:, 1] - runs[:, 0])]
    return float(grid[(int(start) + int(stop) - 1) // 2])


def choose(
    streams: Sequence[Stream],
    classes: int,
    decode: Decode,
    *,
    background: Sequence[Stream] = (),
    max_per_hour: float | None = None,
    tiou: float = 0.5,
    min_events: int = MIN_EVENTS,
    segment_s: float = 1.0,
    progress: Progress | None = None,
) -> Chosen:
    """Choose every class's rule.

    Args:
        streams: labelled.
        classes: number of event classes, C − 1.
        decode: the decoder that will use the rules.
        background: footage in which nothing of interest happens; needed for a budget.
        max_per_hour: false alarms allowed, all classes together; None maximises F1 alone.
        tiou: least overlap of a hit.
        min_events: a class with fewer true events keeps the global rule.
        segment_s: seconds per row of the posteriors.
        progress: called with (done, total).

    Raises:
        BudgetError: a budget without background footage, too little of it, or one that can't be met.
        ValueError: no labelled stream holds an event.

    """
    bench = _Bench(streams, background, classes, decode, tiou=tiou, segment_s=segment_s)
    if not any(s.truth for s in streams):
        raise ValueError("no labelled stream holds an event")
    hours = sum(len(s.posteriors) for s in background) * segment_s / 3600
    if max_per_hour is not None:
        _can_promise(max_per_hour, hours)
    global_rule = _best_global(bench)
    everywhere = Rules.same(classes, global_rule.enter, global_rule.leave_ratio, global_rule.min_duration_s)
    rules, own, kept = everywhere, [global_rule] * classes, []
    for label in range(classes):
        if progress is not None:
            progress(label, classes)
        if bench.events_of(label) < min_events:
            kept.append(label)
            continue

        def f1(rule: Rule, label: int = label, fixed: Rules = rules) -> float:
            return bench.tally(fixed.with_rule(label, rule), label).f1_of(label)

        enter = _plateau(ENTER_GRID, [f1(replace(global_rule, enter=e)) for e in ENTER_GRID])
        found = _refined(replace(global_rule, enter=enter), f1)
        if f1(found) > f1(global_rule) + 1e-9:
            own[label] = found
            rules = rules.with_rule(label, found)
    if max_per_hour is not None:
        rules = _within(bench, rules, own, max_per_hour, hours)
    alarms = bench.alarms(rules)
    return Chosen(
        rules,
        bench.tally(rules),
        global_rule,
        bench.tally(everywhere),
        poisson_rate(int(alarms.sum()), hours) if hours > 0 else None,
        alarms,
        tuple(kept),
    )


def _can_promise(max_per_hour: float, hours: float) -> None:
    if not max_per_hour > 0:
        raise BudgetError(f"max false alarms: expected more than 0 an hour, got {max_per_hour:g}")
    needed = _cautious(0, 1.0) / max_per_hour
    if hours < needed:
        raise BudgetError(
            f"max false alarms {max_per_hour:g}/hour: {hours * 60:.0f} minutes of background can't vouch for "
            f"it even without a single alarm; give at least {needed:.3g} hours, or a larger budget"
        )


def _cautious(count: int, hours: float) -> float:
    """Upper 80 % limit of a rate."""
    return poisson_rate(count, hours, 0.6).high


def _within(bench: _Bench, rules: Rules, own: list[Rule], max_per_hour: float, hours: float) -> Rules:
    """Make rules stricter, cheapest first, until the background footage stays within the budget."""
    ladders = [_stricter(rule) for rule in own]
    steps = [0] * bench.classes

    def at(label: int, step: int) -> Rule:
        return own[label] if step == 0 else ladders[label][step - 1]

    while _cautious(int((alarms := bench.alarms(rules)).sum()), hours) > max_per_hour:
        best: tuple[float, int, int] | None = None
        for label in map(int, np.flatnonzero(alarms)):
            now = bench.tally(rules, label)
            for step in range(steps[label] + 1, len(ladders[label]) + 1):
                tried = rules.with_rule(label, at(label, step))
                saved = int(alarms.sum()) - _alarms_after(bench, rules, tried, label, alarms)
                if saved <= 0:
                    continue
                lost = now.f1_of(label) - bench.tally(tried, label).f1_of(label)
                cost = lost * max(1, bench.events_of(label)) / saved
                if best is None or cost < best[0] - 1e-12:
                    best = (cost, label, step)
                if saved >= alarms[label]:
                    break
        if best is None:
            raise BudgetError(
                f"max false alarms {max_per_hour:g}/hour: even the strictest thresholds gave "
                f"{int(alarms.sum())} in {hours:.3g} hours; the background footage seems to hold real events"
            )
        _, label, step = best
        steps[label] = step
        rules = rules.with_rule(label, at(label, step))
    return rules


def _alarms_after(bench: _Bench, rules: Rules, tried: Rules, label: int, alarms: NDArray[np.int64]) -> int:
    """All alarms under `tried`: only streams in which `label` can matter may have changed."""
    before, after = bench.alarms(rules, label), bench.alarms(tried, label)
    return int(alarms.sum() - before.sum() + after.sum())


def _stricter(rule: Rule) -> list[Rule]:
    """Rules that let ever less through, to the strictest there is."""
    enters = [e for e in ENTER_GRID if e > rule.enter]
    ladder = [replace(rule, enter=e) for e in enters]
    last = ladder[-1] if ladder else rule
    ladder += [replace(last, min_duration_s=d) for d in DURATIONS_S if d > rule.min_duration_s]
    # Above 1 nothing enters: the class is switched off.
    return [*ladder, Rule(1.0, rule.leave_ratio, max(DURATIONS_S))]


def precision_recall(
    posteriors: Iterable[tuple[NDArray[np.floating], NDArray[np.bool_]]],
) -> tuple[Floats, Floats, Floats]:
    """Precision and recall of one class by the second, for every threshold.

    Args:
        posteriors: per stream the class's posterior [S] and whether it was truly on [S].

    Returns:
        thresholds descending, precision, recall; empty without positives.

    """
    pairs = list(posteriors)
    p = np.concatenate([np.asarray(x, np.float64) for x, _ in pairs]) if pairs else np.zeros(0)
    y = np.concatenate([y for _, y in pairs]).astype(bool) if pairs else np.zeros(0, bool)
    if not y.any():
        return np.zeros(0), np.zeros(0), np.zeros(0)
    order = np.argsort(-p, kind="stable")
    p, y = p[order], y[order]
    last = np.flatnonzero(np.concatenate([np.diff(p) != 0, [True]]))
    hits = np.cumsum(y)[last]
    return p[last], hits / (last + 1), hits / y.sum()
