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
from .audio_pool import Pool, group_names


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


def linear_probe(
    features: NDArray[np.floating], labels: NDArray[np.integer], held: NDArray[np.floating], seed: int = 0
) -> NDArray[np.float32]:
    """Logits of a softmax regression trained on (features, labels), classes weighted evenly."""
    import torch
    from torch.nn import functional as F

    torch.manual_seed(seed)
    x = torch.from_numpy(np.asarray(features, np.float32))
    y = torch.from_numpy(np.asarray(labels, np.int64))
    mean, spread = x.mean(0), x.std(0) + 1e-3
    layer = torch.nn.Linear(x.shape[1], len(EVENT_NAMES))
    optimizer = torch.optim.AdamW(layer.parameters(), lr=5e-3, weight_decay=0.1)
    share = torch.bincount(y, minlength=len(EVENT_NAMES)).clamp_min(1).float()
    weight = (len(y) / share).sqrt()
    x = (x - mean) / spread
    for _ in range(150):
        optimizer.zero_grad()
        F.cross_entropy(layer(x), y, weight).backward()
        optimizer.step()
    with torch.inference_mode():
        return np.asarray(layer((torch.from_numpy(np.asarray(held, np.float32)) - mean) / spread).numpy())


def network_logits(network: object, pool: Pool, batch: int = 256) -> NDArray[np.float32]:
    """[N, 28] class logits of an `AudioCNN` over a pool's patches."""
    import torch

    from ...backbones.audio_cnn import AudioCNN

    assert isinstance(network, AudioCNN)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pool), batch):
            patches = torch.from_numpy(pool.patches[start : start + batch].astype(np.float32))
            parts.append(network.class_logits(network(patches)).numpy())
    return np.concatenate(parts)
