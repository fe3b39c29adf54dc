"""The VGGish audio front end: 16 kHz mono sound to log-mel patches of 96 frames × 64 bands.

Constants are those of the published VGGish front end (Hershey et al. 2017, `vggish_params`). Pure
NumPy, so that the live path needs no torch: one second costs well under a millisecond of matrix work.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .sound import SAMPLE_RATE

WINDOW: Final = 400
"""STFT window, samples: 25 ms of a periodic Hann."""
HOP: Final = 160
"""STFT hop, samples: 10 ms."""
FFT: Final = 512
BANDS: Final = 64
LOW_HZ: Final = 125.0
HIGH_HZ: Final = 7_500.0
LOG_OFFSET: Final = 0.01
PATCH_FRAMES: Final = 96
PATCH_SAMPLES: Final = WINDOW + (PATCH_FRAMES - 1) * HOP
"""Samples that one patch looks at: 15,600, i.e. the first 0.975 s of its second."""


def hertz_to_mel(hertz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """HTK mel scale: 1127 ln(1 + f / 700)."""
    return np.asarray(1127.0 * np.log1p(np.asarray(hertz, dtype=np.float64) / 700.0))


@lru_cache(maxsize=1)
def mel_matrix() -> NDArray[np.float32]:
    """[257, 64] triangular weights, linear in *mel* on both flanks; the DC bin weighs nothing."""
    bins_mel = hertz_to_mel(np.linspace(0.0, SAMPLE_RATE / 2, FFT // 2 + 1))
    edges = np.linspace(float(hertz_to_mel(LOW_HZ)), float(hertz_to_mel(HIGH_HZ)), BANDS + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins_mel[:, None] - lower) / (centre - lower)
    falling = (upper - bins_mel[:, None]) / (upper - centre)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    weights[0] = 0.0
    return weights.astype(np.float32)


@lru_cache(maxsize=1)
def hann_window() -> NDArray[np.float32]:
    """[400] periodic Hann window."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log-mel spectrogram.

    Args:
        samples: [..., S] float32 in [-1, 1) at 16 kHz, S ≥ 400.

    Returns:
        [..., F, 64] float32 with F = 1 + (S − 400) // 160.

    Raises:
        ValueError: fewer than 400 samples.

    """
    if samples.shape[-1] < WINDOW:
        raise ValueError(f"log_mel needs at least {WINDOW} samples, got {samples.shape[-1]}")
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW, axis=-1)[..., ::HOP, :]
    magnitude = np.abs(np.fft.rfft(windows * hann_window(), n=FFT, axis=-1)).astype(np.float32)
    spectrogram: NDArray[np.float32] = np.log(magnitude @ mel_matrix() + np.float32(LOG_OFFSET))
    return spectrogram


def patch(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The one patch of a one-second segment, from its first 15,600 samples.

    Args:
        samples: [..., S] float32 at 16 kHz, S ≥ 15,600.

    Returns:
        [..., 96, 64] float32.

    """
    return log_mel(samples[..., :PATCH_SAMPLES])
