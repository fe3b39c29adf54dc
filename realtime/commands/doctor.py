"""`avel doctor`: what works here, what is missing, and how to mend it."""

from __future__ import annotations

import typer

_MARKS = {"ok": ("✓", "green"), "note": ("·", "dim"), "missing": ("✗", "red")}


def doctor() -> None:
    """Check PortAudio, OpenCV, cameras, microphones, permissions, codecs and GPU; say how to mend each."""
    from rich.console import Console
    from rich.text import Text

    from ..diagnosis import checks

    console = Console(highlight=False)
    missing = 0
    for check in checks():
        mark, style = _MARKS[check.state]
        line = Text(f"{mark} ", style=style)
        line.append(f"{check.name:<22}", style="bold" if check.state == "missing" else "none")
        line.append(f" {check.found}", style="none")
        console.print(line, soft_wrap=True)
        if check.fix:
            console.print(Text(f"  → {check.fix}", style="yellow" if check.state == "missing" else "dim"))
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
