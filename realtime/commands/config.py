"""`avel config`: what is set, and by whom."""

from __future__ import annotations

import typer

from ..config.flags import with_flags
from ..config.keys import keys, value_of
from ..config.load import Loaded
from ..config.typed import Grouped, make_app
from ..core.redact import redact
from ..core.text import visible

app = make_app(no_args_is_help=True)
app.callback()(lambda: None)


def _show(loaded: Loaded) -> None:
    width = max(len(key.path) for key in keys())
    for key in keys():
        value = value_of(loaded.config, key.path)
        if key.option.secret and value not in (None, ()):
            value = "********"
        typer.echo(visible(f"{key.path:<{width}}  {redact(_text(value)):<24}  {loaded.origins[key.path]}"))


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
