"""Generated features: the stated best answer is the best answer, checked against slow densities."""

import itertools

import numpy as np
import pytest
from avel_live.model.labels import BACKGROUND
from avel_live.model.training.annotations import generate, targets
from avel_live.model.training.metrics import calibration_error
from avel_live.model.training.synthetic import (
    BLOCK,
    CORNERS,
    EVIDENCE,
    SyntheticSpec,
    bayes,
    draw,
    likelihood_ratios,
)
from scipy.special import logsumexp


def log_normal(x):
    return -0.5 * float((x**2).sum())


def slow_picture(spec, cells, own, others):
    """Log density of one second's grid against noise: every corner's every content, one after the other.

    Args:
        spec: how it was drawn.
        cells: [7, 7, Dv].
        own: codes of which one stands in one of the corners, with their shares; {} = none does.
        others: codes that clutter shows.

    """
    sight = np.vstack([spec.prototypes()[1], spec.nameless()[1]])

    def corner(at, code):
        i, j = CORNERS[at]
        block = cells[i : i + BLOCK, j : j + BLOCK]
        return log_normal(block - spec.visual_gain * sight[code]) - log_normal(block)

    clutter = [(1 - spec.clutter, None)] + [(spec.clutter / len(others), code) for code in others]
    terms = []
    for place in range(4) if own else [None]:
        rest = [at for at in range(4) if at != place]
        for contents in itertools.product(clutter, repeat=len(rest)):
            around = sum(
                np.log(share) + (0.0 if code is None else corner(at, code))
                for at, (share, code) in zip(rest, contents, strict=True)
            )
            if place is None:
                terms.append(around)
            else:
                terms += [np.log(share / 4) + corner(place, code) + around for code, share in own.items()]
    return logsumexp(terms)


def test_joint_densities_equal_a_slow_sum_over_everything():
    """One second: corners, clutter, faintness, kinds of background summed by hand."""
    spec = SyntheticSpec(visual_dim=8, visual_gain=0.7, audio_gain=1.5, clutter=0.6, faint=0.3)
    rows, _ = generate(3, seed=5)
    visual, audio = draw(spec, rows)
    visual, audio = visual[:1, :1], audio[:1, :1]
    event, background = likelihood_ratios(spec, visual, audio)
    sound, _ = spec.prototypes()
    cells, heard = visual[0, 0].astype(float), audio[0, 0].astype(float)
    hear = [log_normal(heard - spec.audio_gain * p) - log_normal(heard) for p in [*sound, spec.nameless()[0]]]
    clear, faint = np.log(0.7), np.log(0.3)
    nameless = len(sound)
    for c in (0, 27):
        g, h = spec.heard[c], spec.seen[c]
        others = [k for k in range(len(sound)) if k != h]
        different = logsumexp([hear[k] for k in range(len(sound)) if k != g]) - np.log(len(sound) - 1)
        right = np.logaddexp(clear + hear[g], faint + hear[nameless])
        wrong = np.logaddexp(clear + different, faint + hear[nameless])
        there = slow_picture(spec, cells, {h: 0.7, nameless: 0.3}, others)
        around = slow_picture(spec, cells, {}, others)
        assert event[0, 0, c] == pytest.approx(there + right, abs=1e-8)
        parts = [
            np.log(spec.background[0]) + right + around,
            np.log(spec.background[1]) + there,
            np.log(spec.background[2]) + wrong + there,
            np.log(spec.background[3]) + around,
        ]
        assert background[0, 0, c] == pytest.approx(logsumexp(parts), abs=1e-8)


def test_unlikely_pictures_have_densities_too():
    """Far from every hypothesis the densities are too small for a float; their logarithms are not."""
    spec = SyntheticSpec(visual_dim=8, visual_gain=9.0, audio_gain=20.0)
    rows, _ = generate(20, seed=2)
    posterior = bayes(spec, *draw(spec, rows), rows)
    assert np.isfinite(posterior).all()
    assert (posterior.argmax(-1) == targets(rows)).mean() > 0.85


def test_posterior_sums_intervals_and_looks_like_a_slow_sum():
    spec = SyntheticSpec(evidence="audio", audio_gain=1.0, lookalike=0.2)
    rows, _ = generate(40, seed=3)
    visual, audio = draw(spec, rows[:2])
    got = bayes(spec, visual, audio, rows)
    event, background = likelihood_ratios(spec, visual, audio)
    spans = [(0, 0)] + [(s, e) for s in range(10) for e in range(s + 1, 11)]
    for n in range(2):
        weights = {}
        for c in range(BACKGROUND):
            for s, e in spans:
                prior = (0.5 + sum((r.start, r.end) == (s, e) for r in rows)) * (
                    0.5 + sum(r.label == c for r in rows)
                )
                by_look = [
                    sum(event[n, t, k] if s <= t < e else background[n, t, k] for t in range(10))
                    for k in (c, (c + 1) % BACKGROUND)
                ]
                weights[c, s, e] = prior * (0.8 * np.exp(by_look[0]) + 0.2 * np.exp(by_look[1]))
        total = sum(weights.values())
        for t in (0, 4, 9):
            for c in (0, 7, 27):
                want = sum(w for (k, s, e), w in weights.items() if k == c and s <= t < e) / total
                assert got[n, t, c] == pytest.approx(want, abs=1e-9)
    assert np.allclose(got.sum(-1), 1)


@pytest.mark.parametrize("evidence", EVIDENCE)
def test_the_posterior_is_calibrated_and_beats_others(evidence):
    """What says 80 % is right in 80 % of the cases: only the true posterior of the generator is."""
    spec = SyntheticSpec(evidence=evidence, visual_gain=0.8, audio_gain=1.6)
    rows, _ = generate(500, seed=1)
    visual, audio = draw(spec, rows)
    posterior = bayes(spec, visual, audio, rows)
    target = targets(rows)
    best = (posterior.argmax(-1) == target).mean()
    assert calibration_error(posterior, target) < 0.05
    worse = bayes(SyntheticSpec(evidence=evidence, visual_gain=1.4, audio_gain=0.5), visual, audio, rows)
    assert best > (worse.argmax(-1) == target).mean()
    assert 0.3 < best < 0.97


def test_nameless_sounds_and_sights_tell_no_class():
    spec = SyntheticSpec()
    for vector in spec.nameless():
        assert np.linalg.norm(vector) == pytest.approx(1)
    # With nothing but nameless seconds the best answer can't tell the classes apart.
    rows, _ = generate(60, seed=2)
    blind = SyntheticSpec(faint=1.0, clutter=0.01)
    named = bayes(blind, *draw(blind, rows), rows)[..., :BACKGROUND].argmax(-1) == targets(rows)
    assert named.mean() < 0.2


@pytest.mark.parametrize("evidence", ["audio", "visual"])
def test_the_silent_modality_says_nothing(evidence):
    spec = SyntheticSpec(evidence=evidence)
    visual, audio = draw(spec, generate(600)[0])
    silent = visual if evidence == "audio" else audio
    assert abs(silent.mean()) < 0.01
    assert silent.std() == pytest.approx(1, abs=0.01)


def test_a_seed_fixes_everything():
    rows, _ = generate(4)
    first, second = draw(SyntheticSpec(seed=3), rows), draw(SyntheticSpec(seed=3), rows)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], draw(SyntheticSpec(seed=4), rows)[0])


def test_codes_are_orthogonal_where_they_can_be_and_unit_vectors_always():
    for dim in (8, 16):
        codes = SyntheticSpec(visual_dim=dim).prototypes()[1]
        alike = codes @ codes.T
        assert np.allclose(np.diag(alike), 1)
        assert np.allclose(alike, np.eye(len(codes)), atol=1e-12) == (dim == 16)
