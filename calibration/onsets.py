"""When something starts: in sound by spectral flux, in pictures by a flash or by a movement that stops.

Sound is addressed by seconds on the caller's axis; so are frames. Nothing here knows which of the two
clocks is right: `sync` finds out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Kind = Literal["flash", "clap"]

# Sound: 16 ms windows every 1 ms; 16 ms lift a tone 18 dB out of white noise of the same power.
_WINDOW_S = 0.016
_HOP_S = 0.001
_BEFORE_S, _AFTER_S = 0.080, 0.030
_LOCATE_S = 0.020
_SAME_ONSET_S = 0.15
"""Two onsets closer than this are one (a clap and its echo)."""
_NOTABLE = 6.0
"""Robust z-score that makes a peak an onset."""
_MAX_ONSETS = 200

_WIDTH = 96
"""Pictures are judged at about this many pixels across."""


@dataclass(frozen=True)
class SoundOnsets:
    """`times_s` [n] ascending and how much each stands out [n], in robust standard deviations."""

    times_s: Floats
    strength: Floats


@dataclass(frozen=True)
class SightOnsets:
    """Visible events: each happened between `low_s` and `high_s` [n], with its strength [n]."""

    kind: Kind
    low_s: Floats
    high_s: Floats
    strength: Floats


@dataclass(frozen=True)
class FrameActivity:
    """Two curves of a video, one value per frame: `brightness` 0..1, and `motion` since the frame before.

    `rise` is the mean of the pixel values that got brighter since the frame before: a flash that fills a
    corner of the picture shows here, and a hand that covers as much as it uncovers does not hide it.
    """

    times_s: Floats
    brightness: Floats
    motion: Floats
    rise: Floats


@dataclass(frozen=True)
class _Flux:
    """Short-time power [n, bins], and for the instants `middle` (indices into it) the rise of every bin."""

    power: NDArray[np.float32]
    middle: NDArray[np.int64]
    rise: Floats
    first_s: float
    hop_s: float

    def instant_s(self, index: NDArray[np.int64] | int) -> Floats:
        """The instant between power frames index − 1 and index, from the first sample."""
        return np.asarray(self.first_s + np.asarray(index) * self.hop_s, np.float64)


def _flux(samples: NDArray[np.float32], rate: int) -> _Flux | None:
    """Log power of the 30 ms after an instant against that of the 80 ms before it; only rises count."""
    size = 1 << round(np.log2(_WINDOW_S * rate))
    hop = max(1, round(_HOP_S * rate))
    before, after = round(_BEFORE_S * rate / hop), round(_AFTER_S * rate / hop)
    parts = list(_spectra(np.asarray(samples, np.float32), size, hop))
    if not parts:
        return None
    power = np.concatenate(parts)
    if len(power) <= before + after:
        return None
    # Digital silence has no log: the floor lies 50 dB under the loud moments, and never under 16-bit noise.
    floor = max(1e-5 * float(np.quantile(power.mean(axis=1), 0.99)), 1e-9 * size)
    total = np.concatenate([np.zeros((1, power.shape[1])), np.cumsum(power, axis=0, dtype=np.float64)])
    middle = np.arange(before, len(power) - after + 1)
    later = (total[middle + after] - total[middle]) / after + floor
    earlier = (total[middle] - total[middle - before]) / before + floor
    rise = np.maximum(0.0, np.log(later / earlier))
    # Frame k is centred at k·hop + size/2; the comparison is between frames middle−1 and middle.
    return _Flux(power, middle, rise, (size - hop) / 2 / rate, hop / rate)


def onset_strength(samples: NDArray[np.float32], rate: int) -> tuple[Floats, Floats]:
    """Spectral flux at a millisecond grid, in robust standard deviations.

    Two readings of the rise of every frequency are taken and the more striking one counts: its mean
    square (a clap, in all bins) and its maximum (a beep, in two of them).

    Args:
        samples: [n] mono.
        rate: samples per second.

    Returns:
        Instants in seconds from the first sample, and the flux at each; both empty for less than 0.13 s.

    """
    flux = _flux(samples, rate)
    if flux is None:
        return np.zeros(0), np.zeros(0)
    return flux.instant_s(flux.middle), _striking(flux)


def _striking(flux: _Flux) -> Floats:
    broad = _stands_out((flux.rise**2).mean(axis=1))
    narrow = _stands_out(flux.rise.max(axis=1))
    return np.maximum(broad, narrow)


def _locate(flux: _Flux, peak: int) -> float:
    """The instant of an onset: where the *linear* power of the bins that rose steps up the most.

    The logarithm of the flux hears the first edge of the window touch a sound after silence, half a
    window early; linear power passes the middle of its rise when the window's centre does.
    """
    reach = round(_LOCATE_S / flux.hop_s)
    weight = flux.rise[peak] ** 2
    centre = int(flux.middle[peak])
    low, high = max(0, centre - 3 * reach), min(len(flux.power), centre + 3 * reach)
    level = flux.power[low:high] @ weight
    total = np.concatenate([[0.0], np.cumsum(level)])
    at = np.arange(reach, len(level) - reach + 1)
    if not len(at):
        return float(flux.instant_s(centre))
    step = total[at + reach] - 2 * total[at] + total[at - reach]
    return float(flux.instant_s(low + int(at[step.argmax()])))


def _spectra(samples: NDArray[np.float32], size: int, hop: int) -> Iterator[NDArray[np.float32]]:
    """Power spectra without the lowest 150 Hz or so (rumble, mains), in chunks that bound memory."""
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    count = (len(samples) - size) // hop + 1
    for start in range(0, max(0, count), 4096):
        stop = min(count, start + 4096)
        index = np.arange(start, stop)[:, None] * hop + np.arange(size)
        yield (np.abs(np.fft.rfft(samples[index] * window, axis=1)) ** 2)[:, 3:].astype(np.float32)


def sound_onsets(samples: NDArray[np.float32], rate: int, start_s: float = 0.0) -> SoundOnsets:
    """The onsets of a recording.

    Args:
        samples: [n] mono.
        rate: samples per second.
        start_s: instant of the first sample.

    """
    flux = _flux(samples, rate)
    if flux is None:
        return SoundOnsets(np.zeros(0), np.zeros(0))
    z = _striking(flux)
    peaks = _peaks(z, flux.instant_s(flux.middle), _SAME_ONSET_S, _NOTABLE)
    times = np.array([_locate(flux, int(p)) for p in peaks])
    order = np.argsort(times, kind="stable")
    return SoundOnsets(times[order] + start_s, z[peaks][order])


def frame_activity(frames: Iterable[tuple[float, NDArray[np.uint8]]]) -> FrameActivity:
    """Brightness and motion of a video, frame by frame; only the frame before is kept.

    Args:
        frames: instants in seconds, ascending, and pictures [H, W, 3] or [H, W] uint8. Frames with an
            instant not later than the one before, or another size, start anew without a difference.

    """
    times: list[float] = []
    brightness: list[float] = []
    motion: list[float] = []
    rise: list[float] = []
    last: NDArray[np.float32] | None = None
    for t_s, image in frames:
        small = _shrunk(image)
        if times and t_s <= times[-1]:
            continue
        if last is None or last.shape != small.shape:
            motion.append(0.0)
            rise.append(0.0)
        else:
            change = small - last
            motion.append(float(np.abs(change).mean()))
            rise.append(float(np.maximum(change, 0).mean()))
        times.append(t_s)
        brightness.append(float(small.mean()))
        last = small
    return FrameActivity(np.array(times), np.array(brightness), np.array(motion), np.array(rise))


def flashes(activity: FrameActivity) -> SightOnsets:
    """Sudden brightening: it happened after the last dark frame and not after the first bright one."""
    t = activity.times_s
    if len(t) < 5:
        return _none("flash")
    # A pan or a hand moves light around; a flash adds it. What darkened meanwhile is taken off.
    fell = activity.motion - activity.rise
    added = np.where(fell < 0.3 * activity.rise, activity.rise - fell, 0.0)
    # Auto exposure and slow light come up over many frames: what came up as fast a frame before is no flash.
    sudden = added - np.concatenate([[0.0], added[:-1]])
    z = np.where(sudden > 0.004, _stands_out(np.maximum(0.0, sudden), floor=4e-4), 0.0)
    peaks = _peaks(z, t, _SAME_ONSET_S, _NOTABLE)
    peaks = peaks[peaks > 0]
    return SightOnsets("flash", t[peaks - 1], t[peaks], z[peaks])


def claps(activity: FrameActivity) -> SightOnsets:
    """Movement that was quick and stops dead: hands meet between the fastest frame and the next."""
    t, motion = activity.times_s, activity.motion
    if len(t) < 8:
        return _none("clap")
    # Noise is per frame, movement per second: a variable frame rate must not look like varying speed.
    moved = np.maximum(0.0, motion - np.median(motion[1:]))
    speed = np.concatenate([[0.0], moved[1:] / np.diff(t)])
    top = np.flatnonzero((speed[1:-2] >= speed[:-3]) & (speed[1:-2] > speed[2:-1])) + 1
    stop = speed[top] - np.minimum(speed[top + 1], speed[top + 2])
    fall = np.zeros(len(t))
    fall[top] = stop
    z = _stands_out(fall, floor=max(0.01, float(np.median(speed))))
    # Claps of one person resemble each other; hands that part again, or sink, stop less suddenly.
    usual = float(np.median(np.sort(stop)[-5:])) if len(stop) else 0.0
    z[fall < 0.5 * usual] = 0.0
    peaks = _peaks(z, t, _SAME_ONSET_S, _NOTABLE)
    # With f of the interval after the top spent moving, its motion is f of the top's: half a frame
    # each side of that point is what is really known.
    f = np.clip(speed[peaks + 1] / np.maximum(speed[peaks], 1e-9), 0.0, 1.0)
    step = t[peaks + 1] - t[peaks]
    centre = t[peaks] + f * step
    return SightOnsets("clap", centre - step / 2, centre + step / 2, z[peaks])


def _none(kind: Kind) -> SightOnsets:
    return SightOnsets(kind, np.zeros(0), np.zeros(0), np.zeros(0))


def _shrunk(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Grey, 0..1, averaged over blocks: noise goes, movement stays."""
    block = max(1, image.shape[1] // _WIDTH)
    rows, columns = image.shape[0] // block * block, image.shape[1] // block * block
    grey = image[:rows, :columns]
    if grey.ndim == 3:
        grey = grey.mean(axis=2, dtype=np.float32)
    cut = grey.reshape(rows // block, block, columns // block, block)
    small: NDArray[np.float32] = cut.mean(axis=(1, 3), dtype=np.float32) / np.float32(255)
    return small


def _stands_out(curve: Floats, floor: float = 1e-9) -> Floats:
    """Robust z-score: distance from the median in units of 1.4826 · median absolute deviation."""
    middle = np.median(curve)
    spread = 1.4826 * np.median(np.abs(curve - middle))
    out: Floats = (curve - middle) / max(float(spread), floor)
    return out


def _peaks(curve: Floats, times: Floats, apart_s: float, least: float) -> NDArray[np.int64]:
    """Indices of the highest points, none within `apart_s` of a higher one; ascending."""
    candidates = np.flatnonzero(curve >= least)
    order = candidates[np.argsort(-curve[candidates], kind="stable")]
    taken: list[int] = []
    for i in order:
        if all(abs(times[i] - times[j]) >= apart_s for j in taken):
            taken.append(int(i))
            if len(taken) == _MAX_ONSETS:
                break
    return np.sort(np.array(taken, np.int64))
