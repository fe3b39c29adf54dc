"""Scores as other fields compute them: sed_eval's own figures, and mean average precision by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from avel_live.model.spans import Span, of_labels, overlap
from avel_live.model.training.data import IGNORE, Place
from avel_live.model.training.meanap import TIOUS, Scored, average_precision, mean_ap
from avel_live.model.training.scores import by_recording, field_scores, to_json
from avel_live.model.training.sedscores import Tally, event_based, segment_based

REFERENCE = json.loads((Path(__file__).parents[1] / "data" / "sed_eval.json").read_text())
"""By sed_eval 0.2.1: tests/bench/reference_scores.py."""


def spans(row: dict[str, object], kind: str) -> list[list[Span]]:
    return [[Span(*event) for event in recording[kind]] for recording in row["recordings"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize("row", REFERENCE, ids=lambda row: f"{row['segment_s']}")
@pytest.mark.parametrize("kind", ["segment", "event"])
def test_scores_are_those_of_sed_eval(row: dict[str, object], kind: str) -> None:
    said, there = spans(row, "said"), spans(row, "there")
    assert sum(map(len, there)) > 3
    tally: Tally = (
        segment_based(said, there, 3, row["segment_s"])  # type: ignore[arg-type]
        if kind == "segment"
        else event_based(said, there, 3)
    )
    o, theirs = tally.overall, row[kind]
    for name in ("precision", "recall", "f1", "error_rate"):
        assert getattr(o, name) == pytest.approx(theirs[name], abs=1e-9), name  # type: ignore[index]
    rates = [count / o.there for count in (o.substitutions, o.deletions, o.insertions)]
    assert rates == pytest.approx(theirs["rates"], abs=1e-9)  # type: ignore[index]
    assert tally.macro_f1 == pytest.approx(theirs["macro_f1"], abs=1e-9)  # type: ignore[index]
    for counts, (f1, error) in zip(tally.classes, theirs["classes"], strict=True):  # type: ignore[index]
        assert counts.f1 == pytest.approx(math.nan if f1 is None else f1, abs=1e-9, nan_ok=True)
        assert counts.error_rate == pytest.approx(math.nan if error is None else error, abs=1e-9, nan_ok=True)


def test_what_is_undefined_is_nan() -> None:
    bark = [[Span(0, 1.0, 2.0)]]
    for score in (segment_based, event_based):
        nothing_said = score([[]], bark, 1).overall
        assert math.isnan(nothing_said.precision)
        assert (nothing_said.recall, nothing_said.error_rate) == (0.0, 1.0)
        nothing_there = score(bark, [[]], 1).overall
        assert (nothing_there.precision, nothing_there.insertions) == (0.0, 1)
        assert math.isnan(nothing_there.recall)
        assert math.isnan(nothing_there.error_rate)
        assert math.isnan(score([[]], [[]], 1).macro_f1)
        assert math.isnan(score([], [], 1).overall.f1)
    assert math.isnan(mean_ap([[]], [[]])[0.5])
    assert mean_ap([[]], bark)[0.5] == 0


def test_events_are_paired_so_that_most_are_right() -> None:
    there = [Span(0, 1.0, 2.0), Span(0, 1.1, 2.0)]
    said = [Span(0, 1.05, 2.0), Span(0, 0.85, 2.0)]  # the first fits both, the second only the first
    assert event_based([said], [there], 1).overall.hits == 2
    swapped = event_based([[Span(1, 1.0, 2.0)]], [[Span(0, 1.0, 2.0)]], 2).overall
    assert (swapped.substitutions, swapped.insertions, swapped.deletions, swapped.error_rate) == (
        1,
        0,
        0,
        1.0,
    )


def test_average_precision_by_hand() -> None:
    # Right, wrong, right of two: precision 1, 1/2, 2/3; its envelope 1, 2/3, 2/3; half the recall each.
    assert average_precision(np.array([True, False, True]), 2) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.array([], bool), 3) == 0
    there = [[Span(0, 0.0, 4.0)], [Span(0, 0.0, 2.0), Span(1, 5.0, 6.0)]]
    said = [
        [Scored(Span(0, 0.0, 2.0), 0.9), Scored(Span(0, 0.0, 4.0), 0.8)],
        [Scored(Span(0, 0.0, 1.9), 0.7), Scored(Span(1, 5.0, 6.0), 0.1)],
    ]
    found = mean_ap(said, there)
    # At 0.5 the surest, half of the event, takes it; the whole one comes too late: 1, 1/2, 2/3.
    assert found[0.5] == pytest.approx(((1 + 2 / 3) / 2 + 1) / 2)
    # At 0.9 the half is wrong, the others right: 0, 1/2, 2/3.
    assert found[0.9] == pytest.approx((2 / 3 + 1) / 2)
    assert list(found) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def slow_map(said: list[list[Scored]], there: list[list[Span]], tiou: float) -> float:
    """As written down: every threshold on the score by itself, matched anew; precision's envelope summed."""
    found = []
    for label in {e.label for events in there for e in events}:
        scores = sorted({s.score for events in said for s in events if s.span.label == label}, reverse=True)
        count = sum(e.label == label for events in there for e in events)
        points = []
        for least in scores:
            hits = total = 0
            for events, truths in zip(said, there, strict=True):
                left = [t for t in truths if t.label == label]
                chosen = [s for s in events if s.span.label == label and s.score >= least]
                total += len(chosen)
                for one in sorted(chosen, key=lambda s: -s.score):
                    near = [t for t in left if overlap(one.span, t) >= tiou]
                    if near:
                        left.remove(max(near, key=lambda t: overlap(one.span, t)))
                        hits += 1
            points.append((hits / count, hits / total))
        area, before = 0.0, 0.0
        for recall, _ in points:
            area += (recall - before) * max(p for r, p in points if r >= recall)
            before = recall
        found.append(area)
    return float(np.mean(found))


@pytest.mark.parametrize("seed", range(3))
def test_mean_average_precision_is_that_of_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    row = REFERENCE[seed]
    there = spans(row, "there")
    said = [[Scored(span, float(rng.random())) for span in events] for events in spans(row, "said")]
    got = mean_ap(said, there)
    for tiou in TIOUS:
        assert got[tiou] == pytest.approx(slow_map(said, there, tiou), abs=1e-12)
    assert got[0.1] > got[0.9]


def test_windows_are_scored_as_the_recordings_they_are_of() -> None:
    truth = np.array([[0, 0, 2], [2, 1, IGNORE], [0, 2, 2]])
    answers = np.array([[0, 0, 2], [2, 1, 0], [1, 1, 2]])
    sure = np.array([[0.9, 0.7, 0.5], [0.5, 0.4, 0.3], [0.2, 0.4, 0.5]])
    places = [Place("a", 0), Place("a", 3), Place("b", 0)]
    whole, whole_truth, certain = by_recording(places, answers, truth, sure)
    assert whole.tolist()[0][:5] == [0, 0, 2, 2, 1]
    assert whole_truth.tolist()[0] == [0, 0, 2, 2, 1, IGNORE]
    assert certain[0, :5].tolist() == [0.9, 0.7, 0.5, 0.5, 0.4]
    scores = field_scores(whole, whole_truth, certain, 3)
    assert (scores.segment.overall.hits, scores.segment.overall.said, scores.segment.overall.there) == (
        3,
        5,
        4,
    )
    assert (scores.event.overall.hits, scores.event.overall.said) == (2, 3)
    assert of_labels(np.array([1, 1, 2]), 2) == [Span(1, 0.0, 2.0)]
    plain = to_json(scores)
    assert plain["mean_ap"]["0.5"] == pytest.approx((0.5 + 1) / 2)
    assert plain["event_based"]["f1"] == pytest.approx(2 * 2 / (3 + 3), abs=1e-6)
    assert json.loads(json.dumps(plain, allow_nan=False))["average_map"] is not None


@pytest.mark.slow
def test_psds_is_that_of_sed_scores_eval_and_knows_the_order_of_answers() -> None:
    from avel_live.model.training.psds import psds

    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, (8, 3)).repeat(4, axis=1)
    truth[0, 8:] = IGNORE
    sure = np.eye(3)[np.where(truth == IGNORE, 2, truth)]
    best = psds(0.8 * sure + 0.1, truth)
    assert best["psds1"] == pytest.approx(1.0)
    assert best["psds2"] == pytest.approx(1.0)
    worse = psds(0.7 * sure + rng.random(sure.shape), truth)
    assert 0 < worse["psds1"] < worse["psds2"] <= 1
    assert psds(sure, np.full_like(truth, 2)) == {}
