"""Recordings as the live chain sees them, features kept: another head costs seconds, not minutes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from avel_live.model.probabilities import softmax
from avel_live.model.profiles import WINDOW
from avel_live.model.runtime.base import Engine
from avel_live.model.runtime.networks import network_digest
from avel_live.realtime.core.clock import SystemClock
from avel_live.realtime.core.messages import Scores
from avel_live.realtime.recordings import labelled
from avel_live.realtime.recordings.labelled import Clip

PARTS = ("visual", "audio", "has_video", "has_audio")
Features = tuple[np.ndarray, ...]
"""PARTS of a clip: [S, 7, 7, Dv], [S, Da], [S], [S]."""


class Listening:
    """An engine that keeps the newest second of every look."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.kept: list[Features] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def head(self, *window: Any) -> Any:
        """As the engine's, with the features kept."""
        self.kept.append(tuple(np.array(part[-1]) for part in window))
        return self._engine.head(*window)


def key(engine: Engine, ear: Path | None = None) -> str:
    """Of what the features come from: eye and ear, their weights and editions, and the precision."""
    made_of = (network_digest("visual", engine.profile), network_digest("audio", engine.profile, ear))
    return hashlib.sha256(" ".join((engine.info.precision, *made_of)).encode()).hexdigest()[:16]


def looks(engine: Engine, seen: Features) -> tuple[Scores, ...]:
    """What the head says hop by hop of features, as it did while they were made."""
    found = []
    for hop in range(len(seen[0])):
        first = max(0, hop + 1 - WINDOW)
        window = [part[first : hop + 1] for part in seen]
        logits, attention = engine.head(*window)
        valid = window[2] | window[3]
        found.append(Scores(hop, first, logits, softmax(logits), attention, valid))
    return tuple(found)


def features(file: Path, engine: Engine, play: Callable[[Engine], object]) -> Features:
    """Those kept in a file; else `play` runs a stream with the engine it is given, and they are kept.

    Args:
        file: ends with `.npz`.
        engine: the networks.
        play: the stream.

    """
    if not file.is_file():
        listening = Listening(engine)
        play(listening)  # type: ignore[arg-type]
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.with_suffix(".part").open("wb") as out:
            np.savez(out, *(np.stack(part) for part in zip(*listening.kept, strict=True)))
        file.with_suffix(".part").replace(file)
    with np.load(file) as data:
        return tuple(data[f"arr_{k}"] for k in range(len(PARTS)))


def clips(folder: Path, engine: Engine, kept: Path, ear: Path | None = None) -> Iterator[Clip]:
    """The clips of a manifest; features are kept in a folder, a file for each clip, network and precision.

    Args:
        folder: with MANIFEST.tsv.
        engine: of the profile; its head is the one that is asked.
        kept: the folder for the features.
        ear: weights of the ear, where the profile has none of its own.

    """
    name = f"{engine.profile.name}-{key(engine, ear)}"
    for path, targets, of in labelled._manifest(folder, engine.info.labels):
        inside = path.relative_to(folder).as_posix()
        file = kept / f"{inside.replace('/', '_')}-{name}.npz"

        def play(listening: Engine, path: Path = path) -> object:
            return labelled.recording(path, listening, SystemClock())

        yield Clip(inside, looks(engine, features(file, engine, play)), targets, of)
