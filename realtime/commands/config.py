"""`avel config`: what is set, and by whom."""

from __future__ import annotations

import typer

from ..config.flags import with_flags
from ..config.keys import Key, keys, value_of
from ..config.load import STREAMS, Loaded
from ..config.schema import Config
from ..config.streams import streams_of
from ..config.typed import Grouped, make_app
from ..core.redact import redact
from ..core.text import visible

app = make_app(no_args_is_help=True)
app.callback()(lambda: None)


def _show(loaded: Loaded) -> None:
    width = max(len(key.path) for key in keys())
    for key in keys():
        typer.echo(
            visible(f"{key.path:<{width}}  {_said(key, loaded.config):<24}  {loaded.origins[key.path]}")
        )

    for stream in streams_of(loaded):
        typer.echo(visible(f"\n[[{STREAMS}]] {stream.name}"))
        for key in keys():
            if stream.origins[key.path] != loaded.origins[key.path]:
                said = _said(key, stream.config)
                typer.echo(visible(f"{key.path:<{width}}  {said:<24}  {stream.origins[key.path]}"))


def _said(key: Key, config: Config) -> str:
    value = value_of(config, key.path)
    return "********" if key.option.secret and value not in (None, ()) else redact(_text(value))


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "; ".join(str(part) for part in value) or "-"
    return str(value)


app.command("show", cls=Grouped)(
    with_flags(
        _show, "Print every key with its value and where that comes from (flag, environment, file, default)."
    )
)
