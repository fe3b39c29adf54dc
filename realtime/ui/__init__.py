"""What a person sees: the live terminal screen and the plain lines when there is no terminal.

state    what is known, bounded              layout, parts, timeline, picture, theme   state → text
screen   draws it, in a thread of its own    plain, summary   lines for logs, the last words
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..core.clock import Clock
    from ..sinks.base import Sink
    from ..sinks.lines import LineWriter

__all__ = ["make_screen"]


def make_screen(
    *,
    no_ui: bool = False,
    stream: TextIO | None = None,
    clock: Clock | None = None,
    lines: LineWriter | None = None,
    gone: Callable[[], None] | None = None,
) -> Sink:
    """The screen for this output: live on a terminal, plain lines anywhere else.

    Args:
        no_ui: plain lines on a terminal, too.
        stream: where to write; standard output by default.
        clock: paces the drawing.
        lines: what plain lines go through; `stream` itself by default.
        gone: called once when the terminal is gone; without it that is an error.

    """
    stream = sys.stdout if stream is None else stream
    if not no_ui and stream.isatty():
        from .console import Console

        console = Console(file=stream)
        if console.is_terminal and not console.is_dumb_terminal:
            from .screen import Screen

            return Screen(console, clock, gone=gone)
    from .plain import PlainLines

    return PlainLines(lines or stream)
