"""Leave-class-out: each of AVE's classes taught anew from a few examples, as if nobody had known it.

    python tests/bench/taught.py DATA [--draws 3] [--only CLASS …] [--rows FILE] [--cache DIR]
    python tests/bench/taught.py --rows FILE       the table of all rows that earlier runs added to the file

DATA holds `audio/` and `photos/`, each with a MANIFEST.tsv. An example is a recording of the class with a
photograph of it; the test shows photographs and plays recordings that no example is from, nor a take of the
same thing (`taught_material.apart`). Classes with six recordings and four photographs and more are asked;
photographs come again where there are fewer than recordings. In the shipped bank the class is left out; the
shipped head, asked for comparison, is the whole one, trained on the class (and on some of these very sounds:
optimistic). What is taught is judged second by second, without the shipped head beside it. Other things are
seconds of other classes' sounds with other pictures, none of either in the bank; a false second is one that
the class would take.

`--heard` teaches by ear alone, which more classes have material for; "seen and heard" takes portraits for the
two of speech. Where DATA has `clips/` (real clips, MANIFEST.tsv), the class is asked about all of their
seconds, too, and about twenty minutes in which nothing happens (`support.nothing`): there an event is a run.

Not shown: places. Every photograph is of another one, and nobody gives a background.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from avel_live.model.labels import EVENT_NAMES
from avel_live.model.probabilities import softmax
from avel_live.model.tails import normal_tail
from avel_live.model.teach.bank import shipped
from avel_live.model.teach.demands import STRANGE
from avel_live.model.teach.judge import log_odds
from avel_live.model.teach.lesson import Seconds
from avel_live.model.teach.pack import Card, Pack
from avel_live.model.teach.probe import Doubles, Floats
from avel_live.model.teach.senses import Sense, Sensed
from taught_material import RATE, TESTED, Field, apart, picture, seconds_of, seeded
from taught_table import Row, alike, by_class, table
from taught_ways import Judge, centroid, linear, paired, taught

PER_HOUR = 1 / 24
WAYS = {"taught": taught, "nearest centroid": centroid, "linear probe": linear}
RULE, WHOLE = "rule over concepts", "whole head"
Key = tuple[str, int, str, int]
CONCEPTS: dict[str, tuple[str, str]] = {
    "Accordion": ("Accordion", "accordion"),
    "Baby cry, infant cry": ("Baby cry, infant cry", "cradle,bassinet,diaper"),
    "Bark": ("Bark,Dog", "Labrador Retriever,German Shepherd Dog,Beagle,Border Collie,Pug,Golden Retriever"),
    "Cat": ("Cat,Meow", "tabby cat,a cat having a striped coat,Persian cat,Siamese cat,Egyptian Mau"),
    "Church bell": ("Church bell,Bell", "church,bell tower"),
    "Clock": ("Clock,Tick-tock", "analog clock,wall clock,digital clock"),
    "Fixed-wing aircraft, airplane": ("Fixed-wing aircraft, airplane,Aircraft", "airliner,military aircraft"),
    "Frying (food)": ("Frying (food)", "frying pan,wok,stove"),
    "Goat": ("Goat,Bleat", "Alpine ibex,ram (adult male sheep)"),
    "Helicopter": ("Helicopter", ""),
    "Horse": ("Horse,Neigh, whinny,Clip-clop", "common sorrel horse,horse-drawn vehicle"),
    "Mandolin": ("Mandolin", "acoustic guitar,banjo"),
    "Train horn": ("Train horn,Train whistle", "high-speed train,electric locomotive,steam locomotive"),
}


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


def rule(field: Field, kind: str, bank: dict[Sense, Floats], per_hour: float) -> Judge | None:
    """The class as a rule over concepts; None where none was written down here."""
    from avel_live.model.teach.concepts import chosen as named

    hears, sees = CONCEPTS.get(kind, ("", ""))
    if not (hears and (sees or field.mode == "heard")):
        return None
    card = Card(
        "0" * 8,
        kind,
        "",
        field.mode,
        "lite",
        {},
        0.0,
        per_hour,
        hears=named("audio", hears),
        sees=named("visual", sees) if field.mode == "both" else [],
    )

    def score(a: Floats, v: Floats) -> Doubles:
        given: dict[Sense, Floats] = {"audio": a, "visual": v}
        sensed: dict[Sense, Sensed] = {one: field.senses.classified(one, given[one]) for one in field.used}
        return log_odds(Pack(card), sensed)

    level = max(
        -1.0 if field.mode == "both" else 0.0, normal_tail(paired(bank, score), per_hour / 3600 / STRANGE)
    )
    return lambda a, v: score(a, v) >= level


def full(field: Field, kind: str, sounds: Sequence[int], photos: Sequence[int]) -> float:
    """Event-second recall of the shipped head: ten seconds, the photograph always, the sound amid them."""
    label, hits, total = EVENT_NAMES.index(kind), 0, 0
    for s, p in zip(sounds, photos, strict=True):
        parts = seconds_of(field.sounds[kind][s])
        image = picture(field.photos[kind][p])
        assert image is not None
        hush = seeded(s).normal(0, 1e-3, (10, RATE)).astype(np.float32)
        hush[3 : 3 + len(parts)] = parts
        grid = field.engine.visual(image[None])[0]
        visual = np.stack([grid] * 10)
        audio = np.stack([field.engine.audio(second) for second in hush])
        here = np.ones(10, np.bool_)
        answer = softmax(field.engine.head(visual, audio, here, here).logits).argmax(axis=1)
        hits += int((answer[3 : 3 + len(parts)] == label).sum())
        total += len(parts)
    return hits / total


def nothing_of(field: Field, kind: str) -> tuple[Floats, Floats]:
    """Seconds of other classes' sounds with other pictures."""
    sound = field.nothing_sound[0][field.nothing_sound[1] != kind]
    shown = field.nothing_photo[0][field.nothing_photo[1] != kind]
    return sound, np.repeat(shown, -(-len(sound) // len(shown)), axis=0)[: len(sound)]


def judged(field: Field, kind: str, judge: Judge, tested: tuple[Floats, Floats]) -> Row:
    """What is told of one way of teaching."""
    number = EVENT_NAMES.index(kind)
    row: Row = {"recall": float(judge(*tested).mean())}
    row["false_s_per_hour"] = float(judge(*nothing_of(field, kind)).mean()) * 3600
    if len(field.quiet):
        said = judge(*field.quiet)
        runs = int(said[0]) + int((said[1:] & ~said[:-1]).sum())
        row["events_per_hour_of_nothing"] = runs * 3600 / len(said)
    if len(field.clips):
        a, v, label = field.clips
        said = judge(a, v)
        row["clip_seconds"] = int((label == number).sum())
        row["clip_found"] = int(said[label == number].sum())
        row["clip_false"] = int(said[label != number].sum())
        row["clip_others"] = int((label != number).sum())
    return row


def draws(field: Field, kind: str, given: argparse.Namespace, done: dict[Key, Row]) -> Iterator[Row]:
    """Every draw of examples of a class: a row for each way and number of examples that is not done."""
    banks = {one: shipped(field.senses.digest(one)) for one in ("audio", "visual")}
    number = EVENT_NAMES.index(kind)
    bank: dict[Sense, Floats] = {
        one: e[k != number] for one, (e, k) in ((one, b) for one, b in banks.items() if b is not None)
    }
    for draw in range(given.draws):
        rng = seeded(100 + draw)
        sounds, spared = apart(field.sounds[kind], rng)
        photos = rng.permutation(len(field.seen[kind]))
        shown = photos[-min(TESTED, len(photos) // 2) :]
        tested = spared, np.resize(shown, len(spared))
        a = np.concatenate([field.heard[kind][s][0] for s in tested[0]])
        many = [len(field.heard[kind][s][0]) for s in tested[0]]
        v = np.concatenate(
            [np.repeat(field.seen[kind][p][0], n, 0) for p, n in zip(tested[1], many, strict=True)]
        )
        whole = None
        if field.mode == "both":
            if (kind, draw, WHOLE, 0) in done:
                whole = done[kind, draw, WHOLE, 0]["recall"]
            else:
                whole = full(field, kind, *tested)
                yield {"class": kind, "draw": draw, "way": WHOLE, "shots": 0, "recall": whole}
        for shots in given.shots:
            left = photos[: -len(shown)]
            if len(sounds) < shots:
                continue
            some = examples_of(field, kind, sounds[:shots], np.resize(left, shots))
            for way in given.ways:
                if (kind, draw, way, shots) in done:
                    continue
                if way == RULE:
                    judge = rule(field, kind, bank, given.per_hour) if shots == given.shots[0] else None
                else:
                    judge = WAYS[way](some, bank, given.per_hour, field.mode)
                if judge is not None:
                    about = {"class": kind, "draw": draw, "way": way, "shots": shots, "whole": whole}
                    yield {**about, **judged(field, kind, judge, (a, v))}


def main() -> None:
    """Add rows, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--shots", type=int, nargs="*", default=[3, 5, 10])
    parser.add_argument("--ways", nargs="*", choices=[*WAYS, RULE], default=[*WAYS, RULE])
    parser.add_argument("--heard", action="store_true", help="by ear alone")
    parser.add_argument("--per-hour", type=float, default=PER_HOUR)
    parser.add_argument("--rows", type=Path, help="a file of JSON lines: what is in there is not made again")
    parser.add_argument("--cache", type=Path, help="a folder for what does not depend on the class")
    given = parser.parse_args()
    made: list[Row] = []
    if given.rows and given.rows.is_file():
        made = [json.loads(line) for line in given.rows.read_text(encoding="utf-8").splitlines()]
    done = {(row["class"], row["draw"], row["way"], row["shots"]): row for row in made}
    if given.data:
        field = Field(given.data, given.only, given.cache, "heard" if given.heard else "both")
        for kind in field.kinds:
            for row in draws(field, kind, given, done):
                made.append(row)
                if given.rows:
                    with given.rows.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
    print("\n".join([*table(made), "", *by_class(made), "", *alike(made)]))


if __name__ == "__main__":
    main()
