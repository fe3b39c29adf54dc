"""How well sounds of unseen sources are named: folds that hold out whole sources, per class and macro.

A recording counts once: the mean over its loud seconds, then the best of the classes. Men's and women's
speech are held out by speaker, everything else by source (publisher). A class is *tested fairly* where
it has trainable sounds of at least two groups; what the others get shows the teacher's lesson alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...labels import BACKGROUND, EVENT_NAMES
from .audio_data import SoundBank
from .audio_pool import group_names


@dataclass(frozen=True)
class Accuracy:
    """Share of recordings named rightly."""

    per_class: dict[str, tuple[float, int]]
    """Name → (share right, recordings)."""
    fair: frozenset[str]
    """Classes with trainable sounds of two or more groups."""

    def macro(self, fair_only: bool = True) -> float:
        """Mean over classes of the share right."""
        return float(
            np.mean([v for name, (v, _) in self.per_class.items() if name in self.fair or not fair_only])
        )


def source_folds(bank: SoundBank, count: int = 3) -> list[frozenset[int]]:
    """Groups (indices into `group_names`) of each fold: a class's sounds are spread as evenly as can be."""
    names = group_names(bank)
    content: dict[str, Counter[int]] = defaultdict(Counter)
    for sound in bank.sounds:
        content[sound.group][sound.label] += 1
    totals = Counter(sound.label for sound in bank.sounds)
    load = [Counter[int]() for _ in range(count)]
    folds: list[set[int]] = [set() for _ in range(count)]
    for name in sorted(names, key=lambda n: (-sum(v / totals[c] for c, v in content[n].items()), n)):
        cost = [
            sum(v / totals[c] * (load[f][c] / totals[c]) for c, v in content[name].items())
            for f in range(count)
        ]
        size = [sum(load[f].values()) for f in range(count)]
        best = min(range(count), key=lambda f: (round(cost[f], 3), size[f]))
        folds[best].add(names.index(name))
        load[best].update(content[name])
    return [frozenset(fold) for fold in folds]


def per_recording(files: NDArray[np.integer], values: NDArray[np.floating]) -> dict[int, NDArray[np.float64]]:
    """Mean of the rows of each recording."""
    return {int(f): values[files == f].mean(0, dtype=np.float64) for f in np.unique(files)}


def accuracy(bank: SoundBank, answers: dict[int, NDArray[np.float64]]) -> Accuracy:
    """Answers: recording → value per event; recordings of none of the events are left out."""
    right: dict[str, list[bool]] = defaultdict(list)
    groups: dict[str, set[str]] = defaultdict(set)
    for sound in bank.sounds:
        if sound.trainable and sound.label != BACKGROUND:
            groups[EVENT_NAMES[sound.label]].add(sound.group)
    for index, values in sorted(answers.items()):
        label = bank.sounds[index].label
        if label != BACKGROUND:
            right[EVENT_NAMES[label]].append(int(values.argmax()) == label)
    return Accuracy(
        {name: (float(np.mean(hits)), len(hits)) for name, hits in sorted(right.items())},
        frozenset(name for name, found in groups.items() if len(found) > 1),
    )
