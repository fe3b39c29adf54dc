"""`avel events`: what the memory knows; list, count, export, delete, import."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...config.load import load_config
from ...config.typed import make_app
from ...core.errors import UsageError
from ...core.text import visible

if TYPE_CHECKING:
    from ...memory import Filter, Memory

app = make_app(invoke_without_command=True)

_Config = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="read this file instead of ./avel.toml", show_default=False
    ),
]
_File = Annotated[
    Path | None,
    typer.Option(
        "--memory-file", metavar="FILE", help="the memory (default: as configured)", show_default=False
    ),
]
_SHOWN = 100


def _when(help_: str, *flags: str) -> Any:
    return typer.Option(*flags, metavar="TIME", help=help_, show_default=False)


@app.callback(invoke_without_command=True)
def events(
    ctx: typer.Context,
    since: Annotated[
        str | None,
        _when("from here on: yesterday, 2h, 3d, 14:30, 2026-11-29, 2026-11-29T14:30+01:00", "--since"),
    ] = None,
    until: Annotated[str | None, _when("up to here; a day is included", "--until")] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="NAME", help="of this class (repeat the flag)", show_default=False),
    ] = None,
    stream: Annotated[
        list[str] | None,
        typer.Option("--stream", metavar="NAME", help="of this stream (repeat the flag)", show_default=False),
    ] = None,
    min_confidence: Annotated[
        float, typer.Option("--min-confidence", min=0, max=1, help="at least this sure", show_default=False)
    ] = 0.0,
    retracted: Annotated[bool, typer.Option("--retracted", help="also those that were taken back")] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, metavar="N", help="the newest N (a table: 100)", show_default=False),
    ] = None,
    count: Annotated[bool, typer.Option("--count", help="say only how many there are")] = False,
    form: Annotated[
        str, typer.Option("--format", metavar="FORM", help="table, csv, jsonl, or vtt (subtitles)")
    ] = "table",
    delete: Annotated[bool, typer.Option("--delete", help="forget them, after a question")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    memory_file: _File = None,
    config: _Config = None,
) -> None:
    """What was remembered (`--memory`): the newest events, or those that are asked for.

    A stream may go on writing meanwhile. Exported are all that match, oldest first.
    """
    if ctx.invoked_subcommand is not None:
        return
    from ...memory import Filter, Memory
    from .formats import FORMATS

    if form not in FORMATS:
        raise UsageError(f"--format {form}: expected one of {', '.join(FORMATS)}")
    memory = Memory(_path(memory_file, config))
    known = memory.labels()
    which = Filter(
        since_us=_instant("--since", since, end=False),
        until_us=_instant("--until", until, end=True),
        labels=tuple(_known("--class", name, known) for name in classes or ()),
        streams=tuple(_known("--stream", name, memory.streams()) for name in stream or ()),
        min_confidence=min_confidence,
        retracted=retracted,
    )
    if delete:
        _delete(memory, which, yes)
    elif count:
        typer.echo(memory.count(which))
    else:
        with _reader():
            _list(memory, which, form, limit)


@app.command("import")
def import_(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="FILE|DIR…", help="JSON of `avel localize`, or folders of it"),
    ],
    stream: Annotated[
        str | None,
        typer.Option(
            "--stream", metavar="NAME", help="as events of this stream (default: the recording's name)"
        ),
    ] = None,
    at: Annotated[
        str | None, _when("when the recording began (default: its file's time, less its length)", "--at")
    ] = None,
    memory_file: _File = None,
    config: _Config = None,
) -> None:
    """Remember what `avel localize` found. The same results twice are remembered once."""
    from .imports import found_in, remember

    began_us = _instant("--at", at, end=False)
    files = found_in(results)
    if began_us is not None and len(files) > 1:
        raise UsageError(f"--at is for one recording, and these are {len(files)}")
    path = _path(memory_file, config)
    number = sum(remember(path, file, stream, began_us) for file in files)
    print(f"{number} events of {len(files)} recordings remembered in {path}", file=sys.stderr)


def _list(memory: Memory, which: Filter, form: str, limit: int | None) -> None:
    from .formats import lines

    most = limit or (_SHOWN if form == "table" else None)
    found = memory.events(which, limit=most)
    for line in lines(form, found if form == "table" else found[::-1]):
        typer.echo(visible(line))
    if form != "table":
        return
    if not found:
        print("no events match", file=sys.stderr)
    elif limit is None and len(found) == most and (every := memory.count(which)) > most:
        print(f"{most} of {every}; --limit shows more, --since and --class fewer", file=sys.stderr)


@contextmanager
def _reader() -> Iterator[None]:
    """While something is printed: a reader that has seen enough (`| head`) is no error."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _path(given: Path | None, config: Path | None) -> Path:
    return given or load_config(path=config).config.memory.file


def _instant(flag: str, text: str | None, *, end: bool) -> int | None:
    from ...memory.times import moment_us

    if text is None:
        return None
    try:
        return moment_us(text, datetime.now(timezone.utc).astimezone(), end=end)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{flag}: {error}") from None


def _known(flag: str, name: str, names: list[str]) -> str:
    """As it is spelled in the memory.

    Raises:
        UsageError: it was never remembered; the nearest one is named.

    """
    from difflib import get_close_matches

    from ...config.schema import folded

    spelled = {folded(one): one for one in names}
    if (found := spelled.get(folded(name))) is not None:
        return found
    near = get_close_matches(folded(name), spelled, n=1, cutoff=0.5)
    hint = f"did you mean {spelled[near[0]]!r}?" if near else f"there are: {', '.join(names) or 'none yet'}"
    raise UsageError(f"{flag} {name}: nothing of that name is remembered; {hint}")


def _delete(memory: Memory, which: Filter, yes: bool) -> None:
    from ...memory.tend import delete

    number = memory.count(which)
    if number and not yes:
        if not sys.stdin.isatty():
            raise UsageError(
                f"--delete: {number} events would be forgotten; say --yes where nobody can be asked"
            )
        if not typer.confirm(f"Forget {number} events for good? Their clips stay.", err=True):
            return
    print(f"{delete(memory.path, which) if number else 0} events forgotten", file=sys.stderr)
