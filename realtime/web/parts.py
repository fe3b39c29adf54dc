"""What the routes work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..memory import Memory
from .box import Box
from .guard import Doors
from .live import Live


@dataclass(frozen=True)
class Parts:
    """The same for all of them."""

    box: Box
    memory: Memory | None
    """None where nothing is remembered."""
    folders: Callable[[], tuple[Path, ...]]
    """Says where clips may lie; nothing else is ever sent."""
    doors: Doors
    live: Live
    secure: bool
    """Whether the page is reached by https."""
