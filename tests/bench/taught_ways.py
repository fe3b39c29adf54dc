"""Of `taught.py`: the ways to teach that are compared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from avel_live.model.tails import normal_tail
from avel_live.model.teach.demands import STRANGE, demanded
from avel_live.model.teach.lesson import Everything, Seconds, teach
from avel_live.model.teach.pack import USED, Mode
from avel_live.model.teach.probe import Doubles, Floats, both, centre, directions, fit_probe
from avel_live.model.teach.senses import Sense

Judge = Callable[[Floats, Floats], np.ndarray]
"""Sounds [N, D] and pictures [N, D] of the same seconds → [N] which of them are the event."""


def paired(bank: dict[Sense, Floats], judge: Callable[[Floats, Floats], Doubles]) -> Doubles:
    sound = np.repeat(bank["audio"], 12, axis=0)
    shown = bank["visual"][np.random.default_rng(5).integers(0, len(bank["visual"]), len(sound))]
    return judge(sound, shown)


def taught(examples: Seconds, bank: dict[Sense, Floats], per_hour: float, mode: Mode) -> Judge:
    nobody = Seconds(
        {one: np.zeros((0, bank[one].shape[1]), np.float32) for one in bank},
        {one: np.zeros(0, bool) for one in bank},
        np.zeros(0, np.int64),
        np.zeros(0, bool),
    )
    count = int(examples.of.max()) + 1
    lesson = teach(examples, list(range(count)), Everything(bank, nobody), mode, per_hour)
    p = lesson.probes
    if mode == "heard":
        return lambda a, v: p["audio"](a) >= lesson.threshold

    def judge(a: Floats, v: Floats) -> np.ndarray:
        each = {"visual": p["visual"](v), "audio": p["audio"](a)}
        joint = both(each["visual"], each["audio"])
        return np.asarray(demanded(joint, each, lesson.floors, lesson.threshold) >= lesson.threshold)

    return judge


def centroid(examples: Seconds, bank: dict[Sense, Floats], per_hour: float, mode: Mode) -> Judge:
    """Nearest centroid: the lesser of two cosines to the examples' means, its threshold by the same tail."""
    means = {one: centre(bank[one]) for one in USED[mode]}
    real = examples.where(~examples.copy)
    to = {one: directions(real.arrays[one], means[one]).mean(axis=0) for one in means}
    to = {one: row / np.linalg.norm(row) for one, row in to.items()}

    def score(a: Floats, v: Floats) -> Doubles:
        given: dict[Sense, Floats] = {"audio": a, "visual": v}
        each = [directions(given[one], means[one]) @ to[one] for one in means]
        return np.asarray(np.min(each, axis=0), np.float64)

    level = normal_tail(paired(bank, score), per_hour / 3600 / STRANGE)
    return lambda a, v: score(a, v) >= level


def linear(examples: Seconds, bank: dict[Sense, Floats], per_hour: float, mode: Mode) -> Judge:
    """One linear probe on both embeddings side by side, background paired at random; the same tail."""

    def side(a: Floats, v: Floats) -> Floats:
        if mode == "heard":
            return a
        # `fit_probe` takes roots and lengths itself; squares of what is centred keep it a linear probe.
        return np.concatenate([np.sqrt(np.maximum(a, 0)), np.sqrt(np.maximum(v, 0))], axis=1) ** 2

    real = examples.where(~examples.copy)
    rng = np.random.default_rng(6)
    shown = bank["visual"][rng.integers(0, len(bank["visual"]), len(bank["audio"]))]
    negative = side(bank["audio"], shown)
    half = len(negative) // 2
    share = 1 / np.bincount(real.of)[real.of]
    positive = side(real.arrays["audio"], real.arrays["visual"])
    first = fit_probe(positive, share, negative[:half], centre(negative[:half]))
    level = normal_tail(first(negative[half:]), per_hour / 3600 / STRANGE)
    whole = fit_probe(positive, share, negative, centre(negative))
    return lambda a, v: whole(side(a, v)) >= level
