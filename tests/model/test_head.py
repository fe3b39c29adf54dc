"""Training a head: the rate rises, falls and holds; the same seed, the same head; nothing is left nothing."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from avel_live.model.diia import DIIA
from avel_live.model.training.lite.compose import Composer
from avel_live.model.training.lite.head import (
    HeadSettings,
    background_shift,
    rate_at,
    scene_accuracy,
    train_head,
)
from avel_live.model.training.lite.recipe import NOTHING, PLAIN, RECIPE
from avel_live.model.training.lite.run import HEAD
from support.scenes import pools

SHORT = HeadSettings(steps=60, batch=16, validate_every=60)


@pytest.fixture(scope="module")
def trained() -> tuple[DIIA, float]:
    return train_head(HEAD, SHORT, Composer(*pools(), RECIPE, 1), [Composer(*pools(), PLAIN, 2).batch(32)])


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
    nothing = [Composer(*pools(), NOTHING, 3).batch(64)]
    model = deepcopy(trained[0])
    with torch.no_grad():
        model.classify.bias[-1] += background_shift(model, nothing, 0.1)
    assert scene_accuracy(model, nothing)[0] == pytest.approx(0.9, abs=0.02)
