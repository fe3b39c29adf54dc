"""Men's and women's voices: the published network is taken as it is, behind our front end, and ships so."""

from __future__ import annotations

import wave
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from avel_live.model.backbones.audio_cnn import AudioCNN
from avel_live.model.backbones.audio_evidence import AudioEvidence
from avel_live.model.backbones.voices import VOICES, Voices, load_voices
from avel_live.model.errors import ModelFileError
from avel_live.model.files import SHIPPED
from avel_live.model.labels import EVENT_NAMES
from avel_live.model.logmel import PATCH_SAMPLES, log_mel
from avel_live.model.training.lite import run, voices
from avel_live.model.training.lite.audio_data import Sound, SoundBank, decode
from avel_live.model.training.lite.manifests import read_manifest
from avel_live.model.training.lite.voices import KERAS, build_voices, fill, fit_bands, power_bands
from support.shared import DATA, needs_data
from torch.nn import functional as F

MAN, WOMAN = (EVENT_NAMES.index(name) for name in EVENT_NAMES if "speech" in name)
SHAPES = [
    (1, 64),
    (64, 64),
    (64, 128),
    (128, 128),
    (128, 256),
    (256, 512),
    (512, 512),
    (512, 512),
    (512, 512),
]


def noises(count: int, seed: int) -> np.ndarray:
    """Seconds of noise, each of another colour and level: [count, 15600]."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.normal(size=(count, PATCH_SAMPLES)), axis=1)
    shape = np.cumsum(rng.normal(0, 0.05, spectrum.shape), axis=1)
    waves = np.fft.irfft(spectrum * np.exp(shape - shape.max(1, keepdims=True)), n=PATCH_SAMPLES, axis=1)
    waves *= 10 ** (rng.uniform(-30, -15, (count, 1)) / 20) / waves.std(1, keepdims=True)
    return np.clip(waves, -1, 1).astype(np.float32)


@pytest.fixture
def few(monkeypatch):
    """Bands fitted to fewer seconds than those of the weights that ship."""
    monkeypatch.setattr(voices, "SECONDS", 20)


def small_bank() -> SoundBank:
    waves = noises(4, 0)
    sounds = tuple(
        Sound(f"{n}", 1, "a", "a", "CC0", True, "", n * PATCH_SAMPLES, PATCH_SAMPLES) for n in range(4)
    )
    return SoundBank(sounds, (waves.ravel() * 32767).astype(np.int16))


def keras_file(path: Path) -> dict[str, np.ndarray]:
    """A network of the published shape with weights of chance, as Keras keeps it."""
    rng = np.random.default_rng(1)
    kept = {}
    for number, (inputs, outputs) in enumerate(SHAPES, 1):
        name = f"conv2d_{number}" if number <= 5 else f"dense_{number - 5}"
        area = (3, 3) if number <= 5 else ()
        kernel = rng.normal(0, (2 / inputs / (9 if area else 1)) ** 0.5, (*area, inputs, outputs))
        kept |= {f"{name}/kernel": kernel, f"{name}/bias": rng.normal(0, 0.1, outputs)}
        norm = {"gamma": rng.uniform(0.5, 1.5, outputs), "beta": rng.normal(0, 0.1, outputs)}
        norm |= {"moving_mean": rng.normal(0, 0.1, outputs), "moving_variance": rng.uniform(0.5, 2, outputs)}
        kept |= {f"batch_normalization_{number}/{part}": value for part, value in norm.items()}
    kept |= {"dense_5/kernel": rng.normal(0, 0.05, (512, 2)), "dense_5/bias": rng.normal(0, 0.1, 2)}
    with h5py.File(path, "w") as file:
        for name, value in kept.items():
            layer, part = name.split("/")
            file[f"model_weights/{layer}/{layer}_2/{part}:0"] = value.astype(np.float32)
    return kept


def as_keras_computes(kept: dict[str, np.ndarray], patch: torch.Tensor) -> torch.Tensor:
    """The published network, layer by layer: [N, 68, 24] → [N, 2] before the softmax."""
    weights = {name: torch.from_numpy(value).float() for name, value in kept.items()}
    x = patch[:, None]
    for number in range(1, 10):
        name = f"conv2d_{number}" if number <= 5 else f"dense_{number - 5}"
        kernel, bias = weights[f"{name}/kernel"], weights[f"{name}/bias"]
        x = F.conv2d(x, kernel.permute(3, 2, 0, 1), bias) if number <= 5 else F.linear(x, kernel.T, bias)
        names = ("moving_mean", "moving_variance", "gamma", "beta")
        norm = [weights[f"batch_normalization_{number}/{part}"] for part in names]
        x = F.relu(F.batch_norm(x, *norm, eps=1e-3))
        if number in (2, 4):
            x = F.max_pool2d(x, (1, 2) if number == 2 else (2, 2))
        if number == 5:
            x = F.max_pool2d(x, (28, 1)).flatten(1)
    return F.linear(x, weights["dense_5/kernel"].T, weights["dense_5/bias"])


def test_the_published_network_is_taken_as_it_is(tmp_path, monkeypatch, few):
    kept = keras_file(tmp_path / "voices.hdf5")
    network = build_voices(tmp_path / "voices.hdf5", small_bank(), seed=0)
    monkeypatch.setattr(network, "spectrum", lambda patches: patches)
    patches = torch.randn(3, 68, 24)
    with torch.inference_mode():
        woman, man = as_keras_computes(kept, patches).T
        torch.testing.assert_close(network(patches), woman - man, atol=1e-3, rtol=1e-3)
        assert float((woman - man).std()) > 0.01


def test_its_bands_are_read_off_ours():
    rows = fit_bands(noises(40, 2))
    assert (rows >= 0).all()
    waves = noises(10, 3)
    network = Voices()
    with torch.no_grad():
        network.bands.weight.copy_(torch.from_numpy(rows))
        read = network.spectrum(torch.from_numpy(log_mel(waves))).numpy()
    meant = np.log(power_bands(waves))
    meant = (meant - meant.mean((1, 2), keepdims=True)) / meant.std((1, 2), keepdims=True)
    assert np.sqrt(np.mean((read - meant) ** 2)) < 0.2


def test_a_louder_voice_is_the_same_voice():
    """Only relations between bands and frames are looked at; where all is silent the answer is a number."""
    patches = torch.from_numpy(log_mel(np.concatenate([noises(1, 5), 0.25 * noises(1, 5)])))
    network = load_voices()
    with torch.inference_mode():
        spectrum = network.spectrum(patches)
        silent = network(torch.full((1, 96, 64), float(np.log(0.01))))
    assert float((spectrum[0] - spectrum[1]).abs().max()) < 0.3
    assert bool(torch.isfinite(silent).all())


def test_who_speaks_the_voices_say_in_every_reading():
    ear, who = AudioCNN().eval(), load_voices()
    patches = torch.from_numpy(log_mel(noises(6, 7)))
    with torch.inference_mode():
        plain, told = AudioEvidence(ear).eval()(patches), AudioEvidence(ear, voices=who).eval()(patches)
        odds = who(patches)
    blocks = (0, told.shape[1] - len(EVENT_NAMES))
    for start in blocks:
        ahead = told[:, start + WOMAN] - told[:, start + MAN]
        assert torch.equal(ahead > 0, odds > 0)
    speech = [start + k for start in blocks for k in (MAN, WOMAN)]
    others = [k for k in range(told.shape[1]) if k not in speech]
    assert torch.equal(plain[:, others], told[:, others])


@pytest.mark.parametrize("content", [b"no weights", None], ids=["damaged", "another network's"])
def test_a_keras_file_that_is_not_it_is_named(content, tmp_path):
    path = tmp_path / "voices.hdf5"
    if content is None:
        with h5py.File(path, "w") as file:
            file["model_weights/conv2d_1/conv2d_1/kernel:0"] = np.zeros((3, 3, 1, 8))
    else:
        path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"voices\.hdf5: expected inaSpeechSegmenter"):
        build_voices(path, small_bank(), seed=0)


def test_training_makes_the_weights_where_the_network_is_and_once(tmp_path, few):
    """The stage of `avel train lite`, from sounds; without the network's file it does nothing."""
    audio = tmp_path / "data" / "audio"
    audio.mkdir(parents=True)
    rows = ["file\tclass\tsource\tlicence\ttrainable\tnote\tseconds"]
    for number, noise in enumerate(noises(3, 9)):
        with wave.open(str(audio / f"{number}.wav"), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes((noise * 32767).astype("<i2").tobytes())
        rows.append(f"{number}.wav\t_bg\tours\tCC0\tyes\t\t1")
    (audio / "MANIFEST.tsv").write_text("\n".join(rows))
    settings = run.LiteSettings(tmp_path / "data", tmp_path / "work", tmp_path / "out")
    settings.out.mkdir()
    run._voices(settings, lambda *_: None)
    assert not (settings.out / VOICES).exists()
    (settings.data / KERAS).parent.mkdir()
    keras_file(settings.data / KERAS)
    run._voices(settings, lambda *_: None)
    made = load_voices(settings.out / VOICES)
    assert bool((made.bands.weight >= 0).all())
    assert made.bands.weight.sum(1).min().item() == pytest.approx(1, abs=0.02)
    (settings.data / KERAS).write_bytes(b"gone")
    run._voices(settings, lambda *_: None)


@needs_data
def test_what_ships_is_the_published_network_and_knows_voices_it_never_heard():
    """Four recordings of each of our ten speakers, none of them known to it; `tests/bench/voices.py`."""
    shipped = load_voices()
    built = Voices()
    built.load_state_dict(shipped.state_dict())
    fill(built, DATA / KERAS)
    for name, value in built.state_dict().items():
        error = (value - shipped.state_dict()[name]).abs().max()
        assert float(error) <= float(value.abs().max()) / 100, name
    speakers: dict[tuple[str, str], list[str]] = {}
    for row in read_manifest(DATA / "audio"):
        if row["class"].endswith(" speech"):
            speakers.setdefault((row["class"], row["note"]), []).append(row["file"])
    assert len(speakers) == 10
    right = []
    for (kind, _), files in speakers.items():
        for file in files[:: len(files) // 4][:4]:
            sound = decode(DATA / "audio" / file).astype(np.float32) / 32768
            sound = np.pad(sound, (0, -len(sound) % PATCH_SAMPLES))
            seconds = sound.reshape(-1, PATCH_SAMPLES)[:4]
            with torch.inference_mode():
                odds = shipped(torch.from_numpy(log_mel(seconds))).mean()
            right.append(bool(odds > 0) == kind.startswith("Female"))
    assert len(right) == 40
    assert np.mean(right) >= 0.9


def test_it_is_small():
    assert (SHIPPED / VOICES).stat().st_size < 2.2e6
