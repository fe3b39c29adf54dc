"""Taught classes that are there: listed, shown, tried, renamed, removed, handed on."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import typer

from ....model.errors import ModelFileError
from ....model.labels import LABELS
from ....model.runtime.base import EngineOptions
from ....model.teach.judge import Taught
from ....model.teach.pack import USED, Card, Pack, find, installed, load, path_of, save
from ....model.teach.senses import sense_digest
from ...config.schema import Config
from ...core.errors import UsageError, writing
from ...core.text import visible
from .material import has_material, without


def say(text: str) -> None:
    """A line on standard output."""
    typer.echo(visible(text))


def named(name: str) -> tuple[Path, Pack]:
    """An installed pack.

    Raises:
        ModelFileError: none of that name, or it is damaged.

    """
    path = find(name, installed())
    return path, load(path)


def install(pack: Pack, *, replacing: bool) -> Path:
    """Put a pack among the installed ones.

    Raises:
        UsageError: there is a class of that name.
        OutputError: it can't be written.

    """
    check_free(pack.card.name, replacing=replacing, but=pack.card.id)
    path = path_of(pack.card)
    with writing(path):
        save(pack, path)
    for other in installed():
        if other != path and _same(other, pack):
            other.unlink(missing_ok=True)
    return path


def check_free(name: str, *, replacing: bool, but: str = "") -> None:
    """Refuse a name that is taken.

    Raises:
        UsageError: by a shipped class, or by a taught one that is not to be replaced.

    """
    shipped = {label.lower() for label in LABELS}
    if name.lower() in shipped:
        raise UsageError(f"{name!r} is a class that it knows already; give yours another name")
    if replacing:
        return
    for card in filter(None, map(_card, installed())):
        if card.name.lower() == name.lower() and card.id != but:
            raise UsageError(f"there is a taught class {card.name!r} already; --replace teaches it anew")


def _same(path: Path, pack: Pack) -> bool:
    card = _card(path)
    return card is not None and (card.id == pack.card.id or card.name.lower() == pack.card.name.lower())


def _card(path: Path) -> Card | None:
    """What a pack says of itself; None of one that is damaged."""
    try:
        return load(path).card
    except ModelFileError:
        return None


def fits(config: Config, card: Card) -> bool:
    """Whether a class was taught with the eye and the ear that are in use."""
    options = EngineOptions(
        profile=card.profile, audio_weights=config.audio_weights, visual_weights=config.visual_weights
    )
    try:
        return all(sense_digest(options, one) == card.senses[one] for one in USED[card.mode])
    except ModelFileError:  # weights of the user's own that are not there
        return False


def list_packs(config: Config, *, json_out: bool) -> None:
    """`avel teach list`."""
    rows = [_row(config, path) for path in installed()]
    if json_out:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    if not rows:
        say("no class is taught yet; `avel teach NAME EXAMPLE…` teaches one")
    for row in rows:
        if "error" in row:
            say(f"{Path(row['file']).stem}: {row['error']}")
        else:
            what = "a rule" if row["hears"] or row["sees"] else f"{len(row['examples'])} examples"
            say(f"{row['name']}  ({row['id']}; {row['mode']}; {what}; {row['profile']}; {row['made'][:10]})")
            if not row["fits"]:
                say(f"  taught with another eye or ear than is in use: avel teach again {row['id']}")


def _row(config: Config, path: Path) -> dict[str, Any]:
    try:
        card = load(path).card
        about = {"file": str(path), "bytes": path.stat().st_size, "fits": fits(config, card)}
        return {**asdict(card), **about}
    except ModelFileError as error:
        return {"file": str(path), "error": str(error)}


def show_pack(name: str, *, json_out: bool) -> None:
    """`avel teach show`."""
    path, pack = named(name)
    card = pack.card
    if json_out:
        kept = {key: list(value.shape) for key, value in pack.kept.items()}
        typer.echo(json.dumps({**asdict(card), "file": str(path), "kept": kept}, ensure_ascii=False))
        return
    say(f"{card.name}")
    say(f"  id          {card.id}")
    say(f"  made        {card.made}, profile {card.profile}")
    say(f"  senses      {'seen and heard' if card.mode == 'both' else card.mode + ' alone'}")
    budget = f"{card.false_alarms_per_hour * 24:g} false alarms a day"
    say(f"  threshold   {card.threshold:.2f} (log-odds), for {budget}")
    if card.is_rule:
        say(f"  rule        AudioSet {card.hears or '–'}, ImageNet {card.sees or '–'}")
    else:
        say(f"  examples    {len(card.examples)}; {card.found} of them are found by what the others teach")
        for example in card.examples:
            say(f"              {example}")
    if has_material(pack.kept):
        say(f"  keeps       {len(pack.kept['second_of'])} seconds that can be seen and heard")
    say(f"  file        {path} ({path.stat().st_size / 1e3:.0f} kB)")


def test_pack(config: Config, name: str, recordings: list[Path], *, json_out: bool) -> None:
    """`avel teach test`."""
    from ....model.teach.judge import check_fits
    from ....model.teach.pack import USED
    from .gather import segments_of, senses_of

    _, pack = named(name)
    senses = senses_of(config, pack.card.profile)
    check_fits(pack, {one: senses.digest(one) for one in USED[pack.card.mode]}, pack.card.profile)
    taught = Taught([pack], senses)
    for path in recordings:
        if not path.is_file():
            raise UsageError(f"{path}: no such file")
        row = []
        for segment in segments_of(path):
            frames = segment.frames if segment.video else None
            row.append(round(float(taught.judge(frames, segment.audio if segment.sound else None)[0]), 3))
        if json_out:
            typer.echo(json.dumps({"file": str(path), "confidence": row}, ensure_ascii=False))
        else:
            hits = [k for k, p in enumerate(row) if p >= 0.5]
            where = ", ".join(f"{k}–{k + 1} s" for k in hits[:20]) or "nowhere"
            say(f"{path.name}: {pack.card.name} {where} ({len(hits)} of {len(row)} s)")


def rename_pack(name: str, new: str) -> None:
    """`avel teach rename`."""
    path, pack = named(name)
    renamed = pack.renamed(new)
    check_free(renamed.card.name, replacing=False, but=pack.card.id)
    with writing(path):
        save(renamed, path)
    say(f"{pack.card.name} is called {renamed.card.name} now; its id stays {pack.card.id}")


def remove_pack(name: str) -> None:
    """`avel teach remove`."""
    path = find(name, installed())
    with writing(path):
        path.unlink()
    say(f"removed: {path}")


def export_pack(name: str, file: Path) -> None:
    """`avel teach export`."""
    path, pack = named(name)
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        save(handed_on(pack), file)
    say(f"{pack.card.name} from {path.name}: {file}")


def handed_on(pack: Pack) -> Pack:
    """A pack as others get it: without pictures, sounds, and where the examples lie."""
    card = replace(pack.card, sources=[], background=[])
    return replace(pack, card=card, kept=without(pack.kept))


def import_pack(file: Path, *, replace: bool) -> None:
    """`avel teach import`."""
    pack = load(file)
    path = install(pack, replacing=replace)
    say(f"{pack.card.name} is installed: {path}")
