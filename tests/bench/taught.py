"""Leave-class-out: each of AVE's classes taught anew from a few examples, as if nobody had known it.

    python tests/bench/taught.py DATA [--draws 3] [--only CLASS …]

DATA holds `audio/` and `photos/`, each with a MANIFEST.tsv. An example is a recording of the class with a
photograph of it; the test shows photographs and plays recordings that no example is from, and not of the
bank that ships either. In the shipped bank the class is left out; the shipped head, asked for comparison, is
the whole one, trained on the class (and on some of these very sounds: optimistic). What is taught is judged
second by second, without the shipped head beside it. Nothing: seconds of other classes' sounds with other
pictures, none of either in the bank; a false second is one that the class would take.

Not shown: places. Every photograph is of another one, and nobody gives a background.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from avel_live.model.labels import EVENT_NAMES, label_index
from avel_live.model.probabilities import softmax
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.onnx_engine import OnnxEngine
from avel_live.model.tails import normal_tail
from avel_live.model.teach.bank import shipped
from avel_live.model.teach.bank_maker import PICTURES, SECONDS, chosen, trainable
from avel_live.model.teach.judge import log_odds
from avel_live.model.teach.lesson import STRANGE, Everything, Seconds, teach
from avel_live.model.teach.pack import Card, Pack
from avel_live.model.teach.probe import Doubles, Floats, both, centre, directions, fit_probe
from avel_live.model.teach.senses import Sense, Sensed, Senses
from avel_live.model.teach.variations import variations
from avel_live.model.training.lite.audio_data import decode

RATE = 16_000
TESTED = 10
"""Recordings and photographs of a class that are tested with, at most."""
NOTHING = 900
PER_HOUR = 1 / 24
HOURLY = 1.0
CONCEPTS: dict[str, tuple[str, str]] = {
    "Accordion": ("Accordion", "accordion"),
    "Baby cry, infant cry": ("Baby cry, infant cry", "crib,bassinet,diaper"),
    "Bark": ("Bark,Dog", "Labrador Retriever,German Shepherd Dog,Beagle,Border Collie,Pug,Golden Retriever"),
    "Cat": ("Cat,Meow", "tabby cat,tiger cat,Persian cat,Siamese cat,Egyptian Mau"),
    "Clock": ("Clock,Tick-tock", "analog clock,wall clock,digital clock"),
    "Fixed-wing aircraft, airplane": ("Fixed-wing aircraft, airplane,Aircraft", "airliner,military aircraft"),
    "Helicopter": ("Helicopter", ""),
    "Horse": ("Horse,Neigh, whinny,Clip-clop", "common sorrel horse,horse-drawn vehicle"),
    "Train horn": ("Train horn,Train whistle", "high-speed train,electric locomotive,steam locomotive"),
}


class Material(NamedTuple):
    """What is known of recordings or photographs of one kind: per item, its rows (the first half is real)."""

    rows: list[Floats]
    copies: list[np.ndarray]


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


def spread(values: Iterable[float]) -> str:
    got = np.array(list(values))
    return f"{got.mean():5.1%} ± {got.std():.1%}"


class Field:
    """All material, sensed once."""

    def __init__(self, data: Path, only: Sequence[str]) -> None:
        self.senses = Senses(EngineOptions())
        self.engine = OnnxEngine(EngineOptions(backend="onnxruntime", threads=1))
        audio, photos = rows_of(data / "audio"), rows_of(data / "photos")
        in_bank = {r["file"] for r in chosen([r for r in photos if trainable(r)], PICTURES, _rng(0))}
        in_bank |= {
            r["file"] for r in chosen([r for r in audio if trainable(r)], SECONDS["lite"] - 40, _rng(1))
        }
        by_sound, by_photo = _by_kind(audio), _by_kind(photos)
        self.kinds = [
            k
            for k in EVENT_NAMES
            if len(by_sound[k]) >= 13 and len(by_photo[k]) >= 6 and (not only or k in only)
        ]
        rng = _rng(7)
        self.sounds = {
            k: [data / "audio" / r["file"] for r in _some(by_sound[k], 32, rng)] for k in self.kinds
        }
        self.photos = {
            k: [data / "photos" / r["file"] for r in _some(by_photo[k], 32, rng)] for k in self.kinds
        }
        other_sounds = [r for r in audio if r["file"] not in in_bank]
        other_photos = [r for r in photos if r["file"] not in in_bank]
        self.nothing_sound = self._nothing(_some(other_sounds, NOTHING, rng), data / "audio")
        self.nothing_photo = self._nothing(_some(other_photos, NOTHING // 3, rng), data / "photos")
        self.heard = {k: [self._hear(f) for f in self.sounds[k]] for k in self.kinds}
        self.seen = {k: [self._see(f) for f in self.photos[k]] for k in self.kinds}

    def _nothing(self, rows: list[dict[str, str]], folder: Path) -> tuple[Floats, np.ndarray]:
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

    def _hear(self, file: Path) -> tuple[Floats, Floats]:
        """Real seconds and varied ones."""
        parts = seconds_of(file)
        blank = np.zeros((1, 224, 224, 3), np.uint8)
        varied = [w for part in parts for _, w in variations(blank, part, _rng(3))]
        hear = lambda waves: np.concatenate([self.senses.hear(w).embedding for w in waves])  # noqa: E731
        return hear(parts), hear(varied)

    def _see(self, file: Path) -> tuple[Floats, Floats]:
        image = picture(file)
        assert image is not None, file
        varied = [v[0] for v, _ in variations(image[None], np.zeros(RATE, np.float32), _rng(4))]
        return self.senses.see(image[None]).embedding, self.senses.see(np.stack(varied)).embedding


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _by_kind(rows: list[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        found[kind_of(row)].append(row)
    return found


def _some(rows: list[dict[str, str]], count: int, rng: np.random.Generator) -> list[dict[str, str]]:
    return [rows[k] for k in rng.permutation(len(rows))[:count]]


def examples_of(field: Field, kind: str, sounds: Sequence[int], photos: Sequence[int]) -> Seconds:
    """Each example is a recording before a photograph; its seconds and their variations."""
    audio, visual, of, copy = [], [], [], []
    for number, (s, p) in enumerate(zip(sounds, photos, strict=True)):
        (real, varied), (shown, views) = field.heard[kind][s], field.seen[kind][p]
        rows = [(r, shown[0], False) for r in real] + [(v, views[k % 3], True) for k, v in enumerate(varied)]
        for a, v, is_copy in rows:
            audio.append(a), visual.append(v), of.append(number), copy.append(is_copy)
    here = np.ones(len(of), bool)
    arrays: dict[Sense, Floats] = {"audio": np.stack(audio), "visual": np.stack(visual)}
    return Seconds(arrays, {"audio": here, "visual": here}, np.array(of), np.array(copy))


Judge = Callable[[Floats, Floats], np.ndarray]
"""Sounds [N, D] and pictures [N, D] of the same seconds → [N] which of them are the event."""


def paired(bank: dict[Sense, Floats], judge: Callable[[Floats, Floats], Doubles]) -> Doubles:
    sound = np.repeat(bank["audio"], 12, axis=0)
    shown = bank["visual"][_rng(5).integers(0, len(bank["visual"]), len(sound))]
    return judge(sound, shown)


def taught(examples: Seconds, bank: dict[Sense, Floats], per_hour: float) -> Judge:
    nobody = Seconds(
        {one: np.zeros((0, bank[one].shape[1]), np.float32) for one in bank},
        {one: np.zeros(0, bool) for one in bank},
        np.zeros(0, np.int64),
        np.zeros(0, bool),
    )
    count = int(examples.of.max()) + 1
    lesson = teach(examples, list(range(count)), Everything(bank, nobody), "both", per_hour)
    p = lesson.probes
    return lambda a, v: both(p["visual"](v), p["audio"](a)) >= lesson.threshold


def centroid(examples: Seconds, bank: dict[Sense, Floats], per_hour: float) -> Judge:
    """Nearest centroid: the lesser of two cosines to the examples' means, its threshold by the same tail."""
    means = {one: centre(bank[one]) for one in bank}
    real = examples.where(~examples.copy)
    to = {one: directions(real.arrays[one], means[one]).mean(axis=0) for one in bank}
    to = {one: row / np.linalg.norm(row) for one, row in to.items()}

    def score(a: Floats, v: Floats) -> Doubles:
        each = [directions(x, means[one]) @ to[one] for one, x in (("audio", a), ("visual", v))]
        return np.asarray(np.minimum(*each), np.float64)

    level = normal_tail(paired(bank, score), per_hour / 3600 / STRANGE)
    return lambda a, v: score(a, v) >= level


def linear(examples: Seconds, bank: dict[Sense, Floats], per_hour: float) -> Judge:
    """One linear probe on both embeddings side by side, background paired at random; the same tail."""

    def side(a: Floats, v: Floats) -> Floats:
        # `fit_probe` takes roots and lengths itself; squares of what is centred keep it a linear probe.
        return np.concatenate([np.sqrt(np.maximum(a, 0)), np.sqrt(np.maximum(v, 0))], axis=1) ** 2

    real = examples.where(~examples.copy)
    rng = _rng(6)
    shown = bank["visual"][rng.integers(0, len(bank["visual"]), len(bank["audio"]))]
    negative = side(bank["audio"], shown)
    half = len(negative) // 2
    share = 1 / np.bincount(real.of)[real.of]
    positive = side(real.arrays["audio"], real.arrays["visual"])
    first = fit_probe(positive, share, negative[:half], centre(negative[:half]))
    level = normal_tail(first(negative[half:]), per_hour / 3600 / STRANGE)
    whole = fit_probe(positive, share, negative, centre(negative))
    return lambda a, v: whole(side(a, v)) >= level


def rule(field: Field, kind: str, bank: dict[Sense, Floats], per_hour: float) -> Judge | None:
    """The class as a rule over concepts; None where none was written down here."""
    from avel_live.model.teach.concepts import chosen as named

    if not all(CONCEPTS.get(kind, ("", ""))):
        return None
    hears, sees = CONCEPTS[kind]
    card = Card(
        "0" * 8,
        kind,
        "",
        "both",
        "lite",
        {},
        0.0,
        per_hour,
        hears=named("audio", hears),
        sees=named("visual", sees),
    )

    def score(a: Floats, v: Floats) -> Doubles:
        sensed: dict[Sense, Sensed] = {
            "audio": field.senses.classified("audio", a),
            "visual": field.senses.classified("visual", v),
        }
        return log_odds(Pack(card), sensed)

    level = max(-1.0, normal_tail(paired(bank, score), per_hour / 3600 / STRANGE))
    return lambda a, v: score(a, v) >= level


def full(field: Field, kind: str, sounds: Sequence[int], photos: Sequence[int]) -> float:
    """Event-second recall of the shipped head: ten seconds, the photograph always, the sound amid them."""
    label, hits, total = EVENT_NAMES.index(kind), 0, 0
    for s, p in zip(sounds, photos, strict=True):
        parts = seconds_of(field.sounds[kind][s])
        image = picture(field.photos[kind][p])
        assert image is not None
        hush = _rng(s).normal(0, 1e-3, (10, RATE)).astype(np.float32)
        hush[3 : 3 + len(parts)] = parts
        grid = field.engine.visual(image[None])[0]
        visual = np.stack([grid] * 10)
        audio = np.stack([field.engine.audio(second) for second in hush])
        here = np.ones(10, np.bool_)
        answer = softmax(field.engine.head(visual, audio, here, here).logits).argmax(axis=1)
        hits += int((answer[3 : 3 + len(parts)] == label).sum())
        total += len(parts)
    return hits / total


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--shots", type=int, nargs="*", default=[3, 5, 10])
    parser.add_argument("--per-hour", type=float, default=PER_HOUR)
    given = parser.parse_args()
    field = Field(given.data, given.only)
    print(f"{len(field.kinds)} classes: {', '.join(field.kinds)}")
    banks = {one: shipped(field.senses.digest(one)) for one in ("audio", "visual")}
    recall: dict[tuple[str, int], list[float]] = defaultdict(list)
    false: dict[tuple[str, int], list[float]] = defaultdict(list)
    whole: list[float] = []
    ratio: dict[int, list[float]] = defaultdict(list)
    for kind in field.kinds:
        number = EVENT_NAMES.index(kind)
        bank = {
            one: e[k != number] for one, (e, k) in ((one, b) for one, b in banks.items() if b is not None)
        }
        quiet = [
            field.nothing_sound[0][field.nothing_sound[1] != kind],
            field.nothing_photo[0][field.nothing_photo[1] != kind],
        ]
        shown = np.repeat(quiet[1], -(-len(quiet[0]) // len(quiet[1])), axis=0)[: len(quiet[0])]
        for draw in range(given.draws):
            rng = _rng(100 + draw)
            sounds, photos = (
                rng.permutation(len(field.sounds[kind])),
                rng.permutation(len(field.photos[kind])),
            )
            tested = sounds[-TESTED:], np.resize(photos[-max(3, min(TESTED, len(photos) // 2)) :], TESTED)
            a = np.concatenate([field.heard[kind][s][0] for s in tested[0]])
            v = np.concatenate(
                [
                    np.repeat(field.seen[kind][p][0], len(field.heard[kind][s][0]), axis=0)
                    for s, p in zip(*tested, strict=True)
                ]
            )
            whole.append(full(field, kind, *tested))
            for shots in given.shots:
                left = photos[: -max(3, min(TESTED, len(photos) // 2))]
                if len(sounds) - TESTED < shots:
                    continue
                some = examples_of(field, kind, sounds[:shots], np.resize(left, shots))
                ways: dict[str, Judge | None] = {
                    "taught": taught(some, bank, given.per_hour),
                    "nearest centroid": centroid(some, bank, given.per_hour),
                    "linear probe": linear(some, bank, given.per_hour),
                    "rule over concepts": rule(field, kind, bank, given.per_hour)
                    if shots == given.shots[0]
                    else None,
                }
                for way, judge in ways.items():
                    if judge is not None:
                        recall[way, shots].append(float(judge(a, v).mean()))
                        false[way, shots].append(float(judge(quiet[0], shown).mean()) * 3600)
                ratio[shots].append(recall["taught", shots][-1] / max(whole[-1], 1e-9))
            print(
                kind,
                f"draw {draw}: whole head {whole[-1]:.0%}",
                {n: f"{recall['taught', n][-1]:.0%}" for n in given.shots if recall["taught", n]},
                flush=True,
            )
    print(f"\nthe shipped head, trained on them: {spread(whole)}")
    for way, shots in sorted(recall):
        false_s = np.array(false[way, shots])
        print(
            f"{way:20} {shots:3} examples: recall {spread(recall[way, shots])}, false seconds an hour "
            f"of other things {false_s.mean():.1f} (median {np.median(false_s):.1f})"
        )
    for shots, values in ratio.items():
        print(f"taught with {shots}: {np.mean(np.minimum(values, 1)):.0%} of the whole head's recall")


if __name__ == "__main__":
    main()
