"""Metrics on cases that can be counted by hand, and against slow versions."""

import numpy as np
import pytest
from avel_live.model.spans import Span, of_labels, overlap
from avel_live.model.training.data import IGNORE, Place, video_targets
from avel_live.model.training.metrics import (
    accuracy,
    calibration_error,
    class_scores,
    confusion,
    event_scores,
    joined,
    measure,
    video_oracle,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

BG = 3
TRUTH = np.array([[0, 0, 0, BG, BG, 1, 1, BG, BG, BG], [2] * 10])
SAID = np.array([[0, 0, BG, BG, BG, 1, 1, 1, BG, 2], [2] * 8 + [BG, BG]])


def test_accuracy_is_the_share_of_seconds_named_right():
    assert accuracy(SAID, TRUTH) == pytest.approx(15 / 20)
    padded = np.where(np.arange(10) < 5, TRUTH, IGNORE)
    assert accuracy(SAID, padded) == pytest.approx(9 / 10)
    assert np.isnan(accuracy(SAID, np.full_like(TRUTH, IGNORE)))


def test_confusion_and_class_scores():
    matrix = confusion(SAID, TRUTH, 4)
    assert matrix.tolist() == [[2, 0, 0, 1], [0, 2, 0, 0], [0, 0, 8, 2], [0, 1, 1, 3]]
    scores = class_scores(matrix)
    assert scores[0][:3] == pytest.approx((1.0, 2 / 3, 0.8))
    assert scores[3].recall == pytest.approx(3 / 5)
    assert [s.support for s in scores] == [3, 2, 10, 5]
    nothing = class_scores(np.diag([0, 4]))[0]
    assert all(np.isnan(x) for x in nothing[:3])


def test_runs_are_maximal_and_skip_background_and_padding():
    row = np.array([0, 0, 1, BG, 1, 1, IGNORE, IGNORE])
    assert of_labels(row, BG) == [Span(0, 0, 2), Span(1, 2, 3), Span(1, 4, 6)]
    assert of_labels(np.array([BG, BG]), BG) == []
    assert of_labels(np.array([], int), BG) == []


def test_event_scores_by_overlap():
    assert overlap(Span(0, 0, 4), Span(0, 2, 6)) == pytest.approx(2 / 6)
    assert overlap(Span(0, 0, 2), Span(0, 2, 4)) == 0
    # True: 0@0–3, 1@5–7, 2@0–10. Said: 0@0–2 (2/3), 1@5–8 (2/3), 2@9–10 (wrong), 2@0–8 (0.8).
    assert event_scores(SAID, TRUTH, BG, 0.5)[:3] == pytest.approx((3 / 4, 3 / 3, 6 / 7))
    assert event_scores(SAID, TRUTH, BG, 0.7)[:3] == pytest.approx((1 / 4, 1 / 3, 2 / 7))
    assert np.isnan(event_scores(TRUTH[:, 3:5][:1], TRUTH[:, 3:5][:1], BG, 0.5).f1)


def test_an_event_is_found_once():
    truth = np.array([[0] * 10])
    said = np.array([[0, 0, 0, 0, BG, 0, 0, 0, 0, 0]])
    score = event_scores(said, truth, BG, 0.3)
    assert score[:3] == pytest.approx((1 / 2, 1.0, 2 / 3))


def test_a_run_is_broken_by_another_class_of_the_same_event():
    said, truth = np.array([[0, 1, 1, 0]]), np.array([[0, 0, 0, 0]])
    assert event_scores(said, truth, BG, 0.3)[:3] == (0.0, 0.0, 0.0)
    assert event_scores(said, truth, BG, 0.25)[:3] == pytest.approx((1 / 3, 1.0, 0.5))


@settings(max_examples=50, deadline=None)
@given(arrays(np.int64, (4, 10), elements=st.integers(0, BG)), st.sampled_from([0.3, 0.5, 0.7]))
def test_the_truth_itself_scores_one(truth, threshold):
    score = event_scores(truth, truth, BG, threshold)
    assert np.isnan(score.f1) if (truth == BG).all() else score[:3] == (1.0, 1.0, 1.0)
    assert accuracy(truth, truth) == 1.0


def test_calibration_error():
    target = np.array([[0] * 10])
    sure = np.zeros((1, 10, 2))
    sure[0, :, 0], sure[0, :, 1] = 0.8, 0.2
    assert calibration_error(sure, target) == pytest.approx(0.2)  # says 80 %, is always right
    target[0, :2] = 1
    assert calibration_error(sure, target) == pytest.approx(0.0)  # says 80 %, is right in 8 of 10
    target[0, 2:] = 1
    assert calibration_error(sure, target) == pytest.approx(0.8)


def test_calibration_error_equals_a_slow_version():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), (6, 10))
    target = rng.integers(0, 4, (6, 10))
    total = 0.0
    for low in range(15):
        inside = [
            (p[n, t].max(), p[n, t].argmax() == target[n, t])
            for n in range(6)
            for t in range(10)
            if low / 15 <= p[n, t].max() < (low + 1) / 15
        ]
        if inside:
            c, r = np.array(inside, float).T
            total += len(inside) / 60 * abs(c.mean() - r.mean())
    assert calibration_error(p, target) == pytest.approx(total)


def test_the_oracle_says_the_videos_own_event_on_every_second():
    assert video_targets(TRUTH, BG).tolist() == [0, 2]
    assert video_oracle(TRUTH, BG) == pytest.approx(13 / 20)
    assert video_oracle(np.full((1, 10), BG), BG) == 1.0


def test_measure_puts_them_together():
    p = np.eye(4)[SAID] * 0.9 + 0.025
    m = measure(p, TRUTH)
    assert (m.accuracy, m.background_recall) == (pytest.approx(0.75), pytest.approx(0.6))
    assert m.event_accuracy == pytest.approx(12 / 15)
    assert m.oracle == pytest.approx(13 / 20)
    assert m.event_f1["0.5"].f1 == pytest.approx(6 / 7)
    assert m.macro_f1 == pytest.approx(np.mean([s.f1 for s in m.classes]))
    assert (m.videos, m.seconds) == (2, 20)
    assert m.confusion.sum() == 20


def test_rows_of_one_recording_are_joined_before_events_are_counted():
    """One event over a border of rows, found whole; another recording's row lies between them."""
    truth = np.full((4, 10), BG)
    truth[0, 6:], truth[2, :4], truth[2, 7:] = 1, 1, IGNORE
    said = truth.copy()
    said[said == IGNORE] = 1  # what is said where there is nothing does not count
    places = [Place("a", 0), Place("b", 0), Place("a", 10), Place("b", 30)]
    p = np.eye(4)[said]
    m = measure(p, truth, places)
    assert (m.videos, m.seconds) == (2, 37)
    assert m.event_f1["0.7"] == (1.0, 1.0, 1.0)
    assert [row.shape for row in joined(places, truth)] == [(2, 40)]
    assert joined(places, truth)[0][1, 10:30].tolist() == [IGNORE] * 20
    # Two thirds of it found: one event at tIoU 0.5, where the second row alone would have none.
    said[2, :4] = BG
    said[0, 4:6] = 1
    assert measure(np.eye(4)[said], truth, places).event_f1["0.3"] == (1.0, 1.0, 1.0)
    assert measure(np.eye(4)[said], truth).event_f1["0.3"].recall == 0.5
    assert measure(p, truth).videos == 4


def test_a_hole_in_a_recording_ends_an_event():
    truth = np.array([[0, 0, 0, IGNORE, IGNORE, 0, 0, 0]])
    assert event_scores(np.zeros((1, 8), np.int64), truth, BG, 0.7) == (1.0, 1.0, 1.0)
    said = np.array([[0, 0, 0, 0, 0, BG, BG, BG]])
    assert event_scores(said, truth, BG, 0.7)[:2] == (1.0, 0.5)
