"""Claps and flash-and-beeps as arrays, with the offset between picture and sound as it was asked for."""

from __future__ import annotations

import numpy as np

RATE = 16_000


def frame_times(fps: float, seconds: float, *, variable: bool = False, seed: int = 0) -> np.ndarray:
    """Presentation times; `variable` lets every distance vary between half and one and a half."""
    rng = np.random.default_rng(seed)
    if not variable:
        return rng.random() / fps + np.arange(int(seconds * fps)) / fps
    steps = rng.uniform(0.5, 1.5, int(seconds * fps * 1.2)) / fps
    times = np.cumsum(steps)
    return times[times < seconds]


def event_times(seconds: float, *, seed: int = 0) -> np.ndarray:
    """One event about every 1.1 seconds, at uneven distances."""
    rng = np.random.default_rng(seed + 100)
    return np.cumsum(np.concatenate([[1.2], rng.uniform(0.7, 1.5, int(seconds))]))[: int((seconds - 2) / 1.1)]


def sound(
    events: np.ndarray, seconds: float, kind: str, *, snr_db: float | None, seed: int = 0
) -> np.ndarray:
    """Beeps of 100 ms or claps of some 30 ms in white noise of the given power relative to the burst."""
    rng = np.random.default_rng(seed + 200)
    out = np.zeros(int(seconds * RATE))
    power = 0.0
    for t in events:
        start = round(t * RATE)
        if kind == "flash":
            burst = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(RATE // 10) / RATE)
        else:
            n = np.arange(int(0.06 * RATE))
            burst = 0.4 * rng.normal(size=len(n)) * np.exp(-n / (0.015 * RATE))
        power = float((burst[: int(0.03 * RATE)] ** 2).mean())
        burst = burst[: max(0, len(out) - start)]
        out[start : start + len(burst)] += burst
    if snr_db is not None:
        out += rng.normal(size=len(out)) * np.sqrt(power / 10 ** (snr_db / 10))
    return out.astype(np.float32)


def pictures(events: np.ndarray, times: np.ndarray, kind: str, *, seed: int = 0, size=(72, 96)):
    """Noisy grey pictures: a screen that lights up for 100 ms, or two hands that meet and part again."""
    rng = np.random.default_rng(seed + 300)
    height, width = size
    y, x = np.mgrid[:height, :width]
    room = 90 + 30 * np.sin(x / 9) + 20 * np.cos(y / 7)
    for t in times:
        image = room.copy()
        if kind == "flash":
            if ((events <= t) & (t < events + 0.1)).any():
                image[10:40, 20:70] += 110
        else:
            for side in (-1, 1):
                reach = width / 2 + side * (4 + hand_distance(t, events) * width)
                image[((x - reach) / 6) ** 2 + ((y - height / 2) / 14) ** 2 < 1] = 215
        image += rng.normal(scale=3, size=image.shape)
        yield float(t), np.clip(image, 0, 255).astype(np.uint8)


def hand_distance(t: float, events: np.ndarray) -> float:
    """Half the distance of two hands, in picture widths: 150 ms of approach, contact, 300 ms of parting."""
    near = events[np.argmin(np.abs(events - t))]
    if near - 0.15 <= t < near:
        return 0.3 * ((near - t) / 0.15)
    if near <= t < near + 0.05:
        return 0.0
    if near + 0.05 <= t < near + 0.4:
        return 0.3 * (t - near - 0.05) / 0.35
    return 0.3
