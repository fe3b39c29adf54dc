"""Command-line options generated from the configuration schema: each flag, type and default stands once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ...model.profiles import PROFILES
from .keys import Key, keys
from .load import Loaded, load_config


def with_flags(
    run: Callable[[Loaded], None], doc: str, *, leave_out: tuple[str, ...] = ()
) -> Callable[..., None]:
    """A function for typer whose options are the flags of the schema, plus `--config`.

    Args:
        run: gets the merged configuration.
        doc: help text.
        leave_out: dotted paths that are no flags of this command.

    """
    flagged = [key for key in keys() if key.option.flags and key.path not in leave_out]
    names = {_argument(key): key.path for key in flagged}

    def command(**given: Any) -> None:
        named: str | None = given.pop("config")
        path = None if named is None else Path(named)
        flags = {names[name]: value for name, value in given.items() if value not in (None, [])}
        run(load_config(flags, path=path))

    parameters = [_parameter(key) for key in flagged]
    config = Annotated[
        str | None,
        typer.Option(
            "--config", metavar="FILE", help="read this file instead of ./avel.toml", show_default=False
        ),
    ]
    parameters.append(
        inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=config)
    )
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__doc__ = doc
    return command


def _argument(key: Key) -> str:
    return key.path.replace(".", "_")


def _spelt(key: Key) -> tuple[str, ...]:
    """The flags; a switch has a second one that undoes what the file or the environment says."""
    if key.kind is not bool:
        return key.option.flags
    return tuple(f"{flag}/{_undone(flag)}" for flag in key.option.flags)


def _undone(flag: str) -> str:
    name = flag.removeprefix("--")
    return f"--{name.removeprefix('no-')}" if name.startswith("no-") else f"--no-{name}"


def _parameter(key: Key) -> inspect.Parameter:
    text = key.option.help.replace("{profiles}", ", ".join(PROFILES))
    default = key.default
    if default not in (None, False, (), "auto"):
        text += f" (default {default:g})" if isinstance(default, float) else f" (default {default})"
    # A path is a text here and a path where it is read, so that typer has nothing to validate.
    one = str if key.kind is Path else key.kind
    kind = list[one] if key.several else one  # type: ignore[valid-type]
    option = typer.Option(
        *_spelt(key),
        metavar=None if key.kind is bool else key.option.metavar,
        help=text,
        show_default=False,
        rich_help_panel=key.option.panel,
    )
    return inspect.Parameter(
        _argument(key),
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )
