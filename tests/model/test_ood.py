"""Out-of-distribution scores against their definitions, and the veto."""

from __future__ import annotations

import numpy as np
from avel_live.model.labels import BACKGROUND, NUM_CLASSES
from avel_live.model.ood import OOD, energy, max_logit, veto
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import logsumexp

LOGITS = st.sampled_from([2, 3, NUM_CLASSES, 40]).flatmap(
    lambda classes: arrays(np.float32, (4, classes), elements=st.floats(-50, 50, width=32))
)


@given(LOGITS)
def test_scores_are_what_they_are_defined_to_be(logits: np.ndarray) -> None:
    events = logits[:, :-1].astype(np.float64)
    np.testing.assert_allclose(energy(logits), -logsumexp(events, axis=1), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(max_logit(logits), -events.max(1))


@given(LOGITS, st.floats(-50, 50))
def test_the_background_logit_says_nothing_about_strangeness(logits: np.ndarray, background: float) -> None:
    other = logits.copy()
    other[:, -1] = background
    np.testing.assert_array_equal(energy(other), energy(logits))
    np.testing.assert_array_equal(max_logit(other), max_logit(logits))


def test_strange_seconds_become_background_and_the_others_stay() -> None:
    logits = np.zeros((2, NUM_CLASSES), np.float32)
    logits[0, 3], logits[1, 3] = 5.0, -1.0
    logits[1, :3] = logits[1, 4:] = -2.0
    given_ = np.full((2, NUM_CLASSES), 1 / NUM_CLASSES, np.float32)
    got = veto(logits, given_, float(OOD(logits).mean()))
    np.testing.assert_array_equal(got[0], given_[0])
    assert got[1, BACKGROUND] == 1.0
    assert got[1].sum() == 1.0
    assert given_[1, BACKGROUND] < 1.0


@given(LOGITS, st.floats(-50, 50))
def test_background_is_the_last_class_of_any_head(logits: np.ndarray, limit: float) -> None:
    even = np.full(logits.shape, 1 / logits.shape[1], np.float32)
    got = veto(logits, even, limit)
    strange = -logits[:, :-1].max(1) > limit
    assert (got[strange].argmax(1) == logits.shape[1] - 1).all()
    assert (got[strange].max(1) == 1.0).all()
    np.testing.assert_array_equal(got[~strange], even[~strange])
