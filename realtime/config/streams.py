"""Several streams in one file: every table of `[[streams]]` is a configuration of its own.

    enter = 0.6                       for all of them

    [[streams]]
    name = "door"
    url = "rtsp://door.local/stream"

    [[streams]]
    name = "yard"
    url = "rtsp://yard.local/stream"
    enter = 0.8                       for this one
    mqtt.topic = "outside"

Streams that were added, changed and removed while the program ran are kept in a file of their own (`kept`).
A table has every key that the top level has, but for those that belong to the whole program (`SHARED`).
Highest first: flag, the stream's own table, environment, the top level of the file, default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from ..core.errors import UsageError
from ..core.names import slug
from ..sinks.metrics import MetricsOptions
from .kept import default_path, read
from .load import STREAMS, Loaded, merged, table_name
from .schema import Config

SHARED: Final = frozenset(
    {
        *("profile", "backend", "precision", "engines", "checkpoint", "audio_weights", "visual_weights"),
        *(
            "threads",
            "follow",
            "streams_file",
            "metrics",
            "web",
            "output_wait_s",
            "json",
            "no_ui",
            "debug",
            "strict",
        ),
    }
)
"""Keys and groups that are said once for all streams: they share networks, a port, and standard output."""


@dataclass(frozen=True)
class StreamConfig:
    """One stream: what it runs by, and for every dotted path where its value came from."""

    config: Config
    origins: Mapping[str, str]
    table: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What was said for it alone, by dotted path."""

    @property
    def name(self) -> str:
        """What it is called; no two streams are called alike."""
        return self.config.stream_name


def streams_of(loaded: Loaded) -> tuple[StreamConfig, ...]:
    """Every stream of a configuration, with what was kept of them; perhaps none.

    Raises:
        UsageError: a wrong value, two of one name or one file; says which stream. What was kept can't be
            read.

    """
    standing = read(kept_in(loaded.config)).over(loaded.tables)
    return checked([stream_of(loaded, one.table, n, one.kept) for n, one in enumerate(standing, 1)])


def kept_in(config: Config) -> Path:
    """The file of streams that were added, changed and removed while the program ran."""
    return (config.streams_file or default_path()).absolute()


def stream_of(
    loaded: Loaded, table: Mapping[str, Any], number: int = 0, kept: frozenset[str] = frozenset()
) -> StreamConfig:
    """One stream.

    Args:
        loaded: what holds for all.
        table: its own values by dotted path; `name` is one of them.
        number: which of the tables it is, from 1; 0 where it comes from elsewhere.
        kept: which of its values were kept (`kept.Standing`), and do not come from the file.

    Raises:
        UsageError: what is wrong, and with which stream.

    """
    called = table_name(table, number)
    if not isinstance(table.get("name"), str) or not table["name"].strip():
        raise UsageError(f'{STREAMS} {called}: a stream needs a name (name = "door")')
    for key in table:
        if key in SHARED or key.split(".")[0] in SHARED:
            raise UsageError(
                f"{STREAMS} {called}: {key} is one for all streams; say it at the top level of the file"
            )
    where = str(kept_in(loaded.config))
    file = where if "name" in kept else loaded.layers[0][0] if len(loaded.layers) > 2 else ""
    origin = f"{file} [[{STREAMS}]] {called}".lstrip()
    try:
        config, origins = merged((*loaded.layers[:-1], (origin, dict(table)), *loaded.layers[-1:]))
    except UsageError as error:
        raise UsageError(f"{STREAMS} {called}: {error}") from error
    config = _apart(config, origins, origin)
    if "name" not in kept:
        origins |= dict.fromkeys((key for key in kept if origins[key] == origin), f"{where} {called}")
    return StreamConfig(config, origins, dict(table))


def checked(streams: list[StreamConfig]) -> tuple[StreamConfig, ...]:
    """The same streams, if they can live beside each other.

    Raises:
        UsageError: two have one name (as it stands in topics and file names), or write into one file.

    """
    names, files = dict[str, str](), dict[Path, str]()
    for stream in streams:
        if (level := slug(stream.name)) in names:
            raise UsageError(
                f"{STREAMS}: {names[level]!r} and {stream.name!r} would share topics and files; "
                "give each a name of its own"
            )
        names[level] = stream.name
        for path in (stream.config.log.jsonl, stream.config.log.csv):
            if path is not None and (other := files.setdefault(path.absolute(), stream.name)) != stream.name:
                raise UsageError(
                    f"{STREAMS}: {other!r} and {stream.name!r} both write {path}; give each its own"
                )
    return tuple(streams)


def _apart(config: Config, origins: Mapping[str, str], own: str) -> Config:
    """What was said for all, so that streams do not get into each other's way."""
    name, log, mqtt = slug(config.stream_name), config.log, config.mqtt

    def path(key: str, said: Path | None) -> Path | None:
        shared = said is not None and origins[f"log.{key}"] != own
        return said.with_name(f"{said.stem}-{name}{said.suffix}") if said is not None and shared else said

    log = replace(log, jsonl=path("jsonl", log.jsonl), csv=path("csv", log.csv))
    if mqtt.client_id is not None and origins["mqtt.client_id"] != own:
        mqtt = replace(mqtt, client_id=f"{mqtt.client_id}-{name}")
    # Whoever runs several wants to know afterwards what was going on.
    asked = origins["memory.enabled"] != "default"
    memory = config.memory if asked else replace(config.memory, enabled=True)
    return replace(config, log=log, mqtt=mqtt, metrics=MetricsOptions(), memory=memory)
