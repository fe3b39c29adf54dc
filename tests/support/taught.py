"""Events that no shipped class is: a ringing bell before a coloured sign, in recordings made here."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

RATE = 16_000
FPS = 4
Wave = np.ndarray


def noise(seconds: float, dbfs: float, seed: int) -> Wave:
    made = np.random.default_rng(seed).normal(0, 10 ** (dbfs / 20), round(seconds * RATE))
    return made.astype(np.float32)


def ringing(seconds: float, pitch: float = 1.0, loud: float = 0.2) -> Wave:
    """Two bells in turn, twelve times a second."""
    t = np.arange(round(seconds * RATE)) / RATE
    high = (t * 12).astype(int) % 2 == 1
    tone = np.where(high, np.sin(2 * np.pi * 1400 * pitch * t), np.sin(2 * np.pi * 1100 * pitch * t))
    return (loud * (tone + 0.4 * np.sin(2 * np.pi * 3300 * pitch * t))).astype(np.float32)


def clap(seed: int, loud: float = 0.4, room_s: float = 0.3) -> Wave:
    """Half a second: hands that meet, and what a room makes of it; resonances as hollow hands have them."""
    rng = np.random.default_rng(seed)
    t = np.arange(RATE // 2) / RATE
    burst = np.fft.rfft(rng.normal(size=len(t)) * np.exp(-t / 0.004), 2 * len(t))
    hertz = np.fft.rfftfreq(2 * len(t), 1 / RATE) / rng.uniform(1000, 2200)
    dry = np.fft.irfft(burst * hertz / (1 + hertz**2))[: len(t)]
    tail = rng.normal(size=len(t)) * np.exp(-6.9 * t / room_s) * 0.05
    return (loud * (dry / np.abs(dry).max() + tail)).astype(np.float32)


def sign(seed: int) -> np.ndarray:
    """[120, 160, 3]: a yellow disc on red, somewhere."""
    rng = np.random.default_rng(seed)
    image = np.full((120, 160, 3), (170, 20, 20), np.uint8)
    y, x = np.mgrid[:120, :160]
    cx, cy = rng.integers(50, 110), rng.integers(40, 80)
    image[(x - cx) ** 2 + (y - cy) ** 2 < 34**2] = (240, 220, 30)
    return image


def wall(seed: int) -> np.ndarray:
    """[120, 160, 3]: a grey wall with some grain."""
    rng = np.random.default_rng(seed)
    return rng.integers(90, 120, (120, 160, 1), np.uint8).repeat(3, axis=2)


def recording(path: Path, *parts: tuple[Wave, np.ndarray | None]) -> Path:
    """A recording of sounds one after the other, each with its still picture (None: without any at all)."""
    import av

    with av.open(str(path), "w") as out:
        audio = out.add_stream("pcm_s16le", rate=RATE, layout="mono")
        video = None
        if parts[0][1] is not None:
            video = out.add_stream("ffv1", rate=FPS)
            video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        at = 0
        for wave, picture in parts:
            for first in range(0, len(wave), RATE // FPS):
                if video is not None:
                    image = av.VideoFrame.from_ndarray(picture, format="rgb24")
                    image.pts, image.time_base = at * FPS // RATE, Fraction(1, FPS)
                    out.mux(video.encode(image))
                block = wave[first : first + RATE // FPS]
                samples = (np.clip(block, -1, 1) * 32767).astype(np.int16)[None]
                frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
                out.mux(audio.encode(frame))
                at += len(block)
        for stream in (video, audio):
            if stream is not None:
                out.mux(stream.encode(None))
    return path


def ring_clip(path: Path, seed: int) -> Path:
    """Two seconds of ringing before the sign, each a little different."""
    rng = np.random.default_rng(seed)
    wave = ringing(2, rng.uniform(0.96, 1.04), rng.uniform(0.1, 0.4)) + noise(2, -50, seed)
    return recording(path, (wave, sign(seed)))


def day(path: Path, seed: int = 99) -> Path:
    """Nine seconds: quiet, from the fourth to the sixth the ringing before its sign, quiet again."""
    quiet = noise(3, -50, seed)
    ring = ringing(3, 1.01, 0.25) + noise(3, -50, seed + 1)
    return recording(path, (quiet, wall(seed)), (ring, sign(seed)), (quiet, wall(seed)))
