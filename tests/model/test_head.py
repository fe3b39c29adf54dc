"""Training a head: the rate rises, falls and holds; the same seed, the same head; nothing is left nothing."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from avel_live.model.checkpoint import load_checkpoint
from avel_live.model.committee import Committee
from avel_live.model.diia import DIIA
from avel_live.model.formats.weights import read_weights
from avel_live.model.training.lite import head_stage
from avel_live.model.training.lite.compose import Composer
from avel_live.model.training.lite.head import (
    HeadSettings,
    background_shift,
    rate_at,
    scene_accuracy,
    train_head,
)
from avel_live.model.training.lite.head_stage import HEAD
from avel_live.model.training.lite.recipe import NOTHING, PLAIN, RECIPE
from avel_live.model.training.lite.stages import Report
from support.scenes import pools

SHORT = HeadSettings(steps=60, batch=16, validate_every=60)


@pytest.fixture(scope="module")
def trained() -> tuple[DIIA, float]:
    return train_head(HEAD, SHORT, Composer(*pools(), RECIPE, 1), [Composer(*pools(), PLAIN, 2).batch(32)])


def test_a_committee_is_kept_member_by_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_stage, "NOTHING_BATCHES", 1)
    pictures, takes = pools()
    short = HeadSettings(steps=4, batch=8, validate_every=4)
    begun: list[str] = []

    def stop(stage: str, _share: float, _text: str) -> None:
        begun.append(stage)
        if stage == "head_lite_1":
            raise KeyboardInterrupt

    def train(report: Report) -> float:
        target = tmp_path / "out.safetensors"
        both = (pictures, pictures), (takes, takes)
        return head_stage.train_committee("lite", *both, tmp_path, target, short, 7, report)

    with pytest.raises(KeyboardInterrupt):
        train(stop)
    assert begun == ["head_lite_0", "head_lite_1"]
    begun.clear()
    train(lambda stage, _share, _text: begun.append(stage))
    assert begun == ["head_lite_1", "head_lite_2"]
    loaded, info = load_checkpoint(tmp_path / "out.safetensors", profile="lite")
    assert isinstance(loaded, Committee)
    assert info.members == 3
    first = read_weights(tmp_path / "out.safetensors")
    weights = [member.state_dict()["hidden.weight"] for member in loaded.members]
    assert not torch.equal(weights[0], weights[1])
    train(lambda *_: pytest.fail("everything was there"))
    again = read_weights(tmp_path / "out.safetensors")
    assert all(torch.equal(value, again[name]) for name, value in first.items())


def test_the_rate_rises_falls_and_holds() -> None:
    s = HeadSettings(steps=100, rate=2e-3, held=5e-4, averaged=0.5)
    rates = [s.rate * rate_at(step, s) for step in range(1, 101)]
    assert max(rates) == pytest.approx(2e-3)
    assert rates.index(max(rates)) == 9
    assert rates[:10] == sorted(rates[:10])
    assert rates[9:50] == sorted(rates[9:50], reverse=True)
    assert rates[49:] == pytest.approx([5e-4] * 51)


def test_the_same_seed_the_same_head(trained: tuple[DIIA, float]) -> None:
    again, accuracy = train_head(
        HEAD, SHORT, Composer(*pools(), RECIPE, 1), [Composer(*pools(), PLAIN, 2).batch(32)]
    )
    assert accuracy == trained[1]
    theirs = again.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in trained[0].state_dict().items())


def test_the_prior_gives_nothing_an_event_as_often_as_asked(trained: tuple[DIIA, float]) -> None:
    batch = Composer(*pools(), NOTHING, 3).batch(64)
    blurred = batch.audio + np.random.default_rng(4).normal(0.0, 0.05, batch.audio.shape)
    nothing = [replace(batch, audio=blurred.astype(np.float32))]
    model = deepcopy(trained[0])
    with torch.no_grad():
        model.classify.bias[-1] += background_shift(model, nothing, 0.1)
    assert scene_accuracy(model, nothing)[0] == pytest.approx(0.9, abs=0.02)
