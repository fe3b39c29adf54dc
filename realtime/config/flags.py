"""Command-line options generated from the configuration schema: each flag, type and default stands once."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import typer

from .load import Key, Loaded, keys, load_config


def with_flags(
    run: Callable[[Loaded], None], doc: str, *, leave_out: tuple[str, ...] = ()
) -> Callable[..., None]:
    """A function for typer whose options are the flags of the schema, plus `--config`.

    Args:
        run: gets the merged configuration.
        doc: help text.
        leave_out: dotted paths that are no flags of this command.

    """
    flagged = [key for key in keys() if key.flag is not None and key.path not in leave_out]
    names = {_argument(key): key.path for key in flagged}

    def command(**given: Any) -> None:
        path: Path | None = given.pop("config")
        flags = {names[name]: value for name, value in given.items() if value not in (None, [])}
        run(load_config(flags, path=path))

    parameters = [_parameter(key) for key in flagged]
    config = Annotated[
        Path | None,
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


def _parameter(key: Key) -> inspect.Parameter:
    assert key.flag is not None
    kind = _plain(key.info.annotation)
    default = key.info.default
    text = key.info.description or ""
    if default not in (None, False, (), "auto"):
        text += f" (default {default:g})" if isinstance(default, float) else f" (default {default})"
    option = typer.Option(
        *key.flag.names,
        metavar=None if kind is bool else key.flag.metavar,
        help=text.replace("[", "\\["),  # rich markup otherwise
        show_default=False,
        rich_help_panel=key.flag.panel,
    )
    return inspect.Parameter(
        _argument(key),
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _plain(annotation: Any) -> Any:
    """The type typer should parse: `X | None` is X, tuples are lists, literals stay."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _plain(typing.get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return _plain(next(a for a in typing.get_args(annotation) if a is not type(None)))
    if origin is tuple:
        return list[str]
    return annotation if origin is Literal or annotation in (bool, int, float, Path) else str
