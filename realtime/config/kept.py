"""What was said of streams while the program ran, kept for its next start, beside what `avel.toml` says.

    kept = read(path)
    kept = kept.with_added({"name": "yard", "url": "rtsp://…"})
    kept = kept.with_changed(table, {"enter": 0.9})      of a stream of avel.toml
    kept = kept.without(name, table)
    write(path, kept)
    kept.over(tables)                                    what there is to run

Nothing is written into `avel.toml`: people write there, and often the program may not. Who edits a stream's
table there afterwards has the last word: what was kept of that stream then no longer holds, and is said to.

One JSON file, private to the user (addresses of cameras carry passwords), replaced whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from ...model.files import atomic_write, data_dir
from ..core.errors import UsageError
from ..core.names import slug
from .load import flat

VERSION: Final = 1
_LARGEST: Final = 4 * 1024 * 1024

Table = dict[str, Any]
"""Keys of one stream by dotted path; `name` is one of them."""


@dataclass(frozen=True)
class Change:
    """Keys of a stream of `avel.toml` that were changed."""

    of: str
    """Which table was changed: `digest` of it."""
    keys: Mapping[str, Any]
    """New values; None takes back what the table says, and what holds for all streams holds."""


@dataclass(frozen=True)
class Standing:
    """A stream that is to run."""

    table: Table
    kept: frozenset[str]
    """Which of its keys were kept; all of them where it was added."""


@dataclass(frozen=True)
class Kept:
    """All that was kept."""

    added: tuple[Table, ...] = ()
    changed: Mapping[str, Change] = field(default_factory=dict)
    """By the name of the stream."""
    removed: Mapping[str, str] = field(default_factory=dict)
    """Name of a stream of `avel.toml` → `digest` of the table that was removed."""

    def with_added(self, table: Mapping[str, Any]) -> Kept:
        """One stream more, or another table of one that was added."""
        new, added = _whole(table), list(self.added)
        at = next((k for k, one in enumerate(added) if one["name"] == new["name"]), len(added))
        added[at : at + 1] = [new]
        return replace(self, added=tuple(added))

    def with_changed(self, table: Mapping[str, Any], keys: Mapping[str, Any]) -> Kept:
        """Other values of some keys of a stream; `table` is what `avel.toml` says of it."""
        name = str(table["name"])
        before = self.changed.get(name)
        said = {**(before.keys if before and before.of == digest(table) else {}), **keys}
        return replace(self, changed={**self.changed, name: Change(digest(table), said)})

    def without(self, name: str, table: Mapping[str, Any] | None) -> Kept:
        """One stream less; `table` is what `avel.toml` says of it, if it does."""
        added = tuple(one for one in self.added if one["name"] != name)
        changed = {other: change for other, change in self.changed.items() if other != name}
        removed = self.removed if table is None else {**self.removed, name: digest(table)}
        return Kept(added, changed, removed)

    def over(self, tables: Sequence[Table]) -> list[Standing]:
        """What is to run, of the tables of `avel.toml` and of what was kept."""
        found, names = [], set[str]()
        for table in tables:
            if self.is_removed(table):
                continue
            name = str(table.get("name"))
            change = self.changed.get(name)
            keys = change.keys if change is not None and change.of == digest(table) else {}
            found.append(Standing(_whole({**table, **keys}), frozenset(keys)))
            names.add(slug(name))
        added = [one for one in self.added if slug(one["name"]) not in names]
        return [*found, *(Standing(table, frozenset(table)) for table in added)]

    def stale(self, tables: Sequence[Table]) -> list[str]:
        """Streams of which something was kept that no longer holds: `avel.toml` says otherwise now."""
        at = {str(table.get("name")): digest(table) for table in tables}
        given = [*self.removed.items(), *((name, change.of) for name, change in self.changed.items())]
        stale = [name for name, of in given if at.get(name, of) != of]
        there = {slug(str(one.table.get("name"))) for one in self.over(tables) if not one.kept >= {"name"}}
        return list(
            dict.fromkeys([*stale, *(one["name"] for one in self.added if slug(one["name"]) in there)])
        )

    def is_removed(self, table: Mapping[str, Any]) -> bool:
        """Whether this table of `avel.toml` was removed, as it is."""
        name = str(table.get("name"))
        return name in self.removed and self.removed[name] == digest(table)


def default_path() -> Path:
    """`streams.json` in the data folder (`AVEL_DATA_DIR`, or the user's)."""
    return data_dir() / "streams.json"


def digest(table: Mapping[str, Any]) -> str:
    """What changes when a table of `avel.toml` does; says nothing of what is in it."""
    text = json.dumps(table, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read(path: Path) -> Kept:
    """What was kept; nothing where no file is.

    Raises:
        UsageError: it is no such file, or one of a later release; says what to do.

    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return Kept()
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); see `streams_file`") from error
    try:
        if len(data) > _LARGEST:
            raise ValueError(f"larger than {_LARGEST} bytes")
        tree = json.loads(data)
        version = tree["version"]
        if version == VERSION:
            return Kept(
                tuple(_table(one) for one in tree["added"]),
                {name: Change(str(one["of"]), flat(one["keys"])) for name, one in tree["changed"].items()},
                {name: str(of) for name, of in tree["removed"].items()},
            )
    except UsageError as error:  # a key that does not exist
        raise UsageError(f"{path}: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{path}: not as it was written ({type(error).__name__}: {str(error)[:100]}); mend it, or move "
            "it away: streams added, changed and removed on the page are in it"
        ) from error
    raise UsageError(f"{path}: version {version!r}, this release reads {VERSION}; update the program")


def write(path: Path, kept: Kept) -> None:
    """Keep it, whole or not at all, for this user alone; it outlives a power cut.

    Raises:
        OSError: the file can't be written.

    """
    changed = {name: {"of": one.of, "keys": dict(one.keys)} for name, one in kept.changed.items()}
    tree = {"version": VERSION, "added": kept.added, "changed": changed, "removed": dict(kept.removed)}
    data = json.dumps(tree, indent=1).encode() + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)

    def private(temporary: Path) -> None:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)

    with contextlib.suppress(FileNotFoundError):
        path.chmod(0o600)  # what replaces it gets its permissions
    atomic_write(path, private, fsync=True)


def _whole(table: Mapping[str, Any]) -> Table:
    return {key: value for key, value in table.items() if value is not None}


def _table(given: Any) -> Table:
    table = flat(given)
    if not isinstance(table["name"], str) or not table["name"].strip():
        raise ValueError("a stream without a name")
    return table
