"""The calibration that ships: how sure answers are stated to be, with every decision as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from avel_live.calibration.confidence import Calibrator
from avel_live.calibration.contents import Confidence, Thresholds
from avel_live.calibration.files import load_calibration, save
from avel_live.calibration.places import calibration_path
from avel_live.calibration.rules import Rules
from avel_live.model.files import SHIPPED
from avel_live.model.labels import BACKGROUND, LABELS, NUM_CLASSES
from avel_live.model.profiles import get_profile
from avel_live.model.runtime.base import EngineInfo
from avel_live.realtime.config.schema import Config
from avel_live.realtime.core.errors import UsageError
from avel_live.realtime.core.messages import Event, Scores, Settled, SourceInfo
from avel_live.realtime.events import Decoder, DecoderConfig
from avel_live.realtime.events.fusion import decisive
from avel_live.realtime.session import calibration as session
from avel_live.realtime.session.calibration import apply_calibration
from avel_live.realtime.session.open import decoding
from avel_live.realtime.stream.window import softmax

FILE = SourceInfo("f.mp4", "file")
BUNDLED = sorted(SHIPPED.glob("*_calibration.json"))


def walk(seed: int, seconds: int = 60) -> list[Scores]:
    """Looks at a stream that wanders between three events and nothing; the pool cuts none of it off."""
    rng = np.random.default_rng(seed)
    base = rng.normal(0, 0.5, (seconds, NUM_CLASSES))
    for start in range(0, seconds, 6):
        base[start : start + 6, rng.choice([2, 5, 7, BACKGROUND])] += rng.uniform(2, 7)
    base[:, BACKGROUND] += 3.5
    looks = []
    for newest in range(seconds):
        first = max(0, newest - 9)
        logits = base[first : newest + 1] + rng.normal(0, 0.5, (newest + 1 - first, NUM_CLASSES))
        z = logits.astype(np.float32)
        even = np.full((len(z), 7, 7), 1 / 49, np.float32)
        looks.append(Scores(newest, first, z, softmax(z), even, np.ones(len(z), bool)))
    return looks


def told(config: DecoderConfig, looks: list[Scores], temperature: float) -> tuple[list[Settled], list[Event]]:
    decoder = Decoder(config)
    steps = [
        decoder.push(replace(look, probabilities=softmax(look.logits / np.float32(temperature))))
        for look in looks
    ]
    steps.append(decoder.finish())
    return [s for step in steps for s in step.settled], [e for step in steps for e in step.events]


@pytest.mark.parametrize("temperature", [0.8, 1.2, 2.0])
def test_stating_confidences_at_a_temperature_changes_no_decision(temperature: float) -> None:
    events = 0
    for seed in range(6):
        looks = walk(seed)
        raw, raw_events = told(DecoderConfig(), looks, 1.0)
        said, said_events = told(DecoderConfig(stated_at=temperature), looks, temperature)
        assert [s.label for s in said] == [s.label for s in raw]
        spans = [
            [(e.kind, e.id, e.label, e.start_s, e.end_s) for e in found if e.kind != "update"]
            for found in (raw_events, said_events)
        ]
        assert spans[0] == spans[1]
        events += len(spans[0])
        for a, b in zip(raw, said, strict=True):
            expected = a.probabilities.astype(np.float64) ** (1 / temperature)
            np.testing.assert_allclose(b.probabilities, expected / expected.sum(), atol=1e-5)
            assert b.confidence == pytest.approx(float(b.probabilities[b.label]))
        # What is reported of events is what was stated, too: means over their seconds.
        for one in (e for e in said_events if e.kind == "end"):
            inside = [s.probabilities[one.label] for s in said if one.start_s <= s.start_s < (one.end_s or 0)]
            assert min(inside) - 1e-6 <= one.confidence <= max(inside) + 1e-6
    assert events > 40


def test_a_taught_class_is_decided_as_it_was_taught() -> None:
    config = DecoderConfig(labels=(*LABELS[:-1], "kettle", LABELS[-1]), taught=1, stated_at=1.5)
    p = np.full(len(config.labels), 0.001)
    p[2], p[-2], p[-1] = 0.3, 0.6, 0.1 - 0.001 * (len(p) - 3)
    decided = decisive(p, config)
    assert decided[-2] == 0.6
    assert decided.sum() == pytest.approx(p.sum())
    assert decided[2] / decided[-1] == pytest.approx((p[2] / p[-1]) ** 1.5)


@pytest.mark.parametrize("wrong", [0.0, -1.0])
def test_a_temperature_is_positive(wrong: float) -> None:
    with pytest.raises(UsageError, match="stated_at"):
        DecoderConfig(stated_at=wrong)


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_what_ships_belongs_to_the_weights_that_ship(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    from avel_live.model.checkpoint import read_info

    made = load_calibration(path)
    head = get_profile(made.profile).head
    assert head is not None
    sha = read_info(SHIPPED / head).sha256
    assert made.checkpoint == sha, "new heads: run tests/bench/bundled_confidence.py with --ship again"
    assert made.confidence is not None
    assert made.confidence.ece_after < made.confidence.ece_before
    engine = EngineInfo(made.profile, "onnxruntime", "int8", "cpu", LABELS, sha)
    applied = apply_calibration(Config(), engine, FILE)
    assert applied.name == "bundled"
    logits = np.random.default_rng(0).normal(0, 3, (4, 29)).astype(np.float32)
    expected = made.confidence.calibrator(29).of_window(logits)
    np.testing.assert_allclose(applied.calibrate(logits, 4), expected, atol=1e-6)
    assert decoding(Config(), LABELS, applied).stated_at == applied.temperature != 1
    # Off where it is not wanted, and where thresholds are chosen.
    for off in (
        apply_calibration(Config(calibration="none"), engine, FILE),
        apply_calibration(Config(), engine, FILE, bundled=False),
        apply_calibration(Config(), replace(engine, checkpoint="cd" * 32), FILE),
    ):
        assert (off.name, off.temperature) == ("", 1.0)
    # One's own thresholds, chosen on raw confidences, go with it; one's own confidence stands before it.
    rules = Rules(np.full(28, 0.6), np.full(28, 0.3), np.full(28, 2.0))
    kept = made.model_copy(
        update={"precision": "int8", "confidence": None, "thresholds": Thresholds.of(rules, LABELS)}
    )
    save(calibration_path(sha, "int8"), kept)
    beside = apply_calibration(Config(), engine, FILE)
    assert (beside.name, beside.temperature) == (f"{sha[:8]}-int8", applied.temperature)
    assert beside.rules is not None
    np.testing.assert_allclose(beside.calibrate(logits, 4), expected, atol=1e-6)
    own = Confidence.of(Calibrator.from_temperatures(np.full(10, 3.0), 29), 100, 0.2, 0.1)
    save(calibration_path(sha, "int8"), made.model_copy(update={"precision": "int8", "confidence": own}))
    mine = apply_calibration(Config(), engine, FILE)
    assert (mine.name, mine.temperature) == (f"{sha[:8]}-int8", 1.0)
    np.testing.assert_allclose(mine.calibrate(logits, 4), softmax(logits / np.float32(3)), atol=1e-6)


def test_a_light_profile_ships_with_a_calibration() -> None:
    assert SHIPPED / "lite_calibration.json" in BUNDLED
    assert session.SHIPPED == SHIPPED
