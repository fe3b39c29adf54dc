"""How commands are made of functions, and how their help looks: plain, under the headings of the schema.

typer would draw its help with rich, which takes longer to import than the whole command line.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

import typer
from typer.core import TyperCommand


class Finite(TyperCommand):
    """A command that takes no infinity and no NaN: the parser's own numbers are both, and pass its bounds."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        for parameter in self.params:
            _quick(parameter)

    def get_help_option(self, ctx: Any) -> Any:
        """`--help`, whose absence is a False that needs no validator."""
        option: Any = super().get_help_option(ctx)
        if option is not None:
            process = option.process_value
            option.process_value = lambda ctx, value: process(ctx, bool(value))
        return option

    def invoke(self, ctx: Any) -> Any:
        """Run it, unless a number is none."""
        for parameter in self.get_params(ctx):
            value = ctx.params.get(parameter.name)
            if isinstance(value, float) and not isfinite(value):
                raise typer.BadParameter(f"{parameter.opts[0]}: expected a finite number, got {value}")
        return super().invoke(ctx)


def _quick(parameter: Any) -> None:
    """Pass what was not given, and texts: typer would import pydantic and build a validator for each."""
    process = parameter.process_value
    several = parameter.multiple or parameter.nargs == -1
    text = parameter.type_descriptor.annotation is str and not several

    def passing(ctx: Any, value: Any) -> Any:
        if parameter.callback is not None:
            return process(ctx, value)
        if value is None and not parameter.required:
            return () if several else None
        return value if text and isinstance(value, str) else process(ctx, value)

    parameter.process_value = passing


class Grouped(Finite):
    """A command whose options stand under their headings (`rich_help_panel`), in order of appearance."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write one list for each heading."""
        headings: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is not None:
                heading = getattr(parameter, "rich_help_panel", None) or "Options"
                headings.setdefault(heading, []).append(record)
        for heading in sorted(headings, key="Options".__eq__):
            with formatter.section(heading):
                formatter.write_dl(headings[heading])


class _App(typer.Typer):
    """Commands are `Finite` unless they say otherwise."""

    def command(self, name: str | None = None, *, cls: type[TyperCommand] | None = None, **given: Any) -> Any:
        """As typer's."""
        return super().command(name, cls=cls or Finite, **given)


def make_app(**settings: Any) -> typer.Typer:
    """A typer application as all of ours are: no completion, no drawn help, errors handled by us."""
    plain = {"add_completion": False, "pretty_exceptions_enable": False, "rich_markup_mode": None}
    return _App(**{**plain, **settings})
