"""Composed scenes: labels follow what is audible and visible; lent evidence stays with its event."""

from dataclasses import replace

import numpy as np
import pytest
from avel_live.model.backbones.audio_concepts import CONCEPTS as HEARD
from avel_live.model.backbones.visual_concepts import CONCEPTS as SEEN
from avel_live.model.labels import BACKGROUND, EVENT_NAMES
from avel_live.model.training.lite.compose import Composer
from avel_live.model.training.lite.material import PLUCKED, SPEECH, UNSEEN
from avel_live.model.training.lite.recipe import PLAIN, PLANS, Recipe
from avel_live.model.training.lite.trades import (
    hush,
    mimic,
    mishear,
    relabel,
    slip_voices,
    swap_voices,
    trade,
)
from support.scenes import pools

BARK, CAT, BANJO = (EVENT_NAMES.index(n) for n in ("Bark", "Cat", "Banjo"))


@pytest.mark.parametrize("relabelled", [0.0, 1.0])
def test_a_label_is_what_is_seen_and_heard(relabelled: float) -> None:
    batch = Composer(*pools(), Recipe(relabel=relabelled, drop=0.5, hush=0.0, slip=0.0), 3).batch(200)
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


def test_voices_trade_places_and_leave_the_rest() -> None:
    audio = np.full((10, len(HEARD) + len(EVENT_NAMES)), 0.1, np.float32)
    man, woman = SPEECH
    label = np.array([man] * 5 + [woman] * 3 + [BARK, BACKGROUND])
    audio[:5, man] = audio[:5, len(HEARD) + man] = 0.9
    before = audio.copy()
    swap_voices(audio, label)
    assert label.tolist() == [woman] * 5 + [man] * 3 + [BARK, BACKGROUND]
    for start in (0, len(HEARD)):
        np.testing.assert_array_equal(audio[:, start + woman], before[:, start + man])
        np.testing.assert_array_equal(audio[:, start + man], before[:, start + woman])
    others = np.setdiff1d(np.arange(audio.shape[1]), [s + e for s in (0, len(HEARD)) for e in SPEECH])
    np.testing.assert_array_equal(audio[:, others], before[:, others])


def test_scenes_know_nothing_of_whose_voice_it_is() -> None:
    batch = Composer(*pools(), Recipe(relabel=0.0, voices=0.5), 4).batch(600)
    women = [(batch.label[k] == SPEECH[1]).any() for k in range(600) if np.isin(batch.label[k], SPEECH).any()]
    assert 0.35 < np.mean(women) < 0.65


def test_the_ears_own_classes_miss_or_mishear_and_audiosets_stay() -> None:
    rng = np.random.default_rng(2)
    label = np.array([BARK] * 4 + [BACKGROUND] * 6)
    raised = 0
    for _ in range(20):
        audio = np.full((10, len(HEARD) + len(EVENT_NAMES)), 0.3, np.float32)
        hush(audio, BARK, rng)
        assert (audio[:, len(HEARD) + BARK] < 0.25).all()
        assert (np.delete(audio, len(HEARD) + BARK, axis=1) == np.float32(0.3)).all()
        before = audio.copy()
        mishear(audio, label, BARK, rng)
        changed = np.argwhere(audio != before)
        assert (changed[:, 0] >= 4).all()  # where the event is, nothing is misheard
        assert (changed[:, 1] == len(HEARD) + BARK).all()
        assert (audio >= before).all()
        raised += len(changed)
    assert raised > 20


def test_a_reader_mishears_too_alone_or_with_the_ears_own_classes() -> None:
    rng = np.random.default_rng(3)
    label = np.full(10, BACKGROUND)
    own, reader = len(HEARD) + BARK, len(HEARD) + BACKGROUND + BARK
    wrong = set()
    for _ in range(60):
        audio = np.full((10, len(HEARD) + 2 * BACKGROUND), 0.3, np.float32)
        mishear(audio, label, BARK, rng)
        wrong.add(tuple(np.unique(np.argwhere(audio != np.float32(0.3))[:, 1]).tolist()))
    assert wrong - {()} == {(own,), (reader,), (own, reader)}


def test_where_an_event_is_only_seen_what_sounds_like_it_is_heard() -> None:
    pictures, takes = pools()
    nothing = np.flatnonzero(takes.kind == BACKGROUND)
    takes.evidence[nothing[0], :, :BACKGROUND] = 0.7  # one take of nothing sounds like everything
    plain = Recipe(relabel=0, drop=0, hush=0, mishear=0, slip=0, mimic=0, alike=1)
    seen = replace(plain, both=0, heard=0, seen=1, neither=0, wrong=0, change=0, beneath=0)
    takes.faint[:] = False
    batch = Composer(pictures, takes, seen, 6).batch(100)
    alike = (np.abs(batch.audio[:, :, :BACKGROUND] - 0.7) < 0.01).all((1, 2))
    assert 0.3 < alike.mean() < 0.7  # in the other half another event is heard
    assert (batch.label == BACKGROUND).all()


def only(plan: str) -> Recipe:
    """Scenes of one kind, without trades."""
    return replace(PLAIN, **{name: float(name == plan) for name in PLANS}, drop=0)


def test_the_clearer_of_two_takes_is_heard_more_often() -> None:
    pictures, takes = pools()
    faint = np.flatnonzero(takes.kind < BACKGROUND)[::3]
    takes.evidence[faint] = 0.2
    clarity = takes.clarity()
    assert (clarity[takes.kind == BACKGROUND] == 0).all()
    assert clarity[faint].max() < 0.25 < 0.7 < np.delete(clarity, faint).max()

    def share(clear: float) -> float:
        composer = Composer(pictures, takes, replace(only("both"), clear=clear, lasting=0), 3)
        heard = np.concatenate([composer.batch(64).audio.max((1, 2)) for _ in range(4)])
        return float((heard < 0.5).mean())

    assert share(1.0) < 0.6 * share(0.0)


def test_events_that_last_are_chosen_more_often() -> None:
    pictures, takes = pools()
    events = np.flatnonzero(takes.kind < BACKGROUND)
    lasting = events[::3]  # one take of each event, not clearer than the others
    takes.audible[events] = np.arange(10) < 2
    takes.audible[lasting] = True
    takes.evidence[lasting] = 0.5

    def share(probability: float) -> float:
        composer = Composer(pictures, takes, replace(only("both"), lasting=probability), 3)
        heard = np.concatenate([composer.batch(64).audio.max((1, 2)) for _ in range(4)])
        return float((heard == 0.5).mean())

    assert 0.2 < share(0.0) < 0.45
    assert 0.55 < share(1.0) < 0.9


def test_a_quieter_event_is_named_where_it_alone_is_seen() -> None:
    pictures, takes = pools()
    batch = Composer(pictures, takes, only("beneath"), 3).batch(100)
    named = batch.label != BACKGROUND
    assert 0.1 < named.mean() < 0.7
    rows, seconds = np.nonzero(named)
    assert (batch.visual[rows, seconds, 0, 0, len(SEEN) + batch.label[named]] > 0.5).all()
    assert (batch.audio[rows, seconds, batch.label[named]] > 0.8).all()
    louder = [set(np.flatnonzero((a[:, :BACKGROUND] > 0.8).any(0))) for a in batch.audio]
    assert np.mean([len(heard) > 1 for heard in louder]) > 0.9


@pytest.mark.parametrize("plan", ["heard", "wrong", "both", "seen"])
def test_what_is_heard_beneath_is_not_in_the_picture_unnamed(plan: str) -> None:
    batch = Composer(*pools(), only(plan), 5).batch(300)
    heard = (batch.audio[..., :BACKGROUND] > 0.8) & (batch.visual_mask & batch.audio_mask)[..., None]
    seen = batch.visual[:, :, 0, 0, len(SEEN) : len(SEEN) + BACKGROUND] > 0.8
    both = (heard & seen)[..., [k for k in range(BACKGROUND) if k not in (*SPEECH, *PLUCKED)]].any(-1)
    assert (batch.label[both] != BACKGROUND).all()
    people = (heard[..., SPEECH] & seen[..., SPEECH]).any(-1)
    assert (batch.label[people] != BACKGROUND).all()


def test_slips_change_a_voice_for_less_than_the_whole_and_nothing_else() -> None:
    rng = np.random.default_rng(3)
    man, woman = SPEECH
    slipped = []
    for _ in range(50):
        audio = np.full((10, len(HEARD) + len(EVENT_NAMES)), 0.1, np.float32)
        audio[:, [man, len(HEARD) + man]] = 0.9
        slip_voices(audio, rng)
        changed = audio[:, woman] > 0.8
        np.testing.assert_array_equal(changed, audio[:, man] < 0.2)
        np.testing.assert_array_equal(changed, audio[:, len(HEARD) + woman] > 0.8)
        assert audio.sum() == pytest.approx(0.1 * audio.size + 20 * 0.8, rel=1e-4)
        slipped.append(changed.mean())
    assert 0.1 < np.mean(slipped) < 0.4


def test_a_mimic_is_heard_more_than_the_event_it_sounds_like() -> None:
    rng = np.random.default_rng(4)
    cry, laughter = EVENT_NAMES.index("Baby cry, infant cry"), HEARD.index("laughter")
    heard = 0
    for _ in range(30):
        audio = np.zeros((10, len(HEARD) + len(EVENT_NAMES)), np.float32)
        mimic(audio, cry, rng)
        loud = audio[:, laughter] > 0
        heard += loud.sum()
        assert (audio[loud, laughter] >= 0.5).all()
        assert audio[loud, cry].mean() < audio[loud, laughter].mean() if loud.any() else True
        mimic(before := audio.copy(), BARK, rng)
        np.testing.assert_array_equal(before, audio)  # barks have no mimic
    assert heard > 20
