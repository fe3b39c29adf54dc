"""`avel teach again`: classes of an older eye or ear, taught with those in use, from what is still there.

Each example is read again where it lies; where it is gone, or was taught live, from what the pack keeps of it
(`--keep`). The class keeps its id, name, place in lists, senses, and budget. Rules need neither.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import typer

from ....model.errors import ModelFileError
from ....model.teach.lesson import LEAST, Seconds
from ....model.teach.pack import USED, Pack, installed, load
from ....model.teach.seconds import sense
from ....model.teach.senses import Sense, Senses
from ...config.schema import Config
from ...core.errors import AvelError, UsageError
from ...ui.console import Console
from .define import ruled
from .examples import Example
from .gather import VARIED, Gathered, Tell, background, gather, joined, senses_of, varied
from .lessons import Wanted, conclude
from .manage import fits, install, named, say
from .material import BACKGROUND, KEYS, Material, stored


@dataclass
class There:
    """What is still there of a class: where each of its examples lies, and what its pack keeps."""

    files: list[tuple[int, Example]]
    kept: list[int]
    lost: list[str]

    @classmethod
    def of(cls, pack: Pack) -> There:
        """Look for it."""
        in_pack = {of for of, _, _ in stored(pack.kept) if of != BACKGROUND}
        sources = dict(enumerate(pack.card.sources))
        files, kept, lost = list[tuple[int, Example]](), list[int](), list[str]()
        for number, name in enumerate(pack.card.examples):
            path, first, last = sources.get(number, ("", None, None))
            if path and Path(path).is_file():
                span = None if first is None or last is None else (first, last)
                files.append((number, Example(Path(path), span)))
            elif number in in_pack:
                kept.append(number)
            else:
                lost.append(name)
        return cls(files, kept, lost)


def teach_again(config: Config, names: Sequence[str], profile: str | None, *, json_out: bool) -> None:
    """Teach named classes again; without names, all that no longer fit.

    Raises:
        UsageError: one or more could not be; they stay as they are.

    """
    packs = [named(name)[1] for name in names] or [
        pack for pack in (load(path) for path in installed()) if not fits(config, pack.card)
    ]
    if not packs:
        say("every taught class fits the networks in use")
    failed = [why for pack in packs if (why := _failure(config, pack, profile, json_out=json_out))]
    if failed:
        raise UsageError("not taught again, and left as it was: " + "; ".join(failed))


def _failure(config: Config, pack: Pack, profile: str | None, *, json_out: bool) -> str:
    """Teach one class again; why it could not be, or nothing."""
    try:
        _again(config, pack, profile, json_out=json_out)
    except AvelError as error:
        return f"{pack.card.name}: {error}"
    return ""


def _again(config: Config, pack: Pack, profile: str | None, *, json_out: bool) -> None:
    card, mode = pack.card, pack.card.mode
    with Console(stderr=True).status("loading the networks") as status:
        senses = senses_of(config, profile or card.profile)
        digests: dict[str, str] = {one: senses.digest(one) for one in USED[mode]}
        card = replace(card, profile=senses.profile.name, senses=digests)
        recordings = [Path(path) for path in card.background if Path(path).is_file()]
        if card.is_rule:
            path = install(ruled(card, senses, recordings, status.update), replacing=True)
            told = {"name": card.name, "installed": str(path)}
            typer.echo(json.dumps(told)) if json_out else say(f"{card.name}: installed: {path}")
            return
        there = There.of(pack)
        if len(there.files) + len(there.kept) < LEAST:
            gone = ", ".join(there.lost[:3]) + " …" * (len(there.lost) > 3)
            raise ModelFileError(
                f"{len(there.lost)} of its examples are gone ({gone}), and it was taught without --keep; "
                "teach it anew"
            )
        material = Material() if set(KEYS) <= set(pack.kept) else None
        examples, seconds, own = _sensed(pack, there, senses, recordings, status.update, material)
    if there.lost:
        typer.echo(f"note: {card.name}: without {', '.join(there.lost)}: gone", err=True)
    sources = dict(enumerate(card.sources))
    order = [number for number, _ in there.files] + there.kept
    card = replace(card, sources=[sources.get(k, ("", None, None)) for k in order], marks=card.marks)
    wanted = Wanted(card.name, (), mode == "heard", mode == "seen", (), "1/day", True, False, json_out)
    conclude(wanted, senses, examples, seconds, own, card, material.arrays() if material else {})


def _sensed(
    pack: Pack,
    there: There,
    senses: Senses,
    recordings: Sequence[Path],
    tell: Tell,
    material: Material | None,
) -> tuple[list[Example], Seconds, Seconds]:
    """Examples from files, then those that are kept; and the background."""
    used: tuple[Sense, ...] = USED[pack.card.mode]
    files = [example for _, example in there.files]
    nobody = Gathered().seconds()
    seconds, own = gather(files, senses, used, tell, keeping=material) if files else (nobody, nobody)
    tell("looking at what was kept")
    order = {number: len(files) + k for k, number in enumerate(there.kept)}
    rows = list(stored(pack.kept))
    rng = np.random.default_rng(0)
    few = sum(of in order for of, _, _ in rows) <= VARIED
    into, place = Gathered(), Gathered()
    for of, frames, samples in rows:
        if of == BACKGROUND and not recordings:
            place.add(sense(senses, frames, samples, used), 0)
        elif of in order:
            into.add(sense(senses, frames, samples, used), order[of])
            for made in varied(senses, frames, samples, used, rng) if few else ():
                into.add(made, order[of], copy=True)
    if material is not None:
        material.take(pack.kept, order, place=not recordings)
    if recordings:
        own = joined(own, background(recordings, senses, used, tell, material))
    examples = files + [Example(Path(pack.card.examples[number])) for number in there.kept]
    return examples, joined(seconds, into.seconds()), joined(own, place.seconds())
