"""`avel doctor`: what works here, what is missing, and how to mend it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from ...config.flags import with_flags
from ...config.keys import keys
from ...config.load import Loaded
from ...core.errors import AvelError
from ...core.options import NETWORK

if TYPE_CHECKING:
    from ...config.schema import Config
    from .checks import Check

_MARKS = {"ok": ("✓", "green"), "note": ("·", "dim"), "missing": ("✗", "red")}
_NOT_ASKED = ("calibration",)


def _examine(loaded: Loaded) -> None:
    """Print every finding; exit code 3 when something has to be mended."""
    from rich.text import Text

    from ...ui.console import Console
    from .checks import checks

    console = Console(highlight=False)
    missing = 0
    for found in (checks(), _rate(loaded.config)):
        for check in found:
            mark, style = _MARKS[check.state]
            line = Text(f"{mark} ", style=style)
            line.append(f"{check.name:<22}", style="bold" if check.state == "missing" else "none")
            line.append(f" {check.found}", style="none")
            console.print(line, soft_wrap=True)
            if check.fix:
                arrow = Text(f"  → {check.fix}", style="yellow" if check.state == "missing" else "dim")
                console.print(arrow, soft_wrap=True)
            missing += check.state == "missing"
    console.print(
        Text(
            "\nEverything that is needed is there."
            if not missing
            else f"\n{missing} to mend, see the arrows.",
            style="bold",
        )
    )
    raise typer.Exit(3 if missing else 0)


def _rate(config: Config) -> Iterator[Check]:
    """The networks as a stream would run them, measured."""
    from ...core.clock import SystemClock
    from ...session.open import make_engine
    from .throughput import can_not_load, rate

    try:
        engine = make_engine(config, _tell)
    except AvelError as error:
        yield can_not_load(error)
        return
    try:
        yield from rate(config, engine, SystemClock())
    finally:
        engine.close()


def _tell(text: str) -> None:
    """What a slow start is busy with is not part of the findings."""
    print(f"{text} …", file=sys.stderr)


def _others() -> tuple[str, ...]:
    """Settings that have no bearing on what is measured."""
    return tuple(
        key.path
        for key in keys()
        if key.option.flags and (key.option.panel != NETWORK or key.path in _NOT_ASKED)
    )


doctor = with_flags(
    _examine,
    """Check devices, permissions, codecs and runtimes; measure whether this machine holds the rate.

    It says what to mend, what computes, with how many pictures a second a live stream would run, and what
    would help. The networks are those that avel.toml, the environment and the flags name.
    """,
    leave_out=_others(),
)
