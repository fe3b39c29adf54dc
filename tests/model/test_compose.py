"""Composed scenes: labels follow what is audible and visible; lent evidence stays with its event."""

import numpy as np
import pytest
from avel_live.model.backbones.audio_concepts import CONCEPTS as HEARD
from avel_live.model.backbones.visual_concepts import CONCEPTS as SEEN
from avel_live.model.labels import BACKGROUND, EVENT_NAMES
from avel_live.model.training.lite.compose import (
    PLUCKED,
    SPEECH,
    UNSEEN,
    Composer,
    Recipe,
    relabel,
    trade,
)
from support.scenes import pools

BARK, CAT, BANJO = (EVENT_NAMES.index(n) for n in ("Bark", "Cat", "Banjo"))


@pytest.mark.parametrize("relabelled", [0.0, 1.0])
def test_a_label_is_what_is_seen_and_heard(relabelled: float) -> None:
    batch = Composer(*pools(), Recipe(relabel=relabelled, drop=0.5), 3).batch(200)
    whole = batch.visual[:, :, 0, 0, len(SEEN) :]
    named = batch.label != BACKGROUND
    assert 0.1 < named.mean() < 0.7
    rows, seconds = np.nonzero(named)
    events = batch.label[named]
    # Guitars and their like share what is seen, so a banjo may be shown at 0.6 of the best of them.
    assert (whole[rows, seconds, events] > 0.5).all()
    assert (batch.audio[rows, seconds, events] > 0.8).all()
    assert (batch.audio[rows, seconds, len(HEARD) + events] > 0.8).all()
    assert batch.visual_mask[named].all()
    assert batch.audio_mask[named].all()


def test_the_same_seed_the_same_scenes() -> None:
    first, second = (Composer(*pools(), Recipe(), 5).batch(8) for _ in range(2))
    assert np.array_equal(first.visual, second.visual)
    assert np.array_equal(first.label, second.label)


def test_trade_keeps_ties() -> None:
    rng = np.random.default_rng(0)
    picture = np.zeros((1, len(SEEN)), np.float32)
    picture[0, CAT] = 0.9
    trade(picture, CAT, BANJO, rng)
    assert picture[0, BANJO] == pytest.approx(0.9)
    assert picture[0, CAT] == 0
    assert (picture[0, list(PLUCKED)] > 0.5).all()
    picture[:] = 0
    picture[0, BARK] = 0.8
    trade(picture, BARK, SPEECH[0], rng)
    assert picture[0, SPEECH[0]] == picture[0, SPEECH[1]] == picture[0, SEEN.index("person")]


def test_relabelling_moves_label_and_evidence_together() -> None:
    rng = np.random.default_rng(1)
    moved = 0
    for _ in range(40):
        whole = np.full((10, len(SEEN)), 0.1, np.float32)
        cells = np.full((10, 7, 7, len(SEEN)), 0.1, np.float32)
        audio = np.full((10, len(HEARD) + len(EVENT_NAMES)), 0.1, np.float32)
        label = np.full(10, BARK)
        whole[:, BARK] = cells[..., BARK] = audio[:, BARK] = 0.9
        relabel(whole, cells, audio, label, rng)
        event = int(label[0])
        moved += event != BARK
        assert event not in UNSEEN
        assert (audio[:, event] > 0.8).all()
        assert (whole[:, event] > 0.8).all()
    assert moved > 0
