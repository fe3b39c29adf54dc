"""Thresholds of the decoder, chosen and not guessed: for event F1, or for a false-alarm budget.

Every event class has an *enter* threshold, a *leave* threshold below it, and a minimum duration. They are
judged by what the decoder then says, on labelled streams (hits, false events, misses) and on background
footage in which nothing of interest happens (false alarms per hour). The decoder itself is handed in: the
rules here were tried on the very code that will use them.

1. `best_global`: one rule for all classes, by grid.
2. `choose`: class by class, the others fixed, the enter threshold in the middle of the plateau of the
   best F1 (with few events the maximum is a plateau, and its edge is an accident). A class with fewer
   than `min_events` true events keeps the global rule.
3. With a budget: stricter rules, chosen and checked on separate parts of the footage (`budget`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .budget import BudgetError, check_budget, divide, hours_of, within
from .rates import Rate, poisson_rate
from .rules import DURATIONS_S, ENTER_GRID, LEAVE_RATIOS, Bench, Decode, Rule, Rules, Stream
from .spans import Tally

__all__ = [
    "BudgetError",
    "Chosen",
    "Decode",
    "Rule",
    "Rules",
    "Stream",
    "best_global",
    "choose",
    "precision_recall",
]

Floats = NDArray[np.float64]
MIN_EVENTS = 5

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Chosen:
    """The outcome, and what it was compared with."""

    rules: Rules
    tally: Tally
    global_rule: Rule
    global_tally: Tally
    false_alarms: Rate | None
    """On the background footage, with a budget on the part that checked it; None where there was none."""
    per_class_false: NDArray[np.int64]
    """False alarms per class there."""
    kept_global: tuple[int, ...]
    """Classes with too few events for a rule of their own."""


def best_global(
    streams: Sequence[Stream], classes: int, decode: Decode, *, tiou: float = 0.5, segment_s: float = 1.0
) -> Rule:
    """The single rule of the best event F1 over all classes."""
    return _best_global(Bench(streams, (), classes, decode, tiou=tiou, segment_s=segment_s))


def _best_global(bench: Bench) -> Rule:
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
    searched, checked = list(background), list(background)
    if max_per_hour is not None:
        check_budget(max_per_hour, hours_of(background, segment_s))
        searched, checked = divide(background)
    bench = Bench(streams, searched, classes, decode, tiou=tiou, segment_s=segment_s)
    check = Bench((), checked, classes, decode, tiou=tiou, segment_s=segment_s)
    hours = hours_of(checked, segment_s)
    if not any(s.truth for s in streams):
        raise ValueError("no labelled stream holds an event")
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
        rules = within(bench, check, rules, own, max_per_hour, hours)
    alarms = check.alarms(rules)
    return Chosen(
        rules,
        bench.tally(rules),
        global_rule,
        bench.tally(everywhere),
        poisson_rate(int(alarms.sum()), hours) if hours > 0 else None,
        alarms,
        tuple(kept),
    )


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
