"""The pool: patches of mixed, coloured and damaged sound with labels and the teacher's answers, made once.

A pool is a folder of shards (`00000.npz` …), each made from its own seed, so that an interrupted build
goes on where it stopped and several processes may build it together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...labels import BACKGROUND
from ...logmel import PATCH_SAMPLES, log_mel
from ...sound import SAMPLE_RATE
from . import audio_augment as augment
from .audio_data import SoundBank, loud_starts
from .stages import keep_arrays
from .teacher import Teacher

SHARD: Final = 1_000
SHARE_BACKGROUND: Final = 0.22
SHARE_NOTHING: Final = 0.04
# A second sound below −12 dB is not heard; down to −4 dB it is left open; above it counts.
OPEN_BELOW_DB: Final = -4.0
SILENT_BELOW_DB: Final = -12.0
_SPEECH: Final = (1, 5)


@dataclass(frozen=True)
class Pool:
    """N patches with what is known about each."""

    patches: NDArray[np.float16]
    """[N, 96, 64] log-mel."""
    labels: NDArray[np.uint8]
    """[N, 28]: 1 heard, 0 not, 2 open."""
    groups: NDArray[np.int16]
    """[N, 2]: group of each sound in it (index into the sorted groups of the bank), −1 for none."""
    files: NDArray[np.int16]
    """[N]: index of the main sound, −1 where there is none."""
    scores: NDArray[np.float16]
    """[N, 521] the teacher's scores."""
    embedding: NDArray[np.float16]
    """[N, 1024] the teacher's embedding."""

    def __len__(self) -> int:
        return len(self.patches)

    def join(self, other: Pool) -> Pool:
        """Both, one after the other."""
        names = Pool.__annotations__
        return Pool(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names))

    def take(self, rows: NDArray[np.bool_]) -> Pool:
        """The patches where `rows` is true."""
        return Pool(*(getattr(self, name)[rows] for name in Pool.__annotations__))

    def without(self, groups: Collection[int]) -> Pool:
        """The patches in which no sound of these groups is heard."""
        if not groups:
            return self
        return self.take(np.logical_not(np.isin(self.groups, list(groups)).any(axis=1)))


def group_names(bank: SoundBank) -> list[str]:
    """What may be held out, sorted."""
    return sorted({sound.group for sound in bank.sounds})


class Mixer:
    """Draws one training second after another: class first, then source, then file."""

    def __init__(self, bank: SoundBank) -> None:
        self.bank = bank
        self.group_index = {name: i for i, name in enumerate(group_names(bank))}
        self.by_class: dict[int, dict[str, list[int]]] = {}
        for index, sound in enumerate(bank.sounds):
            if sound.trainable:
                self.by_class.setdefault(sound.label, {}).setdefault(sound.group, []).append(index)
        events = [label for label in sorted(self.by_class) if label != BACKGROUND]
        sizes = np.array([sum(map(len, self.by_class[label].values())) for label in events])
        # Two files can't teach as much as two hundred: the thinnest classes get a third of a full share.
        shares = np.clip(np.sqrt(sizes / 40.0), 0.33, 1.0)
        shares[[events.index(label) for label in _SPEECH if label in events]] *= 2.0
        self.events, self.shares = events, shares / shares.sum()

    def pick(self, rng: np.random.Generator, label: int | None = None) -> int:
        """Index of a trainable sound, of that class or of a drawn event class."""
        if label is None:
            label = int(rng.choice(self.events, p=self.shares))
        sources = self.by_class[label]
        names = sorted(sources)
        weights = np.sqrt([len(sources[name]) for name in names])
        files = sources[names[int(rng.choice(len(names), p=weights / weights.sum()))]]
        return files[int(rng.integers(len(files)))]

    def cut(self, rng: np.random.Generator, index: int) -> augment.Wave:
        """0.975 s of a sound, pitched and timed anew, with the event audible in it."""
        sound, wave = self.bank.sounds[index], self.bank.wave(index)
        is_speech = sound.label in _SPEECH
        room = int(PATCH_SAMPLES * 1.9)
        starts = loud_starts(wave, PATCH_SAMPLES, SAMPLE_RATE // 4, 20.0)
        begin = int(rng.choice(starts)) + int(rng.integers(-2_000, 2_000))
        wave = wave[max(0, begin) : max(0, begin) + room]
        chance = rng.random()
        if is_speech:
            if chance < 0.3 and sound.label == _SPEECH[0]:
                wave = augment.raise_voice(wave, float(rng.uniform(1.1, 1.8)))
            elif chance < 0.2:
                wave = augment.raise_voice(wave, float(rng.uniform(0.85, 1.25)))
            elif chance < 0.7:
                wave = augment.resample(wave, float(2 ** (rng.uniform(-1, 1) / 12)))
        elif chance < 0.6:
            wave = augment.resample(wave, float(2 ** (rng.uniform(-5, 5) / 12)))
        if len(wave) < PATCH_SAMPLES:
            wave = self._place(rng, wave)
        return wave[:PATCH_SAMPLES]

    def _place(self, rng: np.random.Generator, wave: augment.Wave) -> augment.Wave:
        """A short sound somewhere in the second, or said again after a pause."""
        out = np.zeros(PATCH_SAMPLES, np.float32)
        at = int(rng.integers(0, PATCH_SAMPLES - len(wave) + 1))
        if len(wave) < PATCH_SAMPLES // 2 and rng.random() < 0.5:
            at = int(rng.integers(0, max(1, at)))
            again = at + len(wave) + int(rng.integers(0, 4_000))
            rest = out[again : again + len(wave)]
            rest += wave[: len(rest)]
        out[at : at + len(wave)] += wave[: PATCH_SAMPLES - at]
        return out

    def draw(self, rng: np.random.Generator) -> tuple[augment.Wave, NDArray[np.uint8], tuple[int, int], int]:
        """One second: wave [15600], labels [28] (0, 1, 2 = open), groups, main file."""
        labels = np.zeros(BACKGROUND, np.uint8)
        kind = rng.random()
        if kind < SHARE_NOTHING:
            wave = np.zeros(PATCH_SAMPLES, np.float32)
            if rng.random() < 0.8:
                wave = augment.level(rng, augment.noise(rng, PATCH_SAMPLES))
            return wave, labels, (-1, -1), -1
        main = self.pick(rng, BACKGROUND if kind < SHARE_NOTHING + SHARE_BACKGROUND else None)
        wave = self._coloured(rng, main)
        groups = [self.group_index[self.bank.sounds[main].group], -1]
        if (label := self.bank.sounds[main].label) != BACKGROUND:
            labels[label] = 1
        if rng.random() < 0.55:
            second = self.pick(rng, BACKGROUND if rng.random() < 0.6 else None)
            ratio_db = float(rng.uniform(-5.0, 20.0))
            other = self._coloured(rng, second)
            other *= np.float32(np.sqrt(augment.power(wave) / augment.power(other)) * 10 ** (-ratio_db / 20))
            wave = wave + other
            groups[1] = self.group_index[self.bank.sounds[second].group]
            if (label := self.bank.sounds[second].label) != BACKGROUND and not labels[label]:
                labels[label] = 1 if -ratio_db >= OPEN_BELOW_DB else 2 * (-ratio_db >= SILENT_BELOW_DB)
        if rng.random() < 0.4:
            gain = np.sqrt(augment.power(wave)) * 10 ** (-rng.uniform(0.0, 35.0) / 20)
            wave = wave + augment.noise(rng, PATCH_SAMPLES) * np.float32(gain)
        wave = augment.level(rng, wave)
        if rng.random() < 0.1:
            wave = augment.codec(rng, wave)
        return wave, labels, (groups[0], groups[1]), main

    def _coloured(self, rng: np.random.Generator, index: int) -> augment.Wave:
        wave = self.cut(rng, index)
        if rng.random() < 0.6:
            rooms = augment.room_bank()
            room = rooms[int(rng.integers(len(rooms)))] if rng.random() < 0.6 else None
            wave = augment.colour(rng, wave, room, 9.0)
        return wave


def build_audio_pool(
    bank: SoundBank,
    teacher: Teacher,
    folder: Path,
    *,
    shards: Sequence[int],
    seed: int = 0,
    progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Make the shards that do not exist yet; each depends on `seed` and its own number only."""
    folder.mkdir(parents=True, exist_ok=True)
    mixer = Mixer(bank)
    for done, number in enumerate(shards):
        path = folder / f"{number:05d}.npz"
        if not path.is_file():
            rng = np.random.default_rng((seed, number))
            drawn = [mixer.draw(rng) for _ in range(SHARD)]
            waves = np.stack([item[0] for item in drawn])
            patches = np.concatenate([log_mel(waves[i : i + 50]) for i in range(0, SHARD, 50)])
            lesson = teacher.teach(patches)
            keep_arrays(
                path,
                patches=patches.astype(np.float16),
                labels=np.stack([item[1] for item in drawn]),
                groups=np.array([item[2] for item in drawn], np.int16),
                files=np.array([item[3] for item in drawn], np.int16),
                scores=lesson.scores,
                embedding=lesson.embedding,
            )
        progress((done + 1) / len(shards))


def build_clean_pool(bank: SoundBank, teacher: Teacher, path: Path, most_per_file: int = 12) -> None:
    """Every sound as it is, second by second where it is loud: what folds are measured on."""
    if path.is_file():
        return
    waves: list[augment.Wave] = []
    files: list[int] = []
    for index in range(len(bank.sounds)):
        wave = bank.wave(index)
        starts = loud_starts(wave, PATCH_SAMPLES, SAMPLE_RATE, 20.0)[:most_per_file]
        for start in starts:
            piece = wave[start : start + PATCH_SAMPLES]
            waves.append(np.pad(piece, (0, PATCH_SAMPLES - len(piece))))
            files.append(index)
    stacked = np.stack(waves)
    patches = np.concatenate([log_mel(stacked[i : i + 50]) for i in range(0, len(stacked), 50)])
    lesson = teacher.teach(patches)
    group_index = {name: i for i, name in enumerate(group_names(bank))}
    labels = np.zeros((len(files), BACKGROUND), np.uint8)
    groups = np.full((len(files), 2), -1, np.int16)
    for row, index in enumerate(files):
        sound = bank.sounds[index]
        groups[row, 0] = group_index[sound.group]
        if sound.label != BACKGROUND:
            labels[row, sound.label] = 1
    keep_arrays(
        path,
        patches=patches.astype(np.float16),
        labels=labels,
        groups=groups,
        files=np.array(files, np.int16),
        scores=lesson.scores,
        embedding=lesson.embedding,
    )


def load_pool(paths: Sequence[Path]) -> Pool:
    """Shards joined in memory (about 15 kB a patch)."""
    parts = [np.load(path) for path in paths]
    return Pool(*(np.concatenate([part[name] for part in parts]) for name in Pool.__annotations__))
