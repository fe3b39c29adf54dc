"""Probes, packs, tails and joints of taught classes, without any command."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from avel_live.model.errors import ModelFileError
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.tails import normal_tail
from avel_live.model.teach import bank, concepts
from avel_live.model.teach.demands import between, demanded, floor_of
from avel_live.model.teach.judge import AT_THRESHOLD, FLOOR, check_fits, join, log_odds, probability
from avel_live.model.teach.lesson import Everything, Seconds, teach, wilson
from avel_live.model.teach.pack import Card, Pack, load, save
from avel_live.model.teach.probe import Probe, both, centre, fit_probe
from avel_live.model.teach.senses import Sensed, Senses, sense_digest
from avel_live.realtime.events import DecoderConfig
from avel_live.realtime.events.fusion import LookAccumulator

CARD = Card(
    id="0123abcd",
    name="Ring",
    made="2026-01-02T03:04:05+00:00",
    mode="heard",
    profile="lite",
    senses={"audio": "a" * 16},
    threshold=1.5,
    false_alarms_per_hour=1 / 24,
    examples=["a.mkv"],
    found=1,
    biases={"audio": -2.0},
)


def pack(**changes: object) -> Pack:
    probe = Probe(np.zeros(8, np.float32), np.ones(8, np.float32), -2.0)
    return Pack(replace(CARD, **changes), {"audio": probe}, {"of": np.zeros(3, np.uint8)})  # type: ignore[arg-type]


def cloud(middle: int, count: int, seed: int, width: int = 16) -> np.ndarray:
    """Non-negative vectors that are large in one place."""
    rng = np.random.default_rng(seed)
    made = rng.gamma(1.0, 0.3, (count, width))
    made[:, middle] += rng.uniform(1, 3, count)
    return made.astype(np.float32)


# Probes ------------------------------------------------------------------------------------------------


def test_a_probe_tells_what_it_was_shown_from_what_it_was_not() -> None:
    negative = np.concatenate([cloud(k, 40, k) for k in range(1, 6)])
    probe = fit_probe(cloud(0, 6, 7), np.ones(6), negative, centre(negative))
    unseen, others = (
        probe(cloud(0, 50, 8)),
        probe(np.concatenate([cloud(k, 20, 20 + k) for k in range(1, 6)])),
    )
    assert (unseen[:, None] > others).mean() > 0.98


def test_the_probe_stands_where_its_loss_is_least() -> None:
    """Against a plain descent on the same loss, in all directions."""
    negative = np.concatenate([cloud(k, 20, k) for k in range(1, 4)])
    positive, mean = cloud(0, 4, 7), centre(negative)
    probe = fit_probe(positive, np.ones(4), negative, mean, strength=0.01)

    def loss(weight: np.ndarray, bias: float) -> float:
        shown = Probe(mean, weight.astype(np.float32), bias)
        pos, neg = shown(positive), shown(negative)
        return float(
            np.logaddexp(0, -pos).mean() / 2 + np.logaddexp(0, neg).mean() / 2 + 0.01 * (weight**2).sum()
        )

    least = loss(probe.weight.astype(np.float64), probe.bias)
    rng = np.random.default_rng(0)
    for _ in range(50):
        step = 0.01 * rng.normal(size=16)
        assert loss(probe.weight + step, probe.bias + 0.01 * rng.normal()) > least - 1e-7


def test_two_senses_that_agree_are_a_product_of_probabilities() -> None:
    a, b = np.random.default_rng(0).normal(0, 4, (2, 200))
    p = 1 / (1 + np.exp(-a)) / (1 + np.exp(-b))
    assert both(a, b) == pytest.approx(np.log(p / (1 - p)), abs=1e-6)
    assert both(np.array([800.0, -800.0]), np.array([800.0, 800.0]))[1] == pytest.approx(-800)


def test_the_tail_keeps_a_rate_that_was_never_seen() -> None:
    rng = np.random.default_rng(0)
    levels = [normal_tail(rng.normal(size=600), 1 / 5000) for _ in range(200)]
    assert np.mean(levels) == pytest.approx(3.54, abs=0.15)  # of a normal distribution, from tables


def test_wilson_agrees_with_the_textbook() -> None:
    assert wilson(9, 10) == pytest.approx((0.5958, 0.9821), abs=5e-4)
    assert wilson(0, 5) == pytest.approx((0, 0.4345), abs=5e-4)


# Lessons -----------------------------------------------------------------------------------------------


def seconds(rows: np.ndarray, of: np.ndarray) -> Seconds:
    has = np.ones(len(rows), bool)
    nothing = np.zeros((len(rows), 1), np.float32)
    return Seconds({"audio": rows, "visual": nothing}, {"audio": has, "visual": ~has}, of, ~has)


def nobody() -> Seconds:
    return seconds(np.zeros((0, 16), np.float32), np.zeros(0, np.int64))


def test_a_lesson_judges_every_example_by_the_others_only() -> None:
    other = Everything({"audio": np.concatenate([cloud(k, 60, k) for k in range(1, 8)])}, nobody())
    examples = seconds(np.concatenate([cloud(0, 10, 50), cloud(9, 2, 51)]), np.arange(12) // 2)
    lesson = teach(examples, [0, 1, 2, 3, 4, 5], other, "heard", 1.0)
    assert lesson.found[:5].all()
    assert not lesson.found[5], "the one example of another kind is led to by none of the others"
    assert lesson.recall[0] == pytest.approx(5 / 6)
    assert lesson.apart["audio"] > 0.8


def test_examples_like_the_background_are_not_found() -> None:
    other = Everything({"audio": np.concatenate([cloud(k, 60, k) for k in range(8)])}, nobody())
    examples = seconds(np.concatenate([cloud(k, 2, 70 + k) for k in range(6)]), np.arange(12) // 2)
    lesson = teach(examples, list(range(6)), other, "heard", 1 / 24)
    assert lesson.recall[0] < 0.35


def test_seen_and_heard_asks_each_sense_for_itself() -> None:
    """A very sure ear does not stand for an eye that sees hardly anything: floors, beside the product."""
    bank = {one: np.concatenate([cloud(k, 60, k) for k in range(1, 8)]) for one in ("audio", "visual")}
    none = np.zeros((0, 16), np.float32)
    no = np.zeros(0, bool)
    own = Seconds({"audio": none, "visual": none}, {"audio": no, "visual": no}, np.zeros(0, np.int64), no)
    other = Everything(bank, own)  # type: ignore[arg-type]
    rows, here = cloud(0, 10, 50), np.ones(10, bool)
    examples = Seconds(
        {"audio": rows, "visual": cloud(0, 10, 51)},
        {"audio": here, "visual": here},
        np.arange(10) // 2,
        ~here,
    )
    lesson = teach(examples, list(range(5)), other, "both", 1.0)
    assert lesson.recall[0] >= 0.8
    assert set(lesson.floors) == {"audio", "visual"}
    for one, probe in lesson.probes.items():
        share = (probe(bank[one]) >= lesson.floors[one]).mean()
        assert 0.0 < share <= 0.04, "some two of a hundred seconds of background say as much"
    each = {"audio": np.array([9.0, 9.0]), "visual": np.array([lesson.floors["visual"] - 0.5, 3.0])}
    told = demanded(both(each["audio"], each["visual"]), each, lesson.floors, lesson.threshold)
    assert told[0] == pytest.approx(lesson.threshold - 0.5)
    assert told[1] > lesson.threshold


def test_what_is_akin_to_a_class_does_not_raise_its_floor() -> None:
    """What ships holds instruments, and a saxophone that is taught need not be told from each of them."""
    plain = np.random.default_rng(0).normal(size=2000)
    akin = np.where(np.arange(2000) < 80, 6.0, plain)
    none = np.zeros(0)
    assert floor_of(plain, none) == pytest.approx(2.17, abs=0.2)
    assert np.quantile(akin, 0.985) == 6.0
    assert floor_of(akin, none) < 3.5
    assert floor_of(none, plain) == floor_of(plain, none)


def test_a_pack_asks_what_its_lesson_asked(tmp_path: Path) -> None:
    probe = Probe(np.zeros(4, np.float32), np.ones(4, np.float32), 0.0)
    floors = {"audio": -1.0, "visual": 0.5}
    card = replace(
        CARD, mode="both", senses={"audio": "a" * 16, "visual": "b" * 16}, threshold=-2.0, floors=floors,
        biases={"audio": 2.0, "visual": -0.25},
    )  # fmt: skip
    probes = {"audio": replace(probe, bias=2.0), "visual": replace(probe, bias=-0.25)}
    save(Pack(card, probes), tmp_path / "x.avel-class")  # type: ignore[arg-type]
    kept = load(tmp_path / "x.avel-class")
    assert kept.card.floors == floors
    nothing = np.zeros((1, 4), np.float32)
    sensed = Sensed(nothing, np.zeros((1, 0), np.float32))
    # The picture is 0.75 below what is asked of it, whatever the sound says.
    assert log_odds(kept, {"audio": sensed, "visual": sensed}) == pytest.approx([-2.75], abs=1e-6)
    free = Pack(replace(kept.card, floors={}), kept.probes)
    assert log_odds(free, {"audio": sensed, "visual": sensed})[0] > -2.0


# Beside the shipped classes ----------------------------------------------------------------------------


def test_where_no_taught_class_speaks_nothing_changes_in_any_bit() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(29), 10).astype(np.float32)
    silent = join(p, np.zeros((10, 3), np.float32))
    assert silent.shape == (10, 32)
    assert np.array_equal(np.delete(silent, [28, 29, 30], axis=1), p)
    loud = join(p, np.full((10, 3), 0.6, np.float32))
    assert loud.sum(axis=1) == pytest.approx(np.ones(10), abs=1e-5)
    assert (loud[:, 28:31] > 0.3).all()


@pytest.mark.parametrize("pool", ["log", "linear"])
@pytest.mark.parametrize("taught", [1, 3, 8])
def test_looks_are_fused_as_if_silent_classes_were_not_there(pool: str, taught: int) -> None:
    names = tuple(f"c{k}" for k in range(28))
    plain = LookAccumulator(DecoderConfig(pool=pool, labels=(*names, "background")))  # type: ignore[arg-type]
    more = (*names, *(f"t{k}" for k in range(taught)), "background")
    beside = LookAccumulator(DecoderConfig(pool=pool, labels=more, taught=taught))  # type: ignore[arg-type]
    rng = np.random.default_rng(taught)
    for look in range(5):
        p = rng.dirichlet(np.full(29, 0.1), 1).astype(np.float32)
        plain.add(7, p[0], 0.3 + look / 10)
        beside.add(7, join(p, np.zeros((1, taught), np.float32))[0], 0.3 + look / 10)
    got = beside.take(7).probabilities
    assert np.array_equal(np.delete(got, range(28, 28 + taught)), plain.take(7).probabilities)
    assert not got[28:-1].any()


def test_a_probability_is_that_of_the_threshold_at_the_threshold_and_nothing_far_below() -> None:
    told = probability(pack(), np.array([1.5, 1.5 - 5, 1.5 + 5]))
    assert told[0] == pytest.approx(AT_THRESHOLD)
    assert told[1] == 0
    assert told[2] > 0.99
    assert FLOOR > 0


# Packs -------------------------------------------------------------------------------------------------


def test_a_pack_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "p.avel-class"
    save(pack(name="Türklingel 門"), path)
    again = load(path)
    assert again.card == replace(CARD, name="Türklingel 門")
    assert np.array_equal(again.probes["audio"].weight, np.ones(8))
    assert again.kept["of"].shape == (3,)
    assert again.renamed(" our  bell ").card == replace(CARD, name="our bell")


def rewritten(path: Path, **changes: object) -> None:
    """The same file with other metadata."""
    from safetensors.numpy import save_file

    save(pack(), path)
    tree = {"version": 1, **CARD.__dict__, **changes}
    arrays = {"audio.weight": np.ones(8, np.float32), "audio.mean": np.zeros(8, np.float32)}
    save_file(arrays, path, {"avel_taught": json.dumps(tree)})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 2}, "expected version 1, got 2"),
        ({"threshold": math.nan}, "damaged"),
        ({"mode": "smelt"}, "damaged"),
        ({"mode": "both"}, "damaged"),
        ({"id": "../../x"}, "damaged"),
        ({"name": "a;b"}, "class name"),
        ({"senses": {}}, "damaged"),
    ],
)
def test_a_pack_that_makes_no_sense_is_refused(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    path = tmp_path / "p.avel-class"
    rewritten(path, **changes)
    with pytest.raises(ModelFileError, match=says) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_what_is_no_pack_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.avel-class"
    save(pack(), path)
    whole = path.read_bytes()
    for content in (b"", b"no pack at all", whole[: len(whole) // 2], whole[:20] + b"\xff" * 40 + whole[60:]):
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match="taught class"):
            load(path)
    with pytest.raises(ModelFileError, match="can't be read"):
        load(tmp_path / "none.avel-class")
    with pytest.raises(ModelFileError, match="but no taught class"):
        load(bank.FILE)


def test_a_pack_of_other_networks_is_refused() -> None:
    check_fits(pack(), {"audio": "a" * 16}, "lite")
    with pytest.raises(ModelFileError, match=r"taught with the ear of profile lite .* use --profile lite"):
        check_fits(pack(), {"audio": "b" * 16}, "lite-yamnet")


# Senses ------------------------------------------------------------------------------------------------


def test_the_cut_graphs_give_what_the_networks_have_inside() -> None:
    import torch
    from avel_live.model.backbones.audio_cnn import load_audio_cnn
    from avel_live.model.backbones.efficientnet_lite import load_efficientnet_lite0
    from avel_live.model.logmel import patch

    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, 224, 224, 3), np.uint8)
    sound = rng.normal(0, 0.1, 16_000).astype(np.float32)
    senses = Senses(EngineOptions())
    with torch.inference_mode():
        eye, ear = load_efficientnet_lite0(), load_audio_cnn()
        pooled = eye(torch.from_numpy(frames)).mean(dim=(1, 2))
        embedding = ear(torch.from_numpy(patch(sound)[None]))
        seen, heard = senses.see(frames), senses.hear(sound)
        assert seen.embedding == pytest.approx(pooled.numpy(), abs=2e-3)
        assert seen.logits == pytest.approx(eye._fc(pooled).numpy(), abs=2e-2)
        assert heard.embedding == pytest.approx(embedding.numpy(), abs=2e-3)
        assert heard.logits == pytest.approx(ear.audioset(embedding).numpy(), abs=2e-2)
    again = senses.classified("audio", heard.embedding)
    assert again.logits == pytest.approx(heard.logits, abs=1e-3)


def test_what_ships_as_background_is_of_the_networks_that_ship() -> None:
    for profile, sense, width in (("lite", "visual", 1280), ("lite", "audio", 256), ("full", "visual", 1280)):
        found = bank.shipped(sense_digest(EngineOptions(profile), sense))  # type: ignore[arg-type]
        assert found is not None, f"made of other weights than {profile}'s; see bank_maker"
        embedding, kind = found
        assert embedding.shape == (len(kind), width)
        assert len(kind) > 200
        assert 0.4 < (kind == 28).mean() < 0.8
    assert bank.FILE.stat().st_size < 1_300_000


# Concepts ----------------------------------------------------------------------------------------------


def test_concepts_are_found_by_word() -> None:
    assert len(concepts.names("audio")) == 521
    assert len(concepts.names("visual")) == 1000
    assert concepts.names("audio")[76] == "Cat"  # as `audio_concepts` numbers them
    assert concepts.names("visual")[420] == "banjo"
    said = [(c.sense, c.name) for c in concepts.search("sheep")]
    assert ("audio", "Sheep") in said
    assert any(sense == "visual" and "sheep" in name for sense, name in said)
    assert concepts.search("qqqq") == []


def test_lists_of_concepts_may_hold_names_with_commas() -> None:
    names = concepts.names("audio")
    text = "Baby cry, infant cry, Bark,cat"
    assert [names[k] for k in concepts.chosen("audio", text)] == ["Baby cry, infant cry", "Bark", "Cat"]
    with pytest.raises(ModelFileError, match="AudioSet has no class 'Barc'; did you mean bark"):
        concepts.chosen("audio", "Barc")


def test_many_examples_take_less_of_the_room_above_the_budget() -> None:
    """A threshold that rose with every example would find less the more it is taught."""
    found = [between(-4.0, np.full(count, 6.0)) for count in (3, 10, 40)]
    assert found == pytest.approx([1.0, 1.0, -1.5])
    assert between(-4.0, np.full(5, -9.0)) == -4.0
