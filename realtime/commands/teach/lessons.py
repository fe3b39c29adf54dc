"""`avel teach NAME EXAMPLE…`: gather, teach, say what to expect, install."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import typer

from ....model.teach.bank import shipped
from ....model.teach.demands import OWN_LEAST
from ....model.teach.lesson import ENOUGH, LEAST, Everything, Lesson, Seconds, teach
from ....model.teach.pack import USED, Card, Mode, Pack, checked_name, find, installed, load
from ....model.teach.senses import Sense, Senses
from ...config.schema import Config
from ...core.errors import ModelFileError, UsageError
from ...ui.console import Console
from ..calibrate.store import now, per_hour_of
from .examples import Example, read_examples
from .gather import background, gather, joined, senses_of
from .manage import check_free, install, say
from .material import Material

HOPELESS: Final = 0.35
"""A class of whose examples fewer are found is not installed."""
_ALIKE: Final = 0.75
"""A sense that tells example from background less often than this tells too little."""


@dataclass(frozen=True)
class Wanted:
    """What was asked for on the command line."""

    name: str
    examples: tuple[str, ...]
    heard: bool
    seen: bool
    background: tuple[Path, ...]
    budget: str
    replace: bool
    dry_run: bool
    json: bool
    label: str = ""
    fps: float | None = None
    clap: bool = False
    keep: bool = False

    BUDGET: ClassVar[str] = "1/day"

    @property
    def mode(self) -> Mode:
        """Which senses must agree.

        Raises:
            UsageError: only heard and only seen.

        """
        if self.heard and self.seen:
            raise UsageError("--heard and --seen exclude each other; with neither, both must agree")
        return "heard" if self.heard else "seen" if self.seen else "both"


def teach_class(config: Config, wanted: Wanted) -> None:
    """Teach, tell, install.

    Raises:
        UsageError: what can't work, with the reason.
        SourceError: an example that can't be used.

    """
    mode = wanted.mode
    per_hour_of(wanted.budget)
    name = checked_name(wanted.name)
    check_free(name, replacing=wanted.replace)
    examples, notes = read_examples(wanted.examples, wanted.label or name, wanted.fps)
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    if len(examples) < LEAST:
        raise UsageError(
            f"{len(examples)} example{'s' * (len(examples) != 1)}: {LEAST} are the least, five to ten good; "
            "without any, define a rule with --define"
        )
    console = Console(stderr=True)
    material = Material() if wanted.keep else None
    with console.status("loading the networks") as status:
        senses = senses_of(config)
        used = USED[mode]
        seconds, own = gather(examples, senses, used, status.update, keeping=material)
        if wanted.background:
            own = joined(own, background(wanted.background, senses, used, status.update, material))
    card = replace(
        blank(wanted, senses),
        sources=[source_of(example) for example in examples],
        background=[str(path.resolve()) for path in wanted.background],
    )
    conclude(wanted, senses, examples, seconds, own, card, material.arrays() if material else {})


def source_of(example: Example) -> tuple[str, float | None, float | None]:
    """Where an example lies."""
    first, last = example.span or (None, None)
    return str(example.file.resolve()), first, last


def blank(wanted: Wanted, senses: Senses) -> Card:
    """The card of a class that nothing is known of yet."""
    mode = wanted.mode
    return Card(
        id=new_id(checked_name(wanted.name)),
        name=checked_name(wanted.name),
        made=now(),
        mode=mode,
        profile=senses.profile.name,
        senses={one: senses.digest(one) for one in USED[mode]},
        threshold=0.0,
        false_alarms_per_hour=per_hour_of(wanted.budget),
    )


def conclude(
    wanted: Wanted,
    senses: Senses,
    examples: Sequence[Example],
    seconds: Seconds,
    own: Seconds,
    card: Card | None = None,
    material: Mapping[str, np.ndarray[Any, Any]] | None = None,
) -> None:
    """From what was seen and heard to an installed class, and what is told of it.

    Args:
        wanted: what was asked for.
        senses: that took it in.
        examples: what they are called; those of one file are of one recording.
        seconds: theirs, numbered in that order.
        own: background of the place.
        card: of a class that nothing is known of yet; None makes one.
        material: what is kept beside the embeddings.

    Raises:
        UsageError: it can't work; nothing is installed.

    """
    card = card or blank(wanted, senses)
    name, mode, per_hour = card.name, card.mode, card.false_alarms_per_hour
    with Console(stderr=True).status("learning"):
        other = Everything(bank_of(senses, mode), own)
        enough_background(other, mode, senses)
        groups = list(dict.fromkeys(example.file for example in examples))
        lesson = teach(seconds, [groups.index(e.file) for e in examples], other, mode, per_hour)
    advice = advise(lesson, examples, mode, own=len(own))
    refusal = refuse(lesson, mode)
    path = None
    if not (refusal or wanted.dry_run):  # before a word of it is said: whoever reads may be gone by then
        card = replace(
            card,
            threshold=lesson.threshold,
            floors=dict(lesson.floors),
            examples=[example.name for example in examples],
            found=int(lesson.found.sum()),
            biases={one: probe.bias for one, probe in lesson.probes.items()},
        )
        kept = {**keep(seconds, own, mode), **(material or {})}
        path = install(Pack(card, lesson.probes, kept), replacing=wanted.replace)
    if wanted.json:
        typer.echo(json.dumps(_plain(name, lesson, examples, advice, refusal), ensure_ascii=False))
    else:
        _tell(name, lesson, examples, advice)
    if refusal:
        raise UsageError(f"{name}: not taught: {refusal}")
    if path is not None and not wanted.json:
        say(f"installed: {path}")


def bank_of(senses: Senses, mode: Mode) -> dict[Sense, np.ndarray[Any, np.dtype[np.float32]]]:
    """What ships of everything else; empty for networks of the user's own."""
    found = {}
    for one in USED[mode]:
        bank = shipped(senses.digest(one))
        found[one] = np.zeros((0, 0), np.float32) if bank is None else bank[0]
    return found


def enough_background(other: Everything, mode: Mode, senses: Senses) -> None:
    """Make the two kinds of background fit each other.

    Raises:
        UsageError: none ships for these networks, and too little was given.

    """
    for one in USED[mode]:
        if not len(other.bank[one]):
            if int(other.own.has[one].sum()) < OWN_LEAST:
                raise UsageError(
                    f"no background ships for profile {senses.profile.name}: give a recording of a minute or "
                    "more in which nothing happens, with --background"
                )
            width = other.own.arrays[one].shape[1]
            other.bank[one] = np.zeros((0, width), np.float32)
    for one, values in other.own.arrays.items():
        if not values.shape[1] and one in other.bank:  # nothing of one's own: as wide as what ships
            other.own.arrays[one] = np.zeros((len(values), other.bank[one].shape[1]), np.float32)


def refuse(lesson: Lesson, mode: Mode) -> str:
    """Why a class can't work; empty where it can."""
    share, low, high = lesson.recall
    here = [lesson.own_apart[one] for one in USED[mode] if one in lesson.own_apart]
    if share >= HOPELESS and not (here and max(here) < _ALIKE):
        return ""
    poor = [one for one in USED[mode] if _apart(lesson, one) < _ALIKE]
    what = {"audio": "sound", "visual": "look"}
    like = " and ".join(what[one] for one in poor)
    why = f"its examples {like} like background" if poor else "its examples have too little in common"
    return (
        f"{why}; of {len(lesson.best)}, what the others teach finds {int(lesson.found.sum())} "
        f"(recall {share:.0%}, {low:.0%} to {high:.0%}); give examples that are more alike, a larger "
        "--max-false-alarms, or a recording of the place with --background"
    )


def _apart(lesson: Lesson, one: Sense) -> float:
    """How often a sense tells example from background, whichever is harder."""
    return min(lesson.apart.get(one, 1.0), lesson.own_apart.get(one, 1.0))


def advise(lesson: Lesson, examples: Sequence[Example], mode: Mode, own: int) -> list[str]:
    """What would make it better, the most useful first."""
    lines = []
    lost = [example.name for example, found in zip(examples, lesson.found, strict=True) if not found]
    if lost:
        lines.append(
            f"the others do not lead to {', '.join(lost[:5])}{' …' * (len(lost) > 5)}: "
            "look whether the event is in there, or add more like it"
        )
    for one in USED[mode] if mode == "both" else ():
        apart = _apart(lesson, one)
        if apart < _ALIKE:
            other = "--heard" if one == "visual" else "--seen"
            what = "picture" if one == "visual" else "sound"
            lines.append(f"the {what} hardly tells it from background ({apart:.0%}): {other} may do as well")
    if len(examples) < ENOUGH:
        lines.append(f"{len(examples)} examples: {ENOUGH} would narrow down what to expect")
    if len({example.file for example in examples}) < LEAST:
        lines.append("all examples are of one or two recordings: add some of another day or place")
    if own < OWN_LEAST:
        lines.append("no background of your place: --background with a minute of it makes false alarms rarer")
    return lines


def _tell(name: str, lesson: Lesson, examples: Sequence[Example], advice: Sequence[str]) -> None:
    share, low, high = lesson.recall
    say(
        f"{name}: {int(lesson.found.sum())} of {len(examples)} examples are found by what the others teach; "
        f"expect {share:.0%} of events ({low:.0%} to {high:.0%})"
    )
    for one, apart in lesson.apart.items():
        what = "seen" if one == "visual" else "heard"
        mine = lesson.own_apart.get(one)
        here = "" if mine is None else f", from your place's {mine:.0%}"
        say(f"  {what}: told from other things {apart:.0%} of the time{here} (50 % is chance)")
    for line in advice:
        say(f"  {line}")


def _plain(
    name: str, lesson: Lesson, examples: Sequence[Example], advice: Sequence[str], refusal: str
) -> dict[str, Any]:
    share, low, high = lesson.recall
    return {
        "name": name,
        "examples": [
            {"name": example.name, "found": bool(found), "log_odds": round(float(best), 3)}
            for example, found, best in zip(examples, lesson.found, lesson.best, strict=True)
        ],
        "threshold": round(lesson.threshold, 4),
        "recall": {"estimate": share, "low": low, "high": high},
        "apart": lesson.apart,
        "own_apart": lesson.own_apart,
        "advice": list(advice),
        "refused": refusal or None,
    }


def keep(seconds: Seconds, own: Seconds, mode: Mode) -> dict[str, np.ndarray[Any, Any]]:
    """What a pack keeps, to be taught again from."""
    real = seconds.where(~seconds.copy)
    kept: dict[str, np.ndarray[Any, Any]] = {"of": real.of.astype(np.uint8)}
    for one in USED[mode]:
        kept[one] = real.arrays[one].astype(np.float16)
        if len(own):
            kept[f"own_{one}"] = own.arrays[one].astype(np.float16)
    return kept


def new_id(name: str) -> str:
    """A new id, or that of the class that is taught anew."""
    try:
        return load(find(name, installed())).card.id
    except ModelFileError:
        return uuid.uuid4().hex[:8]
