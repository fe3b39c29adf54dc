"""What happens to a sound between its source and the microphone of a laptop.

Every function takes a NumPy generator and float32 sound at 16 kHz, and is deterministic given both.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from ...sound import SAMPLE_RATE

Wave = NDArray[np.float32]
ROOMS: Final = 64
RIR_SAMPLES: Final = 6_400
_FLOOR: Final = 1e-9


def power(wave: Wave) -> float:
    """Mean square."""
    return float(np.mean(np.square(wave), dtype=np.float64)) + _FLOOR


@lru_cache(maxsize=2)
def room_bank(seed: int = 0) -> tuple[Wave, ...]:
    """Impulse responses of simulated rooms, the direct sound first and of unit height, at most 0.4 s."""
    import pyroomacoustics

    rng = np.random.default_rng(seed)
    bank: list[Wave] = []
    for _ in range(ROOMS):
        size = rng.uniform((2.5, 2.5, 2.2), (9.0, 8.0, 3.8))
        room = pyroomacoustics.ShoeBox(
            size,
            fs=SAMPLE_RATE,
            materials=pyroomacoustics.Material(float(rng.uniform(0.15, 0.7))),
            max_order=8,
        )
        room.add_source(rng.uniform(0.4, size - 0.4))
        room.add_microphone(rng.uniform(0.4, size - 0.4))
        room.compute_rir()
        response = np.asarray(room.rir[0][0], np.float32)
        peak = int(np.abs(response).argmax())
        response = response[max(0, peak - 8) :][:RIR_SAMPLES]
        bank.append((response / np.abs(response).max()).astype(np.float32))
    return tuple(bank)


def random_curve(rng: np.random.Generator, bins: int, spread_db: float) -> Wave:
    """A smooth random gain over frequency: microphone colour, tilt, a muffled or a thin small speaker."""
    knots = rng.normal(0.0, spread_db / 2, 7).clip(-spread_db, spread_db)
    knots += np.linspace(-1, 1, 7) * rng.normal(0.0, spread_db / 3)
    hertz = np.linspace(0, SAMPLE_RATE / 2, bins)
    octave = np.log2(np.maximum(hertz, 60.0) / 60.0)
    gain = 10 ** (np.interp(octave, np.linspace(0, 7.06, 7), knots) / 20)
    if rng.random() < 0.25:
        gain *= 1 / (1 + (rng.uniform(60, 350) / np.maximum(hertz, 1.0)) ** 4)
    if rng.random() < 0.25:
        gain *= 1 / (1 + (hertz / rng.uniform(2_500, 7_500)) ** 8)
    curve: Wave = gain.astype(np.float32)
    return curve


def colour(rng: np.random.Generator, wave: Wave, room: Wave | None, spread_db: float) -> Wave:
    """A room and a microphone in one multiplication of spectra; loudness is kept."""
    size = 1 << int(np.ceil(np.log2(len(wave) + (0 if room is None else len(room)))))
    spectrum = np.fft.rfft(wave, size)
    if room is not None:
        spectrum *= np.fft.rfft(room, size)
    spectrum *= random_curve(rng, spectrum.size, spread_db)
    out = np.fft.irfft(spectrum, size)[: len(wave)].astype(np.float32)
    result: Wave = out * np.float32(np.sqrt(power(wave) / power(out)))
    return result


def resample(wave: Wave, factor: float) -> Wave:
    """Played `factor` times as fast: pitch and tempo change together."""
    if abs(factor - 1.0) < 1e-3:
        return wave
    import soxr

    return np.asarray(soxr.resample(wave, factor * SAMPLE_RATE, SAMPLE_RATE, quality="LQ"), np.float32)


def raise_voice(wave: Wave, factor: float, order: int = 18) -> Wave:
    """Pitch times `factor` with the vocal tract kept: linear prediction takes the voice apart.

    The residual of a 30 ms frame (source) is played faster; the filter (tract) of the frame at the same
    place puts the formants back. Tempo rises with the pitch. A raised male voice stays a male one.
    """
    from scipy.linalg import solve_toeplitz
    from scipy.signal import lfilter

    size, hop = 480, 240
    window = np.hanning(size + 1)[:size].astype(np.float32)
    padded = np.pad(wave, (size, size)).astype(np.float64)
    filters: list[NDArray[np.float64]] = []
    residual = np.zeros_like(padded)
    for start in range(0, len(padded) - size, hop):
        frame = padded[start : start + size] * window
        correlation = np.correlate(frame, frame, "full")[size - 1 : size + order]
        correlation[0] = correlation[0] * 1.0001 + 1e-7
        weights = solve_toeplitz(correlation[:-1], correlation[1:])
        inverse = np.concatenate([[1.0], -weights])
        filters.append(inverse)
        residual[start : start + size] += lfilter(inverse, [1.0], frame)
    source = resample(residual.astype(np.float32), factor).astype(np.float64)
    out = np.zeros(len(source) + size)
    for start in range(0, len(source) - size, hop):
        inverse = filters[min(int(start * factor) // hop, len(filters) - 1)]
        out[start : start + size] += lfilter([1.0], inverse, source[start : start + size] * window)
    # A near-unstable filter may ring: bound it.
    voiced: Wave = out[: len(source)].clip(-4, 4).astype(np.float32)
    result: Wave = voiced * np.float32(np.sqrt(power(wave) / power(voiced)))
    return result


def noise(rng: np.random.Generator, length: int) -> Wave:
    """Noise of a random colour, white to brown, sometimes with mains hum; unit power."""
    spectrum = rng.normal(size=length // 2 + 1) + 1j * rng.normal(size=length // 2 + 1)
    hertz = np.maximum(np.fft.rfftfreq(length, 1 / SAMPLE_RATE), 20.0)
    spectrum *= hertz ** -rng.uniform(0.0, 1.0)
    spectrum *= random_curve(rng, spectrum.size, 9.0)
    wave = np.fft.irfft(spectrum, length)
    wave /= np.sqrt(np.mean(wave**2))
    if rng.random() < 0.2:
        t = np.arange(length) / SAMPLE_RATE
        mains = rng.choice([50.0, 60.0])
        hum = sum(np.sin(2 * np.pi * mains * k * t + rng.uniform(0, 6)) / k for k in range(1, 6))
        wave = wave * rng.uniform(0.1, 1.0) + hum
        wave /= np.sqrt(np.mean(wave**2))
    return wave.astype(np.float32)


def codec(rng: np.random.Generator, wave: Wave) -> Wave:
    """Through a lossy codec of low rate and back, as cameras, calls and videos do; same length."""
    import io

    import av

    name, container_format = [("libopus", "ogg"), ("libmp3lame", "mp3"), ("aac", "adts")][rng.integers(3)]
    buffer = io.BytesIO()
    pcm = (wave.clip(-1, 1) * 32767).astype(np.int16)
    with av.open(buffer, "w", format=container_format) as out:
        stream = cast("av.AudioStream", out.add_stream(name, rate=SAMPLE_RATE))
        stream.bit_rate = int(rng.choice([12_000, 16_000, 24_000, 32_000]))
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(pcm[None], "s16", "mono")
        frame.sample_rate = SAMPLE_RATE
        for packet in stream.encode(frame):
            out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    buffer.seek(0)
    blocks: list[Wave] = []
    with av.open(buffer, "r") as container:
        resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
        for frame in container.decode(audio=0):
            blocks += [block.to_ndarray()[0] for block in resampler.resample(frame)]
    if not blocks:
        return wave
    decoded = np.concatenate(blocks).astype(np.float32)
    return np.pad(decoded, (0, max(0, len(wave) - len(decoded))))[: len(wave)]


def level(rng: np.random.Generator, wave: Wave) -> Wave:
    """Gain so that the peak is at −30…0 dB of full scale; one in twelve is driven into clipping."""
    peak = float(np.abs(wave).max())
    if peak < 1e-6:
        return wave
    decibel = rng.uniform(3.0, 15.0) if rng.random() < 1 / 12 else rng.uniform(-30.0, 0.0)
    out: Wave = (wave * np.float32(10 ** (decibel / 20) / peak)).clip(-1.0, 1.0)
    return out
