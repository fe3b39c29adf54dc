"""`avel deploy`: print the systemd units, container files and the guide that come with the package."""

from __future__ import annotations

from typing import Annotated

import typer

from ..config.typed import make_app

app = make_app(no_args_is_help=True)
app.callback()(lambda: None)


@app.command("list")
def show_list() -> None:
    """Name the deployment files."""
    from ..deploy import FILES

    for name, (_, what) in FILES.items():
        typer.echo(f"{name:<20} {what}")


@app.command("show")
def show(name: Annotated[str, typer.Argument(help="a name from `avel deploy list`")]) -> None:
    """Print a deployment file: `avel deploy show avel-live.service > /etc/systemd/system/…`."""
    from ..deploy import text

    typer.echo(text(name), nl=False)
