"""Temperatures that were put in come out again, and stated confidence comes true."""

from __future__ import annotations

import numpy as np
import pytest
from avel_live.calibration.confidence import (
    Calibrator,
    apply_each,
    cross_fits,
    fit,
    fit_temperature,
    fit_vector,
)
from avel_live.calibration.looks import FUTURES, Looks, of_clip, of_window
from avel_live.calibration.metrics import (
    adaptive_reliability,
    quality,
    top_label,
)
from avel_live.calibration.report import assess
from avel_live.model.labels import NUM_CLASSES
from avel_live.model.probabilities import bootstrap, reliability, softmax
from avel_live.model.training.annotations import generate, targets
from avel_live.model.training.synthetic import SyntheticSpec, bayes, draw
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp


def drawn(count: int, spread: float = 3.0, classes: int = NUM_CLASSES, seed: int = 0):
    """Logits whose softmax *is* the distribution that the targets were drawn from."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (count, classes)).astype(np.float32)
    p = softmax(logits)
    return logits, (p.cumsum(axis=1) > rng.random((count, 1))).argmax(axis=1), p


def looks_with(temperatures, clips: int = 400, seed: int = 0) -> Looks:
    """Ten seconds a clip, each with one look per future, overconfident by that future's temperature."""
    n = clips * FUTURES * FUTURES
    logits, y, _ = drawn(n, seed=seed)
    future = np.tile(np.arange(FUTURES), n // FUTURES)
    return Looks(
        (logits * np.asarray(temperatures, np.float32)[future][:, None]).astype(np.float32),
        y,
        future,
        np.repeat(np.arange(clips), FUTURES * FUTURES),
    )


@pytest.mark.parametrize("temperature", [0.2, 0.7, 1.0, 1.8, 4.0, 20.0])
def test_injected_temperature_is_recovered_within_2_percent(temperature):
    logits, y, _ = drawn(60_000)
    assert fit_temperature(logits * temperature, y) == pytest.approx(temperature, rel=0.02)


def test_every_future_has_its_own_temperature():
    injected = np.linspace(3.0, 1.2, FUTURES)
    found = fit(looks_with(injected, clips=1500))
    np.testing.assert_allclose(found.temperatures, injected, rtol=0.03)


def test_scarce_futures_share_one_fit():
    looks = looks_with(np.full(FUTURES, 2.0), clips=40)
    few = looks[(looks.future_s < 9) | (np.arange(len(looks)) % 40 == 9)]
    found = fit(few, min_seconds=120)
    assert (few.future_s == 9).sum() < 120
    assert found.temperatures[9] == pytest.approx(fit_temperature(few.logits, few.targets))


def test_ece_below_2_percent_on_generated_features_with_known_posteriors():
    """Features of AVE's layout whose exact posterior is known; a network that is right but too sure."""
    rows, _ = generate(1200, seed=4)
    spec = SyntheticSpec(evidence="audio", visual_dim=14, audio_gain=1.6, seed=4)
    visual, audio = draw(spec, rows)
    p = np.concatenate(
        [bayes(spec, visual[k : k + 50], audio[k : k + 50], rows) for k in range(0, len(rows), 50)]
    )
    too_sure = (1.9 * np.log(np.maximum(p, 1e-9))).astype(np.float32)
    looks = Looks.gather(of_window(too_sure[k], 0, y, k) for k, y in enumerate(targets(rows)))
    report = assess(looks, rounds=200)
    assert report.overall.before.ece > 0.05
    assert report.overall.after.ece < 0.02
    assert report.overall.after_ece[0] <= report.overall.after.ece
    # The real labels come in clips of ten alike; labels drawn from the posterior pin the temperature down.
    assert fit_temperature(looks.logits, looks.targets) == pytest.approx(1.9, rel=0.1)
    flat = np.tile(p.reshape(-1, NUM_CLASSES), (5, 1))
    y = (flat.cumsum(axis=1) > np.random.default_rng(0).random((len(flat), 1))).argmax(axis=1)
    assert fit_temperature(np.tile(looks.logits, (5, 1)), y) == pytest.approx(1.9, rel=0.02)


def test_vector_scaling_undoes_a_bias_that_temperature_can_not():
    logits, y, _ = drawn(6000, classes=6, seed=2)
    bent = logits * np.array([2, 2, 2, 1, 1, 1]) + np.array([0, 2, 0, -2, 0, 1])
    scale, bias = fit_vector(bent, y, penalty=1e-6)
    one = softmax(bent / fit_temperature(bent, y))
    assert quality(softmax(bent * scale + bias), y).nll < quality(one, y).nll - 0.1
    assert quality(softmax(bent * scale + bias), y).ece < 0.02
    np.testing.assert_allclose(scale, 1 / np.array([2, 2, 2, 1, 1, 1]), rtol=0.1)


def test_vector_scaling_survives_a_class_that_never_occurs_and_separable_data():
    scale, bias = fit_vector(np.eye(3)[[0, 1] * 20] * 50, [0, 1] * 20)
    assert np.isfinite(scale).all()
    assert np.abs(bias).max() < 100


def test_calibration_keeps_the_answer():
    logits, _, _ = drawn(500)
    c = Calibrator.from_temperatures(np.linspace(0.5, 5, FUTURES), NUM_CLASSES)
    p = c.apply(logits, np.arange(500) % FUTURES)
    np.testing.assert_array_equal(p.argmax(axis=1), logits.argmax(axis=1))
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)


def test_window_rows_know_their_future():
    logits, _, _ = drawn(4)
    c = Calibrator.from_temperatures(1 + np.arange(FUTURES), NUM_CLASSES)
    expected = softmax(logits / np.array([4, 3, 2, 1])[:, None])
    np.testing.assert_allclose(c.of_window(logits), expected, rtol=1e-5)


def test_fractions_of_a_second_lie_between():
    c = Calibrator.from_temperatures(1 / (1 + np.arange(FUTURES)), 3)
    z = np.array([[1.0, 0.5, 0.0]], np.float32)
    np.testing.assert_allclose(c.apply(z, 0.5), softmax(z * 1.5), rtol=1e-6)
    np.testing.assert_allclose(c.apply(z, 30), softmax(z * 10), rtol=1e-6)


def test_of_clip_sees_what_a_stream_sees():
    """Twelve seconds: windows grow to ten, then move on; a second gets as many looks as it had windows."""
    seen = []

    def head(visual, audio):
        seen.append(audio[:, 0].tolist())
        return np.zeros((len(audio), NUM_CLASSES), np.float32)

    audio = np.arange(12, dtype=np.float32)[:, None]
    truth = [0, 1, -1, *range(3, 12)]
    looks = Looks.gather(of_clip(head, np.zeros((12, 1)), audio, truth, 5))
    assert seen[0] == [0.0]
    assert seen[-1] == list(range(2, 12))
    counts = {t: int((looks.targets == t).sum()) for t in truth if t >= 0}
    assert counts == {0: 10, 1: 10, 3: 9, 4: 8, 5: 7, 6: 6, 7: 5, 8: 4, 9: 3, 10: 2, 11: 1}
    assert looks.future_s[looks.targets == 0].tolist() == list(range(10))


def test_cross_fitting_never_sees_the_clip_it_judges():
    """One clip in three is drawn with another temperature: in its own judgement it has no say."""
    looks = looks_with(np.ones(FUTURES), clips=3)
    odd = np.where(looks.groups == 2, 10.0, 1.0).astype(np.float32)[:, None]
    looks = Looks(looks.logits * odd, looks.targets, looks.future_s, looks.groups)
    fits = cross_fits(looks, min_seconds=10**9)
    assert fits[2].temperatures[0] == pytest.approx(1.0, rel=0.2)
    assert fits[0].temperatures[0] > 2
    assert apply_each(looks, fits).shape == looks.logits.shape


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        fit_temperature(np.array([[np.nan, 1.0]]), [0])
    with pytest.raises(ValueError, match="N ≥ 1"):
        fit_temperature(np.zeros((0, 3)), [])
    with pytest.raises(ValueError, match="above 0"):
        Calibrator.from_temperatures(np.full(FUTURES, -1.0), 3)
    with pytest.raises(ValueError, match="two clips"):
        cross_fits(looks_with(np.ones(FUTURES), clips=1))


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 40), st.just(4)), elements=st.floats(-200, 200)),
    st.integers(0, 3),
)
def test_any_logits_give_a_finite_temperature(logits, label):
    t = fit_temperature(logits, np.full(len(logits), label))
    assert 0.0009 < t < 1001


def test_newton_finds_the_minimum():
    logits, y, _ = drawn(2000, classes=5, seed=9)
    t = fit_temperature(logits * 3, y)

    def nll(temperature: float) -> float:
        return quality(softmax(logits * 3 / temperature), y).nll

    assert nll(t) <= min(nll(t * 1.01), nll(t / 1.01))


def test_metrics_against_the_definition():
    """A hand-made case: two bins, known gaps."""
    confidence = np.array([0.55, 0.55, 0.55, 0.55, 0.95, 0.95])
    right = np.array([1, 1, 1, 1, 1, 0])
    bins = reliability(confidence, right, 10)
    assert bins.count.tolist() == [0, 0, 0, 0, 0, 4, 0, 0, 0, 2]
    assert bins.error == pytest.approx((4 * 0.45 + 2 * 0.45) / 6)
    equal = adaptive_reliability(confidence, right, 3)
    assert equal.count.tolist() == [2, 2, 2]
    q = quality(np.array([[0.8, 0.2], [0.4, 0.6]]), [0, 0])
    assert q.brier == pytest.approx((0.04 + 0.04 + 0.36 + 0.36) / 2)
    assert q.nll == pytest.approx(-(np.log(0.8) + np.log(0.4)) / 2)
    assert (q.accuracy, q.count) == (0.5, 2)


def test_edges_belong_to_the_bin_below():
    bins = reliability([0.0, 0.1, 1.0], [0, 0, 1], 10)
    assert bins.count.tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 0, 1]


def test_bootstrap_over_clips_is_wider_than_over_seconds():
    """Twenty clips whose seconds all agree: the truth is known as well as twenty answers tell it."""
    rng = np.random.default_rng(0)
    value = np.repeat(rng.random(20) < 0.5, 30).astype(float)
    clips = bootstrap(lambda d: float(value[d].mean()), np.repeat(np.arange(20), 30), rounds=400)
    single = bootstrap(lambda d: float(value[d].mean()), np.arange(600), rounds=400)
    assert clips[0] < value.mean() < clips[1]
    assert clips[1] - clips[0] > 3 * (single[1] - single[0])


def test_top_label():
    confidence, right = top_label([[0.1, 0.9], [0.6, 0.4]], [1, 1])
    assert confidence.tolist() == [0.9, 0.6]
    assert right.tolist() == [True, False]
