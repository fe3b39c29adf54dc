"""Sounds made of nothing but arithmetic."""

import numpy as np


def speech_like(rng: np.random.Generator, seconds: float = 1.0) -> np.ndarray:
    """Glottal pulses of a gliding pitch through three resonances, in syllables: [S] in [-1, 1]."""
    from scipy.signal import lfilter

    n = round(16_000 * seconds)
    t = np.arange(n) / 16_000
    pitch = 120 + 30 * np.sin(2 * np.pi * 1.3 * t)
    phase = np.cumsum(pitch) / 16_000
    sound = np.diff(np.floor(phase), prepend=0.0) + 0.01 * rng.standard_normal(n)
    for hertz, width in ((700, 90), (1220, 110), (2600, 160)):
        r = np.exp(-np.pi * width / 16_000)
        sound = lfilter([1 - r], [1, -2 * r * np.cos(2 * np.pi * hertz / 16_000), r * r], sound)
    sound *= np.clip(np.sin(2 * np.pi * 3.5 * t), 0, 1)
    return 0.7 * sound / np.abs(sound).max()
