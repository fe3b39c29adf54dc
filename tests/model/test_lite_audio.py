"""The ear's training: mixing is deterministic, labels follow the rules, an interrupted training goes on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from avel_live.model.labels import BACKGROUND, EVENT_NAMES, label_index
from avel_live.model.logmel import PATCH_SAMPLES
from avel_live.model.training.lite import audio_augment as augment
from avel_live.model.training.lite import run
from avel_live.model.training.lite.audio_data import Sound, SoundBank
from avel_live.model.training.lite.audio_measure import accuracy, per_recording, source_folds
from avel_live.model.training.lite.audio_pool import Mixer, Pool
from avel_live.model.training.lite.audio_student import StudentConfig, event_targets, train_student
from avel_live.model.training.lite.reader import train_reader

RATE = 16_000


def make_bank() -> SoundBank:
    """Two sources of each of three classes and of background; one file that may not be trained on."""
    rng = np.random.default_rng(0)
    sounds, waves, start = [], [], 0
    for label in (2, 5, 10, BACKGROUND):
        for source in ("a", "b"):
            wave = (rng.normal(0, 3_000, RATE * 2)).astype(np.int16)
            trainable = (label, source) != (10, "b")
            name = f"{label}/{source}"
            sounds.append(Sound(name, label, source, source, "CC0", trainable, "", start, len(wave)))
            waves.append(wave)
            start += len(wave)
    return SoundBank(tuple(sounds), np.concatenate(waves))


def make_pool(rows: int = 96) -> Pool:
    rng = np.random.default_rng(1)
    labels = np.zeros((rows, BACKGROUND), np.uint8)
    labels[np.arange(rows), rng.integers(0, 3, rows)] = 1
    return Pool(
        rng.normal(-2, 1, (rows, 96, 64)).astype(np.float16),
        labels,
        np.stack([np.arange(rows) % 4, np.full(rows, -1)], 1).astype(np.int16),
        np.arange(rows, dtype=np.int16),
        rng.random((rows, 521)).astype(np.float16),
        rng.random((rows, 1024)).astype(np.float16),
    )


def test_mixing_is_deterministic_and_labelled() -> None:
    mixer = Mixer(make_bank())
    first = [mixer.draw(np.random.default_rng((3, n))) for n in range(40)]
    again = [mixer.draw(np.random.default_rng((3, n))) for n in range(40)]
    for (wave, labels, groups, main), (wave2, labels2, _, _) in zip(first, again, strict=True):
        np.testing.assert_array_equal(wave, wave2)
        np.testing.assert_array_equal(labels, labels2)
        assert wave.shape == (PATCH_SAMPLES,)
        assert np.isfinite(wave).all()
        assert np.abs(wave).max() <= 1.5
        if main >= 0:
            sound = mixer.bank.sounds[main]
            assert sound.trainable
            assert sound.label == BACKGROUND or labels[sound.label] == 1
            assert groups[0] == mixer.group_index[sound.group]
        else:
            assert not labels.any()


def test_a_raised_voice_keeps_its_formants() -> None:
    """A buzz at 120 Hz through a resonance at 700 Hz: pitch goes up by half, the resonance stays."""
    from scipy.signal import lfilter

    buzz = np.zeros(RATE)
    buzz[:: RATE // 120] = 1.0
    radius = 0.97
    filtered = lfilter([1.0], [1.0, -2 * radius * np.cos(2 * np.pi * 700 / RATE), radius**2], buzz)
    wave = (filtered / np.abs(filtered).max() * 0.5).astype("f4")
    raised = augment.raise_voice(wave, 1.5)
    spectrum = np.abs(np.fft.rfft(raised[2_000:10_000] * np.hanning(8_000)))
    hertz = np.fft.rfftfreq(8_000, 1 / RATE)
    assert hertz[spectrum.argmax()] == pytest.approx(700, abs=110)
    correlation = np.correlate(raised[4_000:6_000], raised[4_000:6_000], "full")[1_999:]
    lag = int(correlation[50:300].argmax()) + 50
    assert RATE / lag == pytest.approx(180, rel=0.06)


@pytest.mark.parametrize("seed", range(4))
def test_a_codec_keeps_the_length(seed: int) -> None:
    wave = (0.3 * np.sin(np.arange(PATCH_SAMPLES) / 9)).astype("f4")
    out = augment.codec(np.random.default_rng(seed), wave)
    assert out.shape == wave.shape
    assert augment.power(out) == pytest.approx(augment.power(wave), rel=0.5)


def test_thin_classes_are_taught_by_the_teacher() -> None:
    pool = make_pool()
    target, weight = event_targets(pool)
    truck, bell = label_index("Truck"), label_index("Church bell")
    assert target[:, truck].max() > 0
    np.testing.assert_array_equal(target[:, bell], pool.labels[:, bell] == 1)
    assert (weight == 1).all()


def test_a_reader_learns_from_the_sources_it_may_hear() -> None:
    pool = make_pool(3_000)
    pool.scores[:] = 0
    for event in range(3):  # each event moves dimensions of its own, but in group 3 those of the next
        rows = np.flatnonzero(pool.labels[:, event] == 1)
        first = 50 * np.where(pool.groups[rows, 0] == 3, (event + 1) % 3, event)
        pool.embedding[rows[:, None], first[:, None] + np.arange(50)] += 2
    mine = pool.groups[:, 0] != 3
    answers = []
    for left_out in ((3,), ()):
        reader = train_reader(pool.without(left_out))
        with torch.inference_mode():
            answers.append(reader(torch.from_numpy(pool.embedding.astype(np.float32))).numpy().argmax(1))
    truth = pool.labels.argmax(1)
    assert (answers[0] == truth)[mine].mean() > 0.95
    assert (answers[0] == truth)[~mine].mean() < 0.05
    assert (answers[1] == answers[0])[mine].mean() > 0.9
    first, again = (train_reader(pool.without((3,))).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_an_interrupted_training_goes_on_to_the_same_end(tmp_path: Path) -> None:
    pool, config = make_pool(), StudentConfig(epochs=2, batch=32)
    whole = train_student(pool, tmp_path / "whole", config)

    class Stop(Exception):  # noqa: N818
        pass

    def stop(share: float, _text: str) -> None:
        if share > 0.5:
            raise Stop

    with pytest.raises(Stop):
        train_student(pool, tmp_path / "cut", config, progress=stop)
    resumed = train_student(pool, tmp_path / "cut", config)
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, msg=name)


def test_the_averaged_network_is_normalised_by_what_it_sees_itself(tmp_path: Path) -> None:
    pool = make_pool()
    network = train_student(pool, tmp_path, StudentConfig(epochs=2, batch=32, average=0.9))
    norm = next(m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d))
    seen: list[torch.Tensor] = []
    norm.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        network(torch.from_numpy(pool.patches.astype(np.float32)))
    mean, spread = seen[0].mean((0, 2, 3)), seen[0].std((0, 2, 3))
    assert ((norm.running_mean - mean).abs() < 0.1 * spread).all()


def test_sounds_are_loaded_once_and_only_when_an_ear_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank, pool, loads = make_bank(), make_pool(), list[int]()

    def prepare(*_: object, **__: object) -> tuple[SoundBank, Pool, Pool]:
        loads.append(1)
        return bank, pool, pool

    monkeypatch.setattr(run, "prepare_pool", prepare)
    monkeypatch.setattr(run, "source_folds", lambda _bank: [frozenset({0}), frozenset({1, 2, 3})])
    config = StudentConfig(epochs=1, batch=16)
    settings = run.LiteSettings(tmp_path, tmp_path / "work", tmp_path / "out", student=config, fold=config)
    settings.out.mkdir()
    told: list[str] = []

    def ears() -> list[dict[str, torch.Tensor]]:
        sounds = run._Sounds(settings, lambda *_: None)
        folds = (None, 0, 1)
        return [run._ear(settings, sounds, f, lambda n, *_: told.append(n)).state_dict() for f in folds]

    whole, without_first, _ = ears()
    assert loads == [1]
    assert set(told) == {"lite_audio", "ear_without_0", "ear_without_1"}
    assert not torch.equal(whole["classify.weight"], without_first["classify.weight"])
    again = ears()
    assert loads == [1]
    assert all(torch.equal(again[0][name], whole[name]) for name in whole)


def test_folds_hold_out_every_group_once_and_accuracy_counts_recordings() -> None:
    bank = make_bank()
    folds = source_folds(bank, 2)
    assert sorted(g for fold in folds for g in fold) == [0, 1]
    values = np.zeros((len(bank.sounds) * 2, len(EVENT_NAMES)))
    values[:, 2] = 1.0  # everything is a bark
    answers = per_recording(np.repeat(np.arange(len(bank.sounds)), 2), values)
    found = accuracy(bank, answers)
    assert found.per_class["Bark"] == (1.0, 2)
    assert found.per_class["Frying (food)"] == (0.0, 2)
    assert "Frying (food)" not in found.fair
    assert found.macro() == pytest.approx(0.5)
