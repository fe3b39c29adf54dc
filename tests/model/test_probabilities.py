"""Logits to probabilities, and intervals of what is measured on them."""

from __future__ import annotations

import numpy as np
import pytest
from avel_live.model.probabilities import bootstrap, reliability, softmax
from avel_live.model.spans import Span, of_labels, overlap, pairs
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_keeps_its_precision_and_stands_large_logits(dtype):
    logits = np.array([[1e4, 1e4 - 1, -1e4], [0.0, 0.0, 0.0]], dtype)
    p = softmax(logits)
    assert p.dtype == dtype
    e = np.exp(1.0)
    np.testing.assert_allclose(p, [[e / (e + 1), 1 / (e + 1), 0], [1 / 3] * 3], rtol=1e-6)


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, (2, 3, 5), elements=st.floats(-50, 50)), st.floats(-1e3, 1e3))
def test_softmax_sums_to_one_and_a_shift_changes_nothing(logits, shift):
    p = softmax(logits)
    np.testing.assert_allclose(p.sum(axis=-1), 1.0)
    np.testing.assert_allclose(softmax(logits + shift), p, rtol=1e-9, atol=1e-12)


def test_many_figures_are_drawn_together_as_each_alone():
    value = np.random.default_rng(1).normal(size=(60, 2))
    groups = np.repeat(np.arange(12), 5)
    both = bootstrap(lambda d: value[d].mean(axis=0), groups, rounds=200)
    assert both.shape == (2, 2)
    for column in range(2):
        one = bootstrap(lambda d, c=column: value[d, c].mean(), groups, rounds=200)
        np.testing.assert_allclose(one, both[:, column], rtol=1e-12)


def test_draws_that_leave_a_figure_undefined_do_not_count_for_it():
    known = np.array([1.0, np.nan, np.nan])

    def mean_of_known(drawn):
        picked = known[drawn][~np.isnan(known[drawn])]
        return [picked.mean() if picked.size else np.nan, np.nan]

    ends = bootstrap(mean_of_known, np.arange(3), rounds=100)
    assert ends[:, 0].tolist() == [1.0, 1.0]
    assert np.isnan(ends[:, 1]).all()


def test_no_samples_no_error():
    assert reliability([], []).error == 0.0


spans = st.lists(st.integers(0, 2), min_size=1, max_size=10).map(lambda row: of_labels(row, 2))


@settings(max_examples=200, deadline=None)
@given(spans, spans, st.sampled_from([0.3, 0.5, 0.7]))
def test_pairs_are_of_one_class_and_overlap_and_none_is_left_that_could_be_one(said, truth, tiou):
    same = list(pairs(said, truth, tiou))
    assert len({d for d, _ in same}) == len({t for _, t in same}) == len(same)
    for d, t in same:
        assert said[d].label == truth[t].label
        assert overlap(said[d], truth[t]) >= tiou
    for d in set(range(len(said))) - {d for d, _ in same}:
        for t in set(range(len(truth))) - {t for _, t in same}:
            assert said[d].label != truth[t].label or overlap(said[d], truth[t]) < tiou


def test_the_best_overlap_goes_first():
    said = [Span(0, 0, 4), Span(0, 4, 9)]
    assert list(pairs(said, [Span(0, 2, 9)], 0.1)) == [(1, 0)]
