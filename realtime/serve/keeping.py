"""Changes of streams, kept for the next start (`config.kept`), and what is to be said of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..config.kept import Kept, read, write
from ..config.load import Loaded
from ..config.streams import kept_in
from ..sinks.base import Report

Change = Callable[[Kept, Mapping[str, Any] | None], Kept]
"""What was kept, and what `avel.toml` says of the stream, if it does → what is to be kept."""


def keep(loaded: Loaded, name: str, change: Change) -> None:
    """Keep a change of a stream.

    Raises:
        UsageError: what was kept before can't be read; nothing has changed.
        OSError: the file can't be written; nothing is kept.

    """
    path = kept_in(loaded.config)
    kept = read(path)
    filed = next((one for one in loaded.tables if one.get("name") == name), None)
    if filed is not None and kept.is_removed(filed):
        filed = None  # another one was added under its name
    write(path, change(kept, filed))


def changed(table: Mapping[str, Any], keys: Mapping[str, Any]) -> Change:
    """The change of some keys, after which the stream's table is this one."""
    return lambda kept, filed: kept.with_added(table) if filed is None else kept.with_changed(filed, keys)


def say_stale(loaded: Loaded, say: Report) -> None:
    """Say of which streams what was kept no longer holds."""
    path = kept_in(loaded.config)
    for name in read(path).stale(loaded.tables):
        say("streams", "adjusted", f"{name}: avel.toml has the last word, not {path}", "info")
