"""What choosing pictures by change costs in accuracy and saves in work: on composed scenes that move.

    python tests/bench/keyframes.py --photos DIR --sounds DIR [--scenes 56] [--profile lite] [--json FILE]

Both folders hold a folder a class (AVE's names, `_` for a space, `_bg` for anything else). A scene is ten
seconds at 16 pictures a second: a photograph under a camera that stands, shakes, pans or zooms, or a cut to
another photograph; light that flickers a little; a sensor's noise. The sound of the class lies in a span of
it, something else around. Every scene goes through the live stream once for each setting, so all columns are
of the same pictures and sounds:

    right      seconds settled as composed, %
    as all     seconds settled as with `--frames all`, %
    computed   pictures a second that went through the visual network; by motion in brackets
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
from avel_live.model.labels import BACKGROUND, LABELS
from avel_live.model.runtime.base import Engine, EngineOptions
from avel_live.model.runtime.select import load_engine
from avel_live.realtime.config.schema import NONE, Config
from avel_live.realtime.core.clock import NS_PER_S, SystemClock
from avel_live.realtime.core.messages import EndOfStream, SourceInfo, TimedAudio, TimedFrame
from avel_live.realtime.session.calibration import ActiveCalibration
from avel_live.realtime.session.open import open_stream
from avel_live.realtime.sources.base import Item, Source
from avel_live.realtime.stream import judge
from avel_live.realtime.stream.keyframes import THRESHOLD, KeyFrames
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

SECONDS, FPS, RATE, SIZE = 10, 16, 16_000, 224
MOTIONS = ("stands", "shakes", "pans", "zooms", "cut")
SETTINGS = [
    ("all", THRESHOLD), ("16", THRESHOLD), ("4", 0.0), ("4", 6.0), ("4", THRESHOLD), ("4", 24.0),
    ("auto", THRESHOLD), ("2", THRESHOLD), ("1", THRESHOLD),
]  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """Pictures [160, 224, 224, 3], sound [160000], and the label of each second."""

    motion: str
    items: list[Item]
    truth: NDArray[np.int64]


class Played(Source):
    """A scene as a recording."""

    def __init__(self, items: list[Item]) -> None:
        self.info = SourceInfo("scene", "file", "224×224", "16000 Hz")
        self._items = iter(items)

    def open(self) -> None:
        """Nothing to open."""

    def read(self, timeout_s: float) -> Item:
        """See `Source.read`."""
        return next(self._items, EndOfStream(SECONDS * NS_PER_S))

    def close(self) -> None:
        """Nothing to close."""


def sound(path: Path, rng: np.random.Generator) -> NDArray[np.float32]:
    """Ten seconds of a file at 16 kHz, repeated where it is shorter."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("flt", "mono", RATE)
        parts = [f.to_ndarray()[0] for frame in container.decode(audio=0) for f in resampler.resample(frame)]
    samples = np.concatenate(parts) if parts else np.zeros(RATE, np.float32)
    samples = np.resize(samples, max(len(samples), SECONDS * RATE))
    start = rng.integers(0, len(samples) - SECONDS * RATE + 1)
    return samples[start : start + SECONDS * RATE]


def view(photo: NDArray[np.uint8], centre: NDArray[np.float64], share: float) -> NDArray[np.uint8]:
    """A window of `share` of the photograph around `centre` (0..1), squeezed to 224×224."""
    height, width = photo.shape[:2]
    scale = np.array([[width * share / SIZE, 0, 0], [0, height * share / SIZE, 0]])
    scale[:, 2] = (centre * (1 - share)) * (width, height)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(photo, scale, (SIZE, SIZE), flags=flags), np.uint8)


def pictures(
    photos: list[NDArray[np.uint8]], motion: str, rng: np.random.Generator
) -> list[NDArray[np.uint8]]:
    """160 pictures of a camera that moves so."""
    centre, way = rng.random(2), rng.normal(0, 1, 2)
    noise, cut = rng.uniform(1, 6), rng.integers(40, 120)
    made = []
    for k in range(SECONDS * FPS):
        t = k / (SECONDS * FPS)
        at, share, photo = centre, 0.9, photos[0]
        if motion == "shakes":
            at = centre + rng.normal(0, 0.08, 2)
        elif motion == "pans":
            at, share = 0.5 + 0.45 * np.sin(2 * np.pi * t + way), 0.7
        elif motion == "zooms":
            share = 0.95 - 0.5 * t
        elif motion == "cut" and k >= cut:
            photo = photos[1]
        image = view(photo, np.clip(at, 0, 1), share).astype(np.float32)
        image = image * (1 + rng.normal(0, 0.003)) + rng.normal(0, noise, image.shape)
        made.append(image.clip(0, 255).astype(np.uint8))
    return made


def scenes(photos: Path, sounds: Path, count: int, seed: int) -> Iterator[Scene]:
    """Scenes of every class in turn that has both."""
    rng = np.random.default_rng(seed)
    seen = {p.name: sorted(p.glob("*.jpg")) for p in photos.iterdir() if p.is_dir()}
    heard = {p.name: sorted([*p.glob("*.ogg"), *p.glob("*.wav")]) for p in sounds.iterdir() if p.is_dir()}
    names = [label.replace(" ", "_").replace(",", "") for label in LABELS[:BACKGROUND]]
    usable = [k for k, name in enumerate(names) if seen.get(name) and heard.get(name)]
    for number in range(count):
        label = usable[number % len(usable)]
        motion = MOTIONS[number % len(MOTIONS)]
        chosen = [seen[names[label]][rng.integers(len(seen[names[label]]))] for _ in range(2)]
        images = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in chosen]
        voice = sound(heard[names[label]][rng.integers(len(heard[names[label]]))], rng)
        other = sound(heard["_bg"][rng.integers(len(heard["_bg"]))], rng) * np.float32(0.3)
        first, last = sorted(rng.choice(SECONDS + 1, 2, replace=False).tolist())
        truth = np.full(SECONDS, BACKGROUND, np.int64)
        truth[first:last] = label
        mixed = other.copy()
        mixed[first * RATE : last * RATE] += voice[first * RATE : last * RATE]
        items: list[Item] = [
            TimedFrame(k * NS_PER_S // FPS, image) for k, image in enumerate(pictures(images, motion, rng))
        ]
        items += [TimedAudio(p, mixed[p : p + 1600]) for p in range(0, len(mixed), 1600)]
        items.sort(key=lambda i: i.t_ns if isinstance(i, TimedFrame) else i.position * NS_PER_S // RATE)  # type: ignore[union-attr]
        yield Scene(motion, items, truth)


class Counting:
    """An engine that counts its pictures."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.pictures = engine, 0

    def visual(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Engine.visual`."""
        self.pictures += len(frames)
        return self._engine.visual(frames)

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)


def settled(scene: Scene, engine: Counting, frames: str) -> NDArray[np.int64]:
    """The label of each second."""
    config = Config(calibration=NONE, frames=frames)  # type: ignore[arg-type]
    answer = np.full(SECONDS, BACKGROUND, np.int64)
    clock = SystemClock()
    with open_stream(config, Played(scene.items), engine, clock, active=ActiveCalibration()) as stream:  # type: ignore[arg-type]
        for one in stream.seconds():
            answer[one.index] = one.label
    return answer


def main() -> None:
    """Play every scene with every setting and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--sounds", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=56)
    parser.add_argument("--profile", default="lite")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    engine = load_engine(EngineOptions(profile=given.profile))
    answers: dict[tuple[str, float], list[NDArray[np.int64]]] = {setting: [] for setting in SETTINGS}
    counts: dict[tuple[str, float], dict[str, list[int]]] = {s: {m: [] for m in MOTIONS} for s in SETTINGS}
    truth: list[NDArray[np.int64]] = []
    made = scenes(given.photos, given.sounds, given.scenes, given.seed)
    for scene in track(made, "scenes", total=given.scenes, console=Console(stderr=True)):
        truth.append(scene.truth)
        for setting in SETTINGS:
            frames, threshold = setting
            counting = Counting(engine)
            judge.KeyFrames = partial(KeyFrames, threshold=threshold)  # type: ignore[misc, assignment]
            answers[setting].append(settled(scene, counting, frames))
            counts[setting][scene.motion].append(counting.pictures)
    right, every = np.concatenate(truth), np.concatenate(answers[SETTINGS[0]])
    table = Table(title=f"{len(truth)} scenes, {len(right)} s, {given.profile}; threshold {THRESHOLD:g}")
    for column in ("--frames", "threshold", "right", "as all", "computed", *MOTIONS):
        table.add_column(column, justify="right")
    rows = []
    for setting in SETTINGS:
        got = np.concatenate(answers[setting])
        by_motion = {m: sum(c) / (SECONDS * max(1, len(c))) for m, c in counts[setting].items()}
        row = {
            "frames": setting[0],
            "threshold": setting[1],
            "right": float((got == right).mean()),
            "as_all": float((got == every).mean()),
            "computed": sum(sum(c) for c in counts[setting].values()) / len(right),
            "by_motion": by_motion,
        }
        rows.append(row)
        limit = "" if setting[0] == "all" else f"{setting[1]:g}"
        cells = [f"{100 * float(row[k]):.1f}" for k in ("right", "as_all")]  # type: ignore[arg-type]
        table.add_row(
            setting[0], limit, *cells, f"{row['computed']:.2f}", *(f"{v:.2f}" for v in by_motion.values())
        )
    Console().print(table)
    if given.json is not None:
        given.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
