"""Makes the bank that ships: `python -m avel_live.model.teach.bank_maker --data DIR --yamnet FILE`.

DIR is laid out like the data of `avel train lite`: `audio/` and `photos/`, each with a MANIFEST.tsv.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..backbones.registry import YAMNET
from ..files import replacing
from ..labels import BACKGROUND, label_index
from ..profiles import get_profile
from ..runtime.base import EngineOptions
from ..sound import SAMPLE_RATE
from ..training.lite.audio_data import decode
from ..training.lite.manifests import gpl_alone, read_manifest
from .bank import FILE
from .senses import Senses

PICTURES: Final = 260
SECONDS: Final[dict[str, int]] = {"lite": 620, "lite-yamnet": 360, "full": 360}
_NOTHING: Final = 0.6
"""Share that is none of the 28 events."""
_MADE_UP: Final = 40
"""Seconds of noise, hum and silence among them."""

Row = dict[str, str]


def trainable(row: Row) -> bool:
    """Whether features of it may ship."""
    licence = row["licence"]
    free = row.get("trainable", "yes") == "yes" and not licence.startswith("ImageNet")
    return free and not gpl_alone(licence)


def chosen(rows: list[Row], count: int, rng: np.random.Generator) -> list[Row]:
    """A spread over classes and, within each, over notes and sources: none twice, `count` at most."""
    nothing = [row for row in rows if row["class"].startswith("_")]
    events = [row for row in rows if not row["class"].startswith("_")]
    taken = _spread(nothing, round(count * _NOTHING), lambda row: f"{row['source']} {row['note']}", rng)
    return taken + _spread(events, count - len(taken), lambda row: row["class"], rng)


def _spread(rows: list[Row], count: int, by: Callable[[Row], str], rng: np.random.Generator) -> list[Row]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for k in rng.permutation(len(rows)):
        groups[by(rows[k])].append(rows[k])
    taken: list[Row] = []
    while len(taken) < count and any(groups.values()):
        taken += [group.pop() for group in groups.values() if group]
    return taken[:count]


def _kind(row: Row) -> int:
    return BACKGROUND if row["class"].startswith("_") else label_index(row["class"])


def pictures(folder: Path, senses: Senses, rng: np.random.Generator) -> Iterator[tuple[Any, int]]:
    """Embedding and event of each photograph."""
    import cv2

    for row in chosen([r for r in read_manifest(folder) if trainable(r)], PICTURES, rng):
        image = cv2.imread(str(folder / row["file"]))
        if image is not None:
            small = cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA)[None, ..., ::-1]
            yield senses.see(np.asarray(small, np.uint8)).embedding[0], _kind(row)


def sounds(folder: Path, senses: Senses, count: int, rng: np.random.Generator) -> Iterator[tuple[Any, int]]:
    """Embedding and event of each second: the loudest of a recording, at some level."""
    for row in chosen([r for r in read_manifest(folder) if trainable(r)], count - _MADE_UP, rng):
        wave = decode(folder / row["file"]).astype(np.float32) / 32768
        wave = np.pad(wave, (0, max(0, SAMPLE_RATE - len(wave))))
        parts = wave[: len(wave) // SAMPLE_RATE * SAMPLE_RATE].reshape(-1, SAMPLE_RATE)
        second = parts[np.square(parts).mean(axis=1).argmax()]
        yield senses.hear(_at(second, rng.uniform(-40, -15))).embedding[0], _kind(row)
    for _ in range(_MADE_UP):
        yield senses.hear(_made_up(rng)).embedding[0], BACKGROUND


def _at(second: NDArray[np.float32], dbfs: float) -> NDArray[np.float32]:
    rms = float(np.sqrt(np.square(second).mean())) + 1e-9
    return np.asarray(np.clip(second * (10 ** (dbfs / 20) / rms), -1, 1), np.float32)


def _made_up(rng: np.random.Generator) -> NDArray[np.float32]:
    """A second of coloured noise with a hum, at the level of a room."""
    spectrum = np.fft.rfft(rng.normal(size=SAMPLE_RATE))
    spectrum /= np.maximum(1.0, np.arange(len(spectrum))) ** rng.uniform(0, 1)
    noise = np.fft.irfft(spectrum, SAMPLE_RATE)
    noise /= noise.std()
    hum = np.sin(2 * np.pi * rng.choice([50, 60, 100, 120]) * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    return _at((noise + rng.uniform(0, 2) * hum).astype(np.float32), rng.uniform(-80, -35))


def packed(found: Iterator[tuple[Any, int]], digest: str) -> dict[str, NDArray[Any]]:
    """As it lies in the file: eight bits, one scale."""
    embeddings, kinds = zip(*found, strict=True)
    whole = np.stack(embeddings)
    scale = np.float32(whole.max() / 255)
    return {
        f"{digest}.embedding": np.round(whole / scale).astype(np.uint8),
        f"{digest}.scale": np.array([scale], np.float32),
        f"{digest}.kind": np.array(kinds, np.uint8),
    }


def main() -> None:
    """Write the bank."""
    from safetensors.numpy import save_file

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--yamnet", type=Path, help="its .tflite; fetched where it is not given")
    parser.add_argument("--out", type=Path, default=FILE)
    given = parser.parse_args()
    arrays: dict[str, NDArray[Any]] = {}
    for name, count in SECONDS.items():
        weights = given.yamnet if get_profile(name).audio == YAMNET else None
        senses = Senses(EngineOptions(profile=name, audio_weights=weights))
        if f"{senses.digest('visual')}.embedding" not in arrays:
            made = pictures(given.data / "photos", senses, np.random.default_rng(0))
            arrays |= packed(made, senses.digest("visual"))
        if f"{senses.digest('audio')}.embedding" not in arrays:
            made = sounds(given.data / "audio", senses, count, np.random.default_rng(1))
            arrays |= packed(made, senses.digest("audio"))
    with replacing(given.out) as temporary:
        save_file(arrays, temporary)
    print(f"{given.out.name}: {given.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
