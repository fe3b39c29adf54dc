"""The network of men's and women's voices, from its Keras file to the weights that ship.

The published network is taken as it is, its normalisations folded into the layers before them. What is fitted
here is how its 24 bands are read off the 64 of the profiles' front end: powers are sums of powers, so that
non-negative least squares on relative errors find the weights, from seconds of all that may be learnt from.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from ...backbones.voices import VOICE_BANDS, Voices
from ...errors import ModelFileError, first_line
from ...logmel import FFT, HOP, LOG_OFFSET, PATCH_SAMPLES, WINDOW, hertz_to_mel, log_mel
from ...sound import SAMPLE_RATE
from .audio_data import SoundBank

if TYPE_CHECKING:
    from torch import Tensor

KERAS: Final = Path("voice_sex") / "keras_male_female_cnn.hdf5"
"""Of the data folder; from PyPI's inaSpeechSegmenter 0.6.8."""
_LOW_HZ: Final = 100.0
_HIGH_HZ: Final = 8_000.0
_PRE_EMPHASIS: Final = 0.97
_NORM_EPSILON: Final = 1e-3
SECONDS: Final = 500
"""To fit the bands to."""
_EVERY: Final = 6
"""Of the frames of a second, one in so many is fitted to: neighbours overlap."""


def build_voices(keras: Path, bank: SoundBank, seed: int) -> Voices:
    """The published network behind our front end, in eval mode.

    Args:
        keras: its HDF5 file.
        bank: sounds to fit the bands to; only those that may be trained on are used.
        seed: of which seconds.

    Raises:
        ModelFileError: the file is damaged, or another network's.

    """
    network = Voices()
    fill(network, keras)
    rng = np.random.default_rng((seed, 24))
    waves = np.stack([_second(bank, rng) for _ in range(SECONDS)])
    with torch.no_grad():
        network.bands.weight.copy_(torch.from_numpy(fit_bands(waves)))
    return network.eval()


def power_bands(waves: NDArray[np.float32]) -> NDArray[np.float64]:
    """[..., S] sound at 16 kHz → [..., F, 24]: what the network was made for, before the logarithm.

    Frames of 25 ms every 10 ms, pre-emphasised each by itself, a symmetric Hann window, power of an FFT of
    512, triangles of equal area between 100 Hz and 8 kHz on the mel scale.
    """
    frames = np.lib.stride_tricks.sliding_window_view(waves.astype(np.float64), WINDOW, axis=-1)
    frames = frames[..., ::HOP, :]
    before = np.concatenate([frames[..., :1], frames[..., :-1]], axis=-1)
    spectrum = np.fft.rfft((frames - _PRE_EMPHASIS * before) * np.hanning(WINDOW), n=FFT, axis=-1)
    bands: NDArray[np.float64] = np.abs(spectrum) ** 2 @ _triangles()
    return bands


def fit_bands(waves: NDArray[np.float32]) -> NDArray[np.float32]:
    """[N, 15600] seconds → [24, 64] weights, ≥ 0: powers of our bands to powers of theirs.

    Only relations between bands matter to the network, so that the least row is made to sum to 1.
    """
    from scipy.optimize import nnls

    wanted = np.concatenate([power_bands(wave)[::_EVERY] for wave in waves]) + 1e-12
    magnitude = np.concatenate([np.exp(log_mel(wave)[::_EVERY]) for wave in waves]) - LOG_OFFSET
    ours = np.maximum(magnitude, 1e-4).astype(np.float64) ** 2
    one = np.ones(len(wanted))
    rows = np.stack([nnls(ours / wanted[:, [band]], one)[0] for band in range(VOICE_BANDS)])
    scaled: NDArray[np.float32] = (rows / rows.sum(axis=1).min()).astype(np.float32)
    return scaled


def _triangles() -> NDArray[np.float64]:
    """[257, 24]."""
    ends = float(hertz_to_mel(_LOW_HZ)), float(hertz_to_mel(_HIGH_HZ))
    edges = 700.0 * np.expm1(np.linspace(*ends, VOICE_BANDS + 2) / 1127.0)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    hertz = np.linspace(0.0, SAMPLE_RATE / 2, FFT // 2 + 1)[:, None]
    sides = np.minimum((hertz - low) / (centre - low), (high - hertz) / (high - centre))
    triangles: NDArray[np.float64] = np.maximum(0.0, sides) * 2.0 / (high - low)
    return triangles


def _second(bank: SoundBank, rng: np.random.Generator) -> NDArray[np.float32]:
    """A second of any sound that may be learnt from, at any level, in some noise: [15600]."""
    allowed = [index for index, sound in enumerate(bank.sounds) if sound.trainable]
    wave = bank.wave(allowed[int(rng.integers(len(allowed)))])
    wave = np.pad(wave, (0, max(0, PATCH_SAMPLES - len(wave))))
    start = int(rng.integers(len(wave) - PATCH_SAMPLES + 1))
    wave = wave[start : start + PATCH_SAMPLES]
    loud = 10 ** (-rng.uniform(15.0, 40.0) / 20) / (float(np.sqrt(np.mean(wave**2))) + 1e-9)
    hiss = rng.normal(0.0, 10 ** (-rng.uniform(60.0, 80.0) / 20), PATCH_SAMPLES)
    return np.clip(wave * loud + hiss, -1.0, 1.0).astype(np.float32)


def fill(network: Voices, keras: Path) -> None:
    """Give a network all of its weights but those of the bands, from the Keras file.

    Raises:
        ModelFileError: the file is damaged, or another network's.

    """
    import h5py

    try:
        with h5py.File(keras) as file, torch.no_grad():
            kept = file["model_weights"]
            for number, layer in enumerate(network.convolutions, 1):
                _take(layer, kept, f"conv2d_{number}", f"batch_normalization_{number}")
            for number, layer in enumerate(network.dense, 1):
                _take(layer, kept, f"dense_{number}", f"batch_normalization_{number + 5}")
            weight, bias = _kernel(kept, "dense_5")
            network.odds.weight.copy_((weight[0] - weight[1])[None])
            network.odds.bias.copy_((bias[0] - bias[1])[None])
    except (OSError, KeyError, IndexError, RuntimeError) as error:
        raise ModelFileError(
            f"{keras}: expected inaSpeechSegmenter 0.6.8's network ({first_line(error)})"
        ) from error


def _take(layer: Any, kept: Any, name: str, norm: str) -> None:
    """A layer's weights with the normalisation that follows it."""
    weight, bias = _kernel(kept, name)
    gamma, beta, mean, variance = (
        _numbers(kept, norm, part) for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    scale = gamma / torch.sqrt(variance + _NORM_EPSILON)
    layer.weight.copy_(weight * scale.reshape(-1, *[1] * (weight.dim() - 1)))
    layer.bias.copy_(bias * scale + beta - mean * scale)


def _kernel(kept: Any, name: str) -> tuple[Tensor, Tensor]:
    """Weights and bias as torch lays them out."""
    kernel, bias = (_numbers(kept, name, part) for part in ("kernel", "bias"))
    return kernel.permute(3, 2, 0, 1) if kernel.dim() == 4 else kernel.T, bias


def _numbers(kept: Any, name: str, part: str) -> Tensor:
    """A tensor of a layer, float64; Keras keeps them one group deeper, under a name of its own."""
    group = kept[name]
    return torch.from_numpy(np.asarray(group[next(iter(group))][f"{part}:0"], np.float64))
