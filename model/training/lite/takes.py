"""Ten-second takes of sound, cut from labelled recordings, with the truth of each second.

A take holds one event (or none) that starts, stops and repeats as such sounds do, over a bed of something
else, in a room, through a microphone. A second counts as audible when tenths of it are within 16 dB of the
event's loudest tenth and not buried in the bed: dogs pause between barks, and so do the labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...labels import BACKGROUND
from ...logmel import patch
from ...sound import SAMPLE_RATE
from .audio_data import SoundBank
from .stages import keep_arrays

T: Final = 10
_LENGTH: Final = T * SAMPLE_RATE
_TENTHS: Final = 10
_AUDIBLE_DB: Final = 16.0
_BURIED_DB: Final = 3.0
_SNR_DB: Final = (3.0, 40.0)
"""Loudest second of the event over that of the bed: people film what they want heard."""
_ANOTHER_EVENT: Final = 0.25
"""Share of events that another one is heard beneath: somebody speaks in a train."""
_ANOTHER_DB: Final = (0.0, 20.0)
"""Loudest second of the event over that of the one beneath."""
_BENEATH_DB: Final = 9.0
"""An event so far below a louder one is still heard: a voice is followed in a train."""
_SILENT: Final = 1e-4
_BURSTS: Final = 0.35
"""Share of events that stop and go on, whatever the recording does."""
Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Takes:
    """Takes in a row.

    `patches` [N, 10, 96, 64] float16 log-mel; `kind` [N] the event, or BACKGROUND; `audible` [N, 10]
    where it is heard; `beneath` [N] another event under it, or BACKGROUND; `faint` [N, 10] where that is;
    `near` [N] of BACKGROUND, which event it is almost, or BACKGROUND.
    """

    patches: NDArray[np.float16]
    kind: NDArray[np.int64]
    audible: NDArray[np.bool_]
    beneath: NDArray[np.int64]
    faint: NDArray[np.bool_]
    near: NDArray[np.int64]

    def rows(self, which: NDArray[np.int64]) -> Takes:
        """Some of them."""
        return Takes(*(getattr(self, name)[which] for name in Takes.__annotations__))

    def save(self, path: Path) -> None:
        """Keep them (npz), whole or not at all."""
        keep_arrays(path, **vars(self))

    @classmethod
    def load(cls, path: Path) -> Takes:
        """What `save` kept; folders made before neighbours were drawn hold none."""
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return cls(**{"near": np.full(len(arrays["kind"]), BACKGROUND), **arrays})


def _rms(x: Wave) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64)) + 1e-12))


def _per_second(x: Wave) -> NDArray[np.float64]:
    """Level of each second, [10], linear."""
    power: NDArray[np.float64] = np.mean(np.square(x.reshape(T, SAMPLE_RATE), dtype=np.float64), axis=1)
    return np.asarray(np.sqrt(power + 1e-14))


def audible_seconds(event: Wave, bed: Wave, buried_db: float = _BURIED_DB) -> NDArray[np.bool_]:
    """[160000], [160000] → [10]: in which seconds the event is less than `buried_db` below the bed.

    A second in which far fewer tenths are loud than usual holds the tail of the sound only.
    """
    tenths = np.mean(np.square(event.reshape(T, _TENTHS, -1), dtype=np.float64), axis=2)
    level = np.sqrt(tenths)
    if level.max() < _SILENT:
        return np.zeros(T, np.bool_)
    loud = level > level.max() * 10 ** (-_AUDIBLE_DB / 20)
    clear = level > _per_second(bed)[:, None] * 10 ** (-buried_db / 20)
    count = (loud & clear).sum(axis=1)
    usual = float(np.median(count[count > 0])) if count.any() else 1.0
    heard: NDArray[np.bool_] = count >= max(1.0, 0.25 * usual)
    return heard


def _burst(wave: Wave, rng: np.random.Generator) -> Wave:
    """The same, stopping now and then: on for 0.3 to 3 s, off for 0.7 to 4 s, fading in 10 ms."""
    gate = np.zeros(_LENGTH, np.float32)
    at = int(rng.uniform(-1.0, 3.0) * SAMPLE_RATE)
    while at < _LENGTH:
        on = int(rng.uniform(0.3, 3.0) * SAMPLE_RATE)
        gate[max(0, at) : max(0, at + on)] = 1.0
        at += on + int(rng.uniform(0.7, 4.0) * SAMPLE_RATE)
    fade = SAMPLE_RATE // 100
    smooth: Wave = np.convolve(gate, np.full(fade, 1.0 / fade), "same").astype(np.float32)
    return wave * smooth


def _lay_out(wave: Wave, rng: np.random.Generator) -> Wave:
    """Place a recording on ten seconds: long ones cut, short ones once or repeated with pauses."""
    out = np.zeros(_LENGTH, np.float32)
    if len(wave) >= _LENGTH:
        start = int(rng.integers(0, len(wave) - _LENGTH + 1))
        out[:] = wave[start : start + _LENGTH]
    else:
        at = (
            int(rng.integers(0, SAMPLE_RATE))
            if rng.random() < 0.6
            else int(rng.integers(0, _LENGTH * 2 // 3))
        )
        dense = rng.random() < 0.5
        while at < _LENGTH:
            piece = wave[: _LENGTH - at]
            out[at : at + len(piece)] += piece
            pause = rng.uniform(0.0, 0.15) if dense else rng.exponential(1.8)
            at += len(wave) + int(pause * SAMPLE_RATE)
    if rng.random() < 0.35:  # begins or ends somewhere within
        first, last = sorted(rng.integers(0, _LENGTH + 1, size=2))
        if last - first > SAMPLE_RATE:
            out[:first] = 0.0
            out[last:] = 0.0
    return out


def _colour(x: Wave, rng: np.random.Generator) -> Wave:
    """A microphone's and a codec's frequency response: a smooth random curve, perhaps band-limited."""
    spectrum = np.fft.rfft(x)
    frequency = np.linspace(0.0, 1.0, len(spectrum))
    curve = np.interp(frequency, np.linspace(0.0, 1.0, 7), rng.normal(0.0, 4.0, 7))
    gain = 10.0 ** (curve / 20.0)
    if rng.random() < 0.3:
        gain = gain / (1.0 + (frequency / rng.uniform(0.3, 0.8)) ** 12)
    if rng.random() < 0.3:
        gain = gain * np.clip(frequency * 8000.0 / rng.uniform(80.0, 300.0), 0.0, 1.0)
    return np.fft.irfft(spectrum * gain, n=len(x)).astype(np.float32)


def _reverberate(x: Wave, response: Wave) -> Wave:
    """Convolve with a room's impulse response, keeping length and level."""
    size = len(x) + len(response) - 1
    wet = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(response, size), size)[: len(x)]
    return (wet * (_rms(x) / _rms(wet.astype(np.float32)))).astype(np.float32)


def _noise(rng: np.random.Generator) -> Wave:
    """White to brown noise."""
    spectrum = np.fft.rfft(rng.normal(size=_LENGTH))
    tilt = np.maximum(np.arange(len(spectrum)), 1.0) ** -rng.uniform(0.0, 1.0)
    x = np.fft.irfft(spectrum * tilt, _LENGTH)
    out: Wave = (x / (np.abs(x).max() + 1e-9)).astype(np.float32)
    return out


class TakeMaker:
    """Draws takes; of an event, sources by the root of their size, and within a source recordings evenly."""

    def __init__(self, bank: SoundBank, chosen: Iterable[int], rooms: Sequence[Wave], seed: int) -> None:
        self.bank = bank
        self.rooms = list(rooms)
        self.rng = np.random.default_rng(seed)
        tree: dict[int, dict[str, list[int]]] = {}
        for index in chosen:
            sound = bank.sounds[index]
            tree.setdefault(sound.label, {}).setdefault(sound.group, []).append(index)
        self._tree = {kind: list(by_group.values()) for kind, by_group in tree.items()}
        self.kinds = sorted(self._tree)

    def _draw(self, kind: int) -> Wave:
        sources = self._tree[kind]
        # Between even over sources and even over recordings: a source of two files is not half the class.
        weights = np.sqrt([len(source) for source in sources])
        source = sources[self.rng.choice(len(sources), p=weights / weights.sum())]
        return self.bank.wave(source[self.rng.integers(len(source))])

    def _another(self, kind: int) -> int:
        """The event beneath one of that kind, BACKGROUND for none."""
        others = [k for k in self.kinds if k not in (kind, BACKGROUND)]
        if kind != BACKGROUND and others and self.rng.random() < _ANOTHER_EVENT:
            return int(self.rng.choice(others))
        return BACKGROUND

    def _bed(self) -> Wave:
        """What else is heard: noise, nothing, or sounds of something else, as life has it."""
        rng = self.rng
        choice = rng.random()
        if choice < 0.2 or BACKGROUND not in self._tree:
            return _noise(rng)
        if choice < 0.25:
            return np.zeros(_LENGTH, np.float32)
        bed = _lay_out(self._draw(BACKGROUND), rng)
        if choice < 0.5:
            other = _lay_out(self._draw(BACKGROUND), rng)
            bed = bed + other * (_rms(bed) / _rms(other)) * 10 ** rng.uniform(-0.5, 0.5)
        return bed

    def take(self, kind: int) -> tuple[Wave, NDArray[np.bool_], int, NDArray[np.bool_]]:
        """[160000] float32, where its event is audible, the event beneath, and where that is."""
        rng = self.rng
        audible, faint = np.zeros(T, np.bool_), np.zeros(T, np.bool_)
        beneath = self._another(kind)
        bed = self._bed() if beneath == BACKGROUND else _lay_out(self._draw(beneath), rng)
        if kind == BACKGROUND:
            mix = bed
        else:
            event = _lay_out(self._draw(kind), rng)
            if rng.random() < _BURSTS:
                event = _burst(event, rng)
            if self.rooms and rng.random() < 0.5:
                event = _reverberate(event, self.rooms[rng.integers(len(self.rooms))])
            levels = _per_second(event)
            snr = rng.uniform(*(_SNR_DB if beneath == BACKGROUND else _ANOTHER_DB))
            bed = bed * np.float32(levels.max() / (_per_second(bed).max() + 1e-9) * 10 ** (-snr / 20))
            audible = audible_seconds(event, bed)
            if beneath != BACKGROUND:
                faint = audible_seconds(bed, event, _BENEATH_DB)
            mix = event + bed
        if rng.random() < 0.6:
            mix = _colour(mix, rng)
        peak = float(np.abs(mix).max()) + 1e-9
        mix = mix / peak * np.float32(10 ** (rng.uniform(-24.0, 2.0) / 20))
        mix = mix + rng.normal(0.0, 10 ** rng.uniform(-5.0, -3.2), size=_LENGTH).astype(np.float32)
        return np.clip(mix, -1.0, 1.0).astype(np.float32), audible, beneath, faint

    def make(self, wanted: dict[int, int], progress: Callable[[float], None] = lambda _: None) -> Takes:
        """So many takes of each event (or of BACKGROUND), in the order of `wanted`."""
        kinds = [kind for kind, count in wanted.items() for _ in range(count)]
        count = len(kinds)
        patches, beneath = np.empty((count, T, 96, 64), np.float16), np.empty(count, np.int64)
        audible, faint = np.zeros((count, T), np.bool_), np.zeros((count, T), np.bool_)
        for row, kind in enumerate(kinds):
            wave, audible[row], beneath[row], faint[row] = self.take(kind)
            patches[row] = patch(wave.reshape(T, SAMPLE_RATE)).astype(np.float16)
            progress((row + 1) / count)
        near = np.full(count, BACKGROUND)
        return Takes(patches, np.asarray(kinds, np.int64), audible, beneath, faint, near)


def join(parts: Sequence[Takes]) -> Takes:
    """Several rows as one."""
    return Takes(*(np.concatenate([getattr(part, name) for part in parts]) for name in Takes.__annotations__))
