"""Rich's console for text that others wrote: what is printed moves no cursor but its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import rich.console
from rich.segment import Segment

from ..core.text import visible


class Console(rich.console.Console):
    """As Rich's, with every control character in a text shown as `?`; its own escapes are not text."""

    def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
        """Segments of a renderable."""
        return cleaned(super().render(renderable, options))


def cleaned(segments: Iterable[Segment]) -> Iterator[Segment]:
    """The segments, with no control character in a text."""
    for segment in segments:
        clean = segment.text if segment.control else visible(segment.text, "?")
        yield segment if clean == segment.text else Segment(clean, segment.style)


class Clean:
    """A renderable without control characters in its text, on whatever console."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __rich_console__(self, console: rich.console.Console, options: Any) -> Iterator[Segment]:
        """Its segments."""
        return cleaned(console.render(self._inner, options))
