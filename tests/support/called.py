"""`avel` in the test's own process, for what costs seconds to import."""

from __future__ import annotations

from collections.abc import Callable

from avel_live.realtime.commands import main


def avel(*words: object, entry: Callable[[list[str]], None] = main) -> int:
    """Its exit code; other commands by their `entry`."""
    try:
        entry([str(word) for word in words])
    except SystemExit as left:
        return int(left.code or 0)
    return 0
