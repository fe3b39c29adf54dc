"""The front end against SciPy: another STFT, mel weights built bin by bin from the definition."""

import numpy as np
import pytest
from avel_live.model import logmel
from scipy.signal import get_window, stft
from support.media_free import speech_like


def scipy_log_mel(samples):
    """[S] → [F, 64]: 25 ms periodic Hann, 10 ms hop, FFT 512, magnitude, HTK mel, log(x + 0.01)."""
    window = get_window("hann", 400, fftbins=True)
    _, _, spectrum = stft(
        samples.astype(np.float64),
        fs=16_000,
        window=window,
        nperseg=400,
        noverlap=240,
        nfft=512,
        boundary=None,
        padded=False,
        scaling="spectrum",
    )
    magnitude = np.abs(spectrum.T) * window.sum()  # SciPy divides by the sum of the window
    mel = lambda hz: 2595 * np.log10(1 + hz / 700)  # noqa: E731  HTK, as written in its manual
    centres = np.linspace(mel(125), mel(7500), 66)
    weights = np.zeros((257, 64))
    for k in range(1, 257):
        at = mel(k * 16_000 / 512)
        for band in range(64):
            low, mid, high = centres[band : band + 3]
            if low < at <= mid:
                weights[k, band] = (at - low) / (mid - low)
            elif mid < at < high:
                weights[k, band] = (high - at) / (high - mid)
    return np.log(magnitude @ weights + 0.01)


def sounds():
    rng = np.random.default_rng(0)
    t = np.arange(16_000) / 16_000
    yield "noise", 0.3 * rng.standard_normal(16_000)
    yield "loud noise", np.clip(rng.standard_normal(16_000), -1, 1)
    for hertz in (60, 125, 440, 1000, 3333, 7500, 7990):
        yield f"{hertz} Hz", 0.5 * np.sin(2 * np.pi * hertz * t)
    yield "chirp", 0.8 * np.sin(2 * np.pi * (100 * t + 3500 * t**2))
    yield "click", np.eye(1, 16_000, 7777)[0]
    yield "silence", np.zeros(16_000)
    yield "constant", np.full(16_000, 0.25)
    yield "speech-like", speech_like(rng)


@pytest.mark.parametrize(("name", "samples"), list(sounds()), ids=lambda x: x if isinstance(x, str) else "")
def test_equals_an_independent_computation(name, samples):
    samples = samples.astype(np.float32)
    got = logmel.log_mel(samples)
    want = scipy_log_mel(samples)
    assert got.shape == want.shape == (98, 64)
    assert got.dtype == np.float32
    assert np.abs(got - want).max() < 1e-4


def test_a_tone_lights_up_its_own_band():
    t = np.arange(16_000) / 16_000
    patch = logmel.patch((0.5 * np.sin(2 * np.pi * 1000 * t)).astype(np.float32))
    edges = np.linspace(1127 * np.log1p(125 / 700), 1127 * np.log1p(7500 / 700), 66)
    band = int(np.abs(edges[1:-1] - 1127 * np.log1p(1000 / 700)).argmin())
    assert (patch.argmax(axis=1) == band).all()


def test_a_second_makes_one_patch_of_its_first_15600_samples():
    rng = np.random.default_rng(1)
    second = rng.standard_normal(16_000).astype(np.float32) * 0.1
    patch = logmel.patch(second)
    assert patch.shape == (96, 64)
    changed = second.copy()
    changed[15_600:] = 1.0
    assert np.array_equal(patch, logmel.patch(changed))
    changed[15_599] = 1.0
    assert not np.array_equal(patch, logmel.patch(changed))
    # Not bit for bit: how many rows a matrix product has may change its rounding.
    np.testing.assert_allclose(patch, logmel.log_mel(second)[:96], atol=1e-5)


def test_many_at_once_and_too_few():
    batch = np.random.default_rng(2).standard_normal((3, 2, 16_000)).astype(np.float32)
    whole = logmel.patch(batch)
    assert whole.shape == (3, 2, 96, 64)
    assert np.allclose(whole[2, 1], logmel.patch(batch[2, 1]), atol=1e-6)
    with pytest.raises(ValueError, match="at least 400 samples, got 399"):
        logmel.log_mel(np.zeros(399, np.float32))
