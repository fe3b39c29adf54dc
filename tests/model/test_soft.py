"""Weak evidence that lasts is an event, a moment of it is none; nor is a pause, nor a near neighbour."""

from dataclasses import replace

import numpy as np
import pytest
from avel_live.model.backbones.audio_concepts import CONCEPTS as HEARD
from avel_live.model.backbones.visual_concepts import CONCEPTS as SEEN
from avel_live.model.labels import BACKGROUND, EVENT_NAMES
from avel_live.model.training.annotations import read_annotations
from avel_live.model.training.lite.audio_data import Sound, SoundBank
from avel_live.model.training.lite.compose import Composer
from avel_live.model.training.lite.hearing import almost_event
from avel_live.model.training.lite.material import UNSEEN, Batch, TakePool
from avel_live.model.training.lite.neighbours import NEIGHBOURS, near
from avel_live.model.training.lite.recipe import PLAIN, PLANS, RECIPE, Recipe
from avel_live.model.training.lite.soft import flicker, pause
from support.scenes import pools
from support.shared import DATA, needs_data

EVENT = 7  # any; its evidence is 0.9 where it is heard, 0.1 where it is not
RATE = 16_000


def scenes(plan: str, **parts: float) -> tuple[Batch, Composer]:
    """Scenes of one plan with some parts of the recipe."""
    recipe = replace(PLAIN, **{name: float(name == plan) for name in PLANS}, drop=0, lend=0, **parts)
    pictures, takes = pools()
    takes.faint[:] = False
    takes.near[np.flatnonzero(takes.kind == BACKGROUND)[0]] = EVENT
    takes.evidence[takes.near == EVENT] = 0.6
    composer = Composer(pictures, takes, recipe, 3)
    return composer.batch(200), composer


def known(batch: Batch) -> np.ndarray:
    return batch.visual_mask & batch.audio_mask


def test_weak_events_are_events_all_along() -> None:
    batch, _ = scenes("both", weak=1.0)
    rows, seconds = np.nonzero(batch.label != BACKGROUND)
    assert len(rows) > 800
    heard = batch.audio[rows, seconds, batch.label[rows, seconds]]
    assert (heard < 0.75).all()
    assert (heard > 0.35).all()
    full, _ = scenes("both")
    assert (batch.label[known(batch)] != BACKGROUND).mean() > (full.label[known(full)] != BACKGROUND).mean()


def test_of_takes_that_last_the_faintest_are_softened() -> None:
    _, composer = scenes("both", weak=1.0)
    clarity = composer.takes.clarity()
    clear = [clarity[composer._choose.of(EVENT)] for _ in range(100)]
    faint = [clarity[composer._choose.faint(EVENT)] for _ in range(100)]
    assert np.mean(faint) <= np.mean(clear)


def test_a_moment_of_weak_evidence_is_no_event() -> None:
    batch, _ = scenes("seen", brief=1.0, alike=0.0)
    assert (batch.label == BACKGROUND).all()
    seen = batch.visual[:, :, 0, 0, len(SEEN) : len(SEEN) + BACKGROUND] > 0.8
    weak = (batch.audio[..., :BACKGROUND] > 0.2) & (batch.audio[..., :BACKGROUND] < 0.8)
    weak &= seen.any(1, keepdims=True)
    seconds = weak.any(-1).sum(1)
    assert seconds.max() <= 3
    assert (seconds > 0).mean() > 0.3  # in the other half another event is heard


def test_a_flicker_needs_a_second_that_is_heard() -> None:
    audio = np.full((10, 4), 0.1, np.float32)
    flicker(audio, np.ones((10, 4), np.float16), np.zeros(10, np.bool_), np.random.default_rng(0))
    assert (audio == np.float32(0.1)).all()


@pytest.mark.parametrize("first", range(11))
def test_a_pause_lies_within_an_event_and_is_background(first: int) -> None:
    label = np.where(np.arange(10) < first, EVENT, BACKGROUND)
    audio = np.where(label == EVENT, 0.9, 0.1)[:, None].repeat(len(HEARD), 1).astype(np.float32)
    before = label.copy()
    pause(audio, label, np.full((10, len(HEARD)), 0.1), np.random.default_rng(first))
    silent = np.flatnonzero(label != before)
    assert (silent.size > 0) == (first > 2)
    if silent.size:
        assert silent.size <= 2
        assert 0 < silent.min() <= silent.max() < first - 1
        assert (audio[silent] < 0.45).all()
        assert (label[silent] == BACKGROUND).all()
    np.testing.assert_array_equal(np.delete(audio, silent, 0)[:, 0] > 0.5, np.delete(label, silent) == EVENT)


def test_pauses_are_composed_where_the_source_stays_in_view() -> None:
    def stops(batch: Batch) -> float:
        named = batch.label != BACKGROUND
        between = np.logical_or.accumulate(named, 1) & np.logical_or.accumulate(named[:, ::-1], 1)[:, ::-1]
        return float((between & ~named & known(batch)).sum())

    with_pauses, _ = scenes("both", pauses=1.0)
    without, _ = scenes("both")
    assert stops(with_pauses) > 1.1 * stops(without)
    seen = with_pauses.visual[:, :, 0, 0, len(SEEN) : len(SEEN) + BACKGROUND].max(-1) > 0.8
    assert seen.mean() > 0.5


def test_where_an_event_is_seen_what_is_almost_it_is_heard_and_nothing_is_named() -> None:
    batch, _ = scenes("near")
    assert (batch.label == BACKGROUND).all()
    assert (np.abs(batch.audio - 0.6) < 0.01).all()
    seen = batch.visual[:, :, 0, 0, len(SEEN) + EVENT] > 0.8
    assert seen.any(1).mean() > 0.6


def test_what_is_almost_an_event_is_no_other_nothing() -> None:
    _, composer = scenes("neither")
    drawn = {composer._choose.of(BACKGROUND) for _ in range(50)}
    assert (composer.takes.near[sorted(drawn)] == BACKGROUND).all()


def test_takes_of_neighbours_leave_other_scenes_as_they_were() -> None:
    pictures, takes = pools()
    with_near = TakePool(*(np.concatenate([x, x[:5]]) for x in vars(takes).values()))
    with_near.kind[-5:], with_near.near[-5:] = BACKGROUND, EVENT
    recipe = replace(RECIPE, near=0.0)
    first, second = (Composer(pictures, pool, recipe, 9).batch(40) for pool in (takes, with_near))
    np.testing.assert_array_equal(first.audio, second.audio)
    np.testing.assert_array_equal(first.label, second.label)


def test_without_neighbours_what_sounds_alike_is_heard() -> None:
    batch = Composer(*pools(), replace(Recipe(), **{name: float(name == "near") for name in PLANS}), 1).batch(
        8
    )
    assert (batch.label == BACKGROUND).all()


@needs_data
def test_aves_annotations_hold_no_pauses() -> None:
    rows = read_annotations(DATA / "ave" / "Annotations.txt")
    assert len(rows) == 4143
    assert len({(row.video, row.label) for row in rows}) == len(rows)  # one span of an event in a video


def test_neighbours_are_named_for_events_that_can_be_seen() -> None:
    assert {*NEIGHBOURS} <= {*EVENT_NAMES}
    assert not {*NEIGHBOURS} & {EVENT_NAMES[k] for k in UNSEEN}


def test_takes_of_neighbours_are_takes_of_nothing() -> None:
    rng = np.random.default_rng(0)
    second = rng.normal(0, 3_000, 2 * RATE).astype(np.int16)
    violin = EVENT_NAMES.index("Violin, fiddle")
    rows = [(violin, "x"), (BACKGROUND, "cello"), (BACKGROUND, "fridge"), (BACKGROUND, "cello, soft")]
    sounds = tuple(
        Sound(f"{k}-{n}", label, f"{n}", f"{n}", "CC0", True, note, n * len(second), len(second))
        for n, (label, note) in enumerate(rows)
        for k in range(3)
    )
    bank = SoundBank(sounds, np.concatenate([second] * len(rows)))
    assert [bank.sounds[i].note for i in near(bank, violin)] == ["cello"] * 3 + ["cello, soft"] * 3
    assert near(bank, BACKGROUND - 1) == []
    takes = almost_event(bank, violin, {*near(bank, violin)}, {6, 7, 8}, 2, (), seed=1)
    assert (takes.kind == BACKGROUND).all()
    assert (takes.near == violin).all()
    assert not takes.audible.any()
    assert takes.patches.astype(np.float32).std() > 0


def test_a_steady_camera_shows_one_view_for_as_long_as_a_subject_is_seen() -> None:
    pictures, takes = pools()
    stray = np.random.default_rng(0).uniform(0, 0.1, pictures.whole.shape)
    views = replace(pictures, whole=(pictures.whole + stray).astype(np.float16))

    def moved(recipe: Recipe) -> np.ndarray:
        """[B, 9]: how far what is seen in the whole picture moves from one second to the next."""
        batch = Composer(views, takes, recipe, 3).batch(40)
        whole = batch.visual[:, :, 0, 0, batch.visual.shape[-1] // 2 :]
        return np.abs(np.diff(whole, axis=1)).max(-1)

    still, shaky = moved(replace(PLAIN, steady=1.0)), moved(PLAIN)
    assert (still > 0.15).sum(1).max() <= 2  # it comes into view, and goes
    assert np.median(still) < 0.3 * np.median(shaky)
