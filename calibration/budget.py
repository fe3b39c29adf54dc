"""Rules within a false-alarm budget, so that the budget holds on footage that was never looked at.

Rules chosen on some footage look better on it than they are. So the footage is divided: on the first third
a path of ever stricter rules is laid, each step where F1 suffers least per false alarm saved; on the rest
the path is walked backwards, from the strictest rules, for as long as the upper 80 % limit of the rate is
within the budget. The path does not know that part of the footage, and each step is tested only where all
stricter ones passed, so the true rate exceeds the budget in at most one of five cases, however long the
path is (fixed-sequence testing; Angelopoulos et al., "Learn then Test", 2021).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..model.errors import AvelError
from .rates import poisson_rate
from .rules import DURATIONS_S, ENTER_GRID, Bench, Rule, Rules, Stream

_SEARCHED: Final = 1 / 3
"""Share of the footage on which the path is laid."""


class BudgetError(AvelError, ValueError):
    """The false-alarm budget can't be promised; the message says what to do."""

    exit_code = 2


def hours_of(footage: Sequence[Stream], segment_s: float) -> float:
    """Length of all streams together."""
    return sum(len(s.posteriors) for s in footage) * segment_s / 3600


def divide(footage: Sequence[Stream]) -> tuple[list[Stream], list[Stream]]:
    """The first third of every stream, and the rest of it."""
    cuts = [int(len(s.posteriors) * _SEARCHED) for s in footage]
    return (
        [Stream(s.posteriors[:cut]) for s, cut in zip(footage, cuts, strict=True)],
        [Stream(s.posteriors[cut:]) for s, cut in zip(footage, cuts, strict=True)],
    )


def check_budget(max_per_hour: float, hours: float) -> None:
    """Refuse a budget that this much footage can't vouch for.

    Args:
        max_per_hour: the budget.
        hours: all the background footage.

    Raises:
        BudgetError: not a budget, or too little footage; says how much is needed.

    """
    if not max_per_hour > 0:
        raise BudgetError(f"max false alarms: expected more than 0 an hour, got {max_per_hour:g}")
    needed = _cautious(0, 1.0) / max_per_hour / (1 - _SEARCHED)
    if hours < needed * (1 - 1e-9):
        raise BudgetError(
            f"max false alarms {max_per_hour:g}/hour: {hours * 60:.0f} minutes of background can't vouch for "
            f"it even without a single alarm; give at least {needed:.3g} hours, or a larger budget"
        )


def within(
    bench: Bench, checked: Bench, rules: Rules, own: Sequence[Rule], max_per_hour: float, hours: float
) -> Rules:
    """The least strict rules that keep the budget.

    Args:
        bench: labelled streams, and the footage to lay the path on.
        checked: the footage to walk it on.
        rules: where the path begins: the best for F1.
        own: the same, class by class.
        max_per_hour: the budget, all classes together.
        hours: length of the footage of `checked`.

    Raises:
        BudgetError: not even the strictest rules keep it.

    """
    kept: Rules | None = None
    for tried in reversed([rules, *_path(bench, rules, list(own))]):
        alarms = int(checked.alarms(tried).sum())
        if _cautious(alarms, hours) > max_per_hour:
            if kept is None:
                raise BudgetError(
                    f"max false alarms {max_per_hour:g}/hour: even the strictest thresholds gave "
                    f"{alarms} in {hours:.3g} hours; the background footage seems to hold real events"
                )
            break
        kept = tried
    assert kept is not None  # the path holds `rules` at least
    return kept


def _cautious(count: int, hours: float) -> float:
    """Upper 80 % limit of a rate (one-sided)."""
    return poisson_rate(count, hours, 0.6).high


def _path(bench: Bench, rules: Rules, own: list[Rule]) -> Iterator[Rules]:
    """Ever stricter rules: cheapest first while the footage has alarms, then all classes together."""
    ladders = [[rule, *_stricter(rule)] for rule in own]
    steps = [0] * bench.classes
    while (alarms := bench.alarms(rules)).any():
        best: tuple[float, int, int] | None = None
        for label in map(int, np.flatnonzero(alarms)):
            now = bench.tally(rules, label)
            for step in range(steps[label] + 1, len(ladders[label])):
                tried = rules.with_rule(label, ladders[label][step])
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
            break
        _, label, step = best
        steps[label] = step
        rules = rules.with_rule(label, ladders[label][step])
        yield rules
    while any(step < len(ladder) - 1 for step, ladder in zip(steps, ladders, strict=True)):
        for label, ladder in enumerate(ladders):
            steps[label] = min(steps[label] + 1, len(ladder) - 1)
            rules = rules.with_rule(label, ladder[steps[label]])
        yield rules


def _alarms_after(bench: Bench, rules: Rules, tried: Rules, label: int, alarms: NDArray[np.int64]) -> int:
    """All alarms under `tried`: only streams in which `label` can matter may have changed."""
    before, after = bench.alarms(rules, label), bench.alarms(tried, label)
    return int(alarms.sum() - before.sum() + after.sum())


def _stricter(rule: Rule) -> list[Rule]:
    """Rules that let ever less through, to the strictest there is."""
    ladder = [replace(rule, enter=e) for e in ENTER_GRID if e > rule.enter]
    last = ladder[-1] if ladder else rule
    ladder += [replace(last, min_duration_s=d) for d in DURATIONS_S if d > rule.min_duration_s]
    # Above 1 nothing enters: the class is switched off.
    return [*ladder, Rule(1.0, rule.leave_ratio, max(DURATIONS_S))]
