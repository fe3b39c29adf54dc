"""Of `taught.py`: recordings and photographs of each class, sensed once, and how they are drawn."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from avel_live.model.labels import EVENT_NAMES, label_index
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.onnx_engine import OnnxEngine
from avel_live.model.teach.bank_maker import PICTURES, SECONDS, chosen, trainable
from avel_live.model.teach.pack import USED, Mode
from avel_live.model.teach.probe import Floats
from avel_live.model.teach.senses import Senses
from avel_live.model.teach.variations import variations
from avel_live.model.training.lite.audio_data import decode
from taught_table import kept, quiet, real_clips

RATE = 16_000
NOTHING = 900
SOUNDS, PHOTOS = 6, 4
"""Recordings and photographs that a class must have, at least."""
TESTED = 10
"""Recordings and photographs of a class that are tested with, at most."""
Pair = tuple[Floats, Floats]
"""What a sense makes of a file, and of variations of it."""
_TAKE = re.compile(r"\d-(\d+)-[A-Z](?:-\d+)?$")
"""As ESC-50 names its clips: fold, recording, take, class."""


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "MANIFEST.tsv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def kind_of(row: dict[str, str]) -> str:
    return row["class"] if row["class"].startswith("_") else EVENT_NAMES[label_index(row["class"])]


def seconds_of(file: Path, most: int = 3) -> Floats:
    """[N, 16000]: the loudest seconds of a recording, at the level of a room."""
    wave = decode(file).astype(np.float32) / 32768
    wave = np.pad(wave, (0, max(0, RATE - len(wave))))
    parts = wave[: len(wave) // RATE * RATE].reshape(-1, RATE)
    level = np.sqrt(np.square(parts).mean(axis=1))
    loud = np.flatnonzero(level > level.max() / 10)
    loud = loud[np.argsort(-level[loud])][:most]
    rng = np.random.default_rng(len(wave))
    gain = 10 ** (rng.uniform(-32, -16) / 20) / level.max()
    return np.clip(parts[loud] * gain + rng.normal(0, 1e-3, (len(loud), RATE)), -1, 1).astype(np.float32)


def picture(file: Path) -> np.ndarray | None:
    image = cv2.imread(str(file))
    if image is None:
        return None
    return np.asarray(cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA)[..., ::-1], np.uint8)


class Field:
    """All material, sensed once."""

    def __init__(self, data: Path, only: Sequence[str], cache: Path | None, mode: Mode) -> None:
        self.mode, self.used = mode, USED[mode]
        self.senses = Senses(EngineOptions())
        self.engine = OnnxEngine(EngineOptions(backend="onnxruntime", threads=1))
        audio, photos = rows_of(data / "audio"), rows_of(data / "photos")
        in_bank = {r["file"] for r in chosen([r for r in photos if trainable(r)], PICTURES, seeded(0))}
        in_bank |= {
            r["file"] for r in chosen([r for r in audio if trainable(r)], SECONDS["lite"] - 40, seeded(1))
        }
        by_sound, by_photo = _by_kind(audio), _by_kind(photos)
        for k in EVENT_NAMES:
            if "speech" in k:
                by_photo[k] = by_photo["_person"]
        self.kinds = [
            k
            for k in EVENT_NAMES
            if len(by_sound[k]) >= SOUNDS
            and (len(by_photo[k]) >= PHOTOS or mode == "heard")
            and (not only or k in only)
        ]
        rng = {k: seeded(EVENT_NAMES.index(k)) for k in self.kinds}
        self.sounds = {
            k: [data / "audio" / r["file"] for r in _some(by_sound[k], 32, rng[k])] for k in self.kinds
        }
        self.photos = {
            k: [data / "photos" / r["file"] for r in _some(by_photo[k], 32, rng[k])] for k in self.kinds
        }
        other_sounds = [r for r in audio if r["file"] not in in_bank]
        other_photos = [r for r in photos if r["file"] not in in_bank]
        sounds, photos = _some(other_sounds, NOTHING, seeded(7)), _some(other_photos, NOTHING // 3, seeded(8))
        self.nothing_sound = kept(cache, "sounds", lambda: self._nothing(sounds, data / "audio"))
        self.nothing_photo = kept(cache, "photos", lambda: self._nothing(photos, data / "photos"))
        self.quiet = kept(cache, "quiet", lambda: quiet(self.senses, data))
        self.clips = kept(cache, "clips", lambda: real_clips(self.senses, data / "clips"))
        nothing = np.zeros((1, 1280), np.float32), np.zeros((3, 1280), np.float32)
        self.heard: dict[str, list[Pair]] = {}
        self.seen: dict[str, list[Pair]] = {k: [nothing] * 32 for k in self.kinds}
        for k in self.kinds:
            self.heard[k] = _pairs(kept(cache, f"heard {k}", lambda k=k: _all(self._hear, self.sounds[k])))
            if mode == "both":
                self.seen[k] = _pairs(kept(cache, f"seen {k}", lambda k=k: _all(self._see, self.photos[k])))

    def _nothing(self, rows: list[dict[str, str]], folder: Path) -> tuple[np.ndarray, ...]:
        made, kinds = [], []
        for row in rows:
            if folder.name == "audio":
                made.append(self.senses.hear(seconds_of(folder / row["file"], 1)[0]).embedding[0])
            elif (image := picture(folder / row["file"])) is not None:
                made.append(self.senses.see(image[None]).embedding[0])
            else:
                continue
            kinds.append(kind_of(row))
        return np.stack(made), np.array(kinds)

    def _hear(self, file: Path) -> Pair:
        """Real seconds and varied ones."""
        parts = seconds_of(file)
        blank = np.zeros((1, 224, 224, 3), np.uint8)
        varied = [w for part in parts for _, w in variations(blank, part, seeded(3))]
        hear = lambda waves: np.concatenate([self.senses.hear(w).embedding for w in waves])  # noqa: E731
        return hear(parts), hear(varied)

    def _see(self, file: Path) -> Pair:
        image = picture(file)
        assert image is not None, file
        varied = [v[0] for v, _ in variations(image[None], np.zeros(RATE, np.float32), seeded(4))]
        return self.senses.see(image[None]).embedding, self.senses.see(np.stack(varied)).embedding


def _all(sense: Callable[[Path], Pair], files: Sequence[Path]) -> tuple[np.ndarray, ...]:
    return tuple(part for file in files for part in sense(file))


def _pairs(parts: Sequence[np.ndarray]) -> list[Pair]:
    return list(zip(parts[::2], parts[1::2], strict=True))


def series(file: Path) -> str:
    """What takes of one thing share: a recording's number, or a name without the number at its end."""
    take = _TAKE.search(file.stem)
    return take[1] if take else re.sub(r"[\W_]*\d+$", "", file.stem)


def apart(files: Sequence[Path], rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Which recordings may be examples, and which are tested with: never takes of one thing on both sides.

    A series of two thirds of a class and more (phrases of one sound font) is taken file by file.
    """
    names = [series(file) for file in files]
    names = [n if names.count(n) < len(names) * 2 / 3 else str(f) for n, f in zip(names, files, strict=True)]
    wanted = min(TESTED, len(files) // 2)
    tested: list[int] = []
    for name in rng.permutation(sorted(set(names))):
        of = [k for k, n in enumerate(names) if n == name]
        if len(tested) < wanted and len(files) - len(tested) - len(of) >= 3:
            tested += of
    left = [k for k in range(len(files)) if k not in tested]
    return rng.permutation(left).tolist(), rng.permutation(tested)[:wanted].tolist()


def seeded(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _by_kind(rows: list[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        found[kind_of(row)].append(row)
    return found


def _some(rows: list[dict[str, str]], count: int, rng: np.random.Generator) -> list[dict[str, str]]:
    return [rows[k] for k in rng.permutation(len(rows))[:count]]
