"""What may be changed of a stream while it runs: source, thresholds and classes, as the schema has them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, Literal, get_args, get_origin

from ..config.keys import Key, keys, value_of
from ..config.schema import NONE, Config
from ..config.streams import StreamConfig
from ..core.redact import redact
from ..sinks.watch import Setting

_KINDS: Final[dict[type, Literal["integer", "number", "text"]]] = {
    int: "integer",
    float: "number",
    str: "text",
}


def settings_of(stream: StreamConfig, common: Config) -> tuple[Setting, ...]:
    """Every such key of a stream.

    Args:
        stream: as it runs, or is about to.
        common: what holds for all streams.

    """
    wanted = _of_source(stream.config)
    found = _address(stream, common)
    found += [_setting(key, stream, common) for key in keys() if key.path in wanted]
    found += [_setting(key, stream, common) for key in keys() if key.option.affects == "decoding"]
    return tuple(found)


def _setting(key: Key, stream: StreamConfig, common: Config) -> Setting:
    chosen = get_origin(key.kind) is Literal
    low, high = _bounds()[key.path]
    return Setting(
        key.path,
        "choice" if chosen else "names" if key.several else _KINDS[key.kind],
        _plain(stream.table.get(key.path)),
        _plain(value_of(common, key.path)),
        low,
        high,
        ": ".join(filter(None, (key.option.help.replace(" (repeat the flag)", ""), key.option.form))),
        get_args(key.kind) if chosen else (),
    )


def _of_source(config: Config) -> tuple[str, ...]:
    """What its source can be asked for, beside its address."""
    if config.file is not None or config.demo:
        return ()
    if config.url:
        return ("rtsp_transport",) if config.url.lower().startswith(("rtsp://", "rtsps://")) else ()
    # Of a device alone: whoever sends pictures over a network does not ask what is wanted here.
    return ("size", "fps") if config.camera != NONE and "://" not in config.camera else ()


def _address(stream: StreamConfig, common: Config) -> list[Setting]:
    """Where the stream comes from, where that is an address, without its secrets; else nothing."""
    config = stream.config
    name = "url" if config.url else "camera"
    if config.file is not None or config.demo or "://" not in str(value_of(config, name)):
        return []
    (key,) = (key for key in keys() if key.path == name)
    said, shared = stream.table.get(name), value_of(common, name)
    return [
        Setting(
            name,
            "address",
            None if said is None else redact(str(said)),
            redact(shared) if shared and "://" in shared else None,
            None,
            None,
            key.option.help,
        )
    ]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | list) else value


@lru_cache
def _bounds() -> dict[str, tuple[float | None, float | None]]:
    """Least and most of every key of the top level."""
    from pydantic import TypeAdapter

    found = {}
    for name, said in TypeAdapter(Config).json_schema()["properties"].items():
        kinds = said.get("anyOf", [said])
        low, high = (next((one[end] for one in kinds if end in one), None) for end in ("minimum", "maximum"))
        found[name] = low, high
    return found
