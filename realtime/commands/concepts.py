"""`avel concepts WORD`: what the networks know by name already, to define classes with."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ...model.teach.concepts import KNOWN, search
from ..core.errors import UsageError
from ..core.text import visible


def concepts(
    words: Annotated[list[str], typer.Argument(metavar="WORD…", help="what to look for")],
    json_out: Annotated[bool, typer.Option("--json", help="print JSON instead of words")] = False,
) -> None:
    """Search the sounds of AudioSet and the things of ImageNet that the ear and the eye know by name.

    What is found can stand in `avel teach NAME --define --hears … --sees …`.
    """
    found = list(dict.fromkeys(concept for word in words for concept in search(word)))
    if json_out:
        rows = [{"sense": c.sense, "set": KNOWN[c.sense], "index": c.index, "name": c.name} for c in found]
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    if not found:
        raise UsageError(
            f"no sound and no thing is called like {' or '.join(map(repr, words))}; try another word"
        )
    for sense, how in (("audio", "--hears"), ("visual", "--sees")):
        for concept in found:
            if concept.sense == sense:
                typer.echo(visible(f"{how}  {concept.name}"))
