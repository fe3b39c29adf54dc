"""What changes while the program runs: streams are added, changed and removed, and the file is read again.

What `add`, `change` and `remove` do is kept for the next start (`config.kept`), and a reload agrees with it.
Where it can't be kept that is said, and a reload, which looks only at what is different, leaves it alone.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from ..config.keys import keys, value_of
from ..config.load import Loaded, flat
from ..config.schema import Config
from ..config.streams import SHARED, StreamConfig, checked, kept_in, stream_of, streams_of
from ..core.errors import UsageError
from ..sinks.base import Report
from ..sinks.watch import Setting
from .fleet import Fleet
from .keeping import Change, changed, keep, say_stale
from .settings import settings_of


class Changes:
    """Changes of a fleet, one at a time.

    Args:
        loaded: the configuration, with its `[[streams]]`.
        filed: its streams, with what was kept of them.
        fleet: the streams that run; none so far.
        say: told what people should know.

    """

    def __init__(self, loaded: Loaded, filed: tuple[StreamConfig, ...], fleet: Fleet, say: Report) -> None:
        self.loaded = loaded
        """The configuration, as it was read last."""
        self._filed = {stream.name: stream for stream in filed}
        self._fleet, self._say = fleet, say
        self._lock = threading.RLock()

    def begin(self) -> None:
        """Start every stream."""
        say_stale(self.loaded, self._say)
        with self._lock:
            for stream in self._filed.values():
                self._fleet.begin(stream)

    def add(self, values: Mapping[str, Any]) -> str:
        """Start one more stream; what was done.

        Args:
            values: its keys as in a table of `[[streams]]`, nested or dotted; `name` is one of them.

        Raises:
            UsageError: a wrong key or value, or the name is taken; nothing has changed.

        """
        with self._lock:
            table = {key: value for key, value in flat(values).items() if value is not None}
            stream = stream_of(self.loaded, table, kept=frozenset({"name"}))
            checked([*(one.wanted for one in self._fleet.all()), stream])
            said = self._keep(stream.name, stream, lambda kept, _: kept.with_added(table))
            self._fleet.begin(stream)
            return f"{stream.name} started{said}"

    def change(self, name: str, values: Mapping[str, Any]) -> str:
        """Change some keys of a stream, in place where that is possible; what was done.

        Args:
            name: of the stream.
            values: new values, nested or dotted; None takes back what was said for this stream alone.

        Raises:
            UsageError: no such stream, a wrong key or value; nothing has changed.

        """
        with self._lock:
            present = self._fleet.named(name)
            keys = flat(values)
            table = {key: v for key, v in (dict(present.wanted.table) | keys).items() if v is not None}
            if table.get("name") != name:
                raise UsageError(f"streams {name!r}: a stream keeps its name; remove it and add another one")
            stream = stream_of(self.loaded, table)
            checked([*(one.wanted for one in self._fleet.all() if one is not present), stream])
            present.check(stream)
            keys.pop("name", None)
            said = self._keep(name, stream, changed(table, keys))
            return f"{name} changed ({self._fleet.change(present, stream)}){said}"

    def settings(self, name: str) -> tuple[Setting, ...]:
        """What may be changed of a stream while it runs, and how it is set now.

        Raises:
            UsageError: no such stream.

        """
        with self._lock:
            return settings_of(self._fleet.named(name).wanted, self.loaded.config)

    def remove(self, name: str) -> str:
        """End a stream: open events end, the end is written; what was done.

        Raises:
            UsageError: no such stream.

        """
        with self._lock:
            present = self._fleet.named(name)
            said = self._keep(name, None, lambda kept, filed: kept.without(name, filed))
            self._fleet.end([present])
        return f"{name} stopped{said}"

    def reload(self) -> str:
        """Read the file again and do what is different in it; what was done.

        Raises:
            UsageError: what is wrong with it; nothing has changed.

        """
        if self.loaded.again is None:
            return "reloaded: nothing, the configuration did not come from anywhere"
        new = self.loaded.again()
        filed = {stream.name: stream for stream in streams_of(new)}
        with self._lock:
            # Of those that were added meanwhile, too, none may be in the way.
            others = [one.wanted for one in self._fleet.all() if one.name not in {*filed, *self._filed}]
            checked([*filed.values(), *others])
            gone = [one for one in self._fleet.all() if one.name in self._filed and one.name not in filed]
            said = [f"{stream.name} stopped" for stream in gone]
            self._fleet.end(gone)
            for name, stream in filed.items():
                before = self._filed.get(name)
                if before is not None and before.config == stream.config:
                    continue
                if name in self._fleet:
                    how = self._fleet.change(self._fleet.named(name), stream)
                    said.append(f"{name} changed ({how})")
                else:
                    self._fleet.begin(stream)
                    said.append(f"{name} started")
            left = restart_keys(self.loaded.config, new.config)
            self.loaded, self._filed = new, filed
            say_stale(new, self._say)
        text = f"reloaded: {'; '.join(said) or 'nothing is different'}"
        return f"{text}; only a restart of the program changes {', '.join(left)}" if left else text

    def _keep(self, name: str, stream: StreamConfig | None, change: Change) -> str:
        """Keep a change for the next start; what is to be said where that is impossible."""
        try:
            keep(self.loaded, name, change)
        except OSError as error:
            why = error.strerror or str(error)
            path = kept_in(self.loaded.config)
            self._say("streams", "failed", f"{name}: not kept for the next start: {path}: {why}", "warning")
            return f"; not kept for the next start: {path.name} can't be written ({why})"
        if stream is None:
            self._filed.pop(name, None)
        else:
            self._filed[name] = stream
        return ""


def restart_keys(old: Config, new: Config) -> list[str]:
    """Keys of the whole program that differ, and that no reload changes."""
    return [
        key.path
        for key in keys()
        if key.path.split(".")[0] in SHARED and value_of(old, key.path) != value_of(new, key.path)
    ]
