"""Filling the configuration: flags over environment over file over defaults, and who said what.

Precedence, highest first: flag, environment (`AVEL_CAMERA`, `AVEL_MQTT__URL`), the file given with
`--config` (or `AVEL_CONFIG`), else `./avel.toml`, else `avel.toml` in the user's configuration folder,
else the default. A higher layer also wins over what excludes it (`precedence`); an empty variable unsets
what the file says. A key that does not exist is an error that names the nearest one.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_origin

from ..core.errors import UsageError
from ..core.redact import remember
from .exact import filled, is_exact
from .foreign import foreign
from .keys import ENV_PREFIX, Key, keys
from .precedence import names_of, settle
from .schema import Config

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

FILE_NAME = "avel.toml"
STREAMS = "streams"
_SHOWN = 120
"""Characters of a key or value that an error shows."""

# Environment names that are not keys of the schema: where the file, engines, calibrations and weights are.
_OTHER_ENV = {"AVEL_CONFIG", "AVEL_CACHE_DIR", "AVEL_DATA_DIR", "AVEL_WEIGHTS_DIR"}

_OLD_NAMES = {
    "notify": "notify.enabled",
    **{f"record.{name}": f"clips.{name}" for name in ("dir", "pre_s", "post_s", "keep", "max_s")},
}
"""Names that keys had before, and may still be called by."""


@dataclass(frozen=True)
class Loaded:
    """A configuration and, for every dotted path, where its value came from."""

    config: Config
    origins: Mapping[str, str]
    again: Callable[[], Loaded] | None = field(default=None, compare=False, repr=False)
    """Reads file and environment anew, under the same flags; for a reload."""
    layers: tuple[tuple[str, dict[str, Any]], ...] = field(default=(), compare=False, repr=False)
    """What was merged, lowest first: origin, and values by dotted path."""
    tables: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    """The file's `[[streams]]`, by dotted path (`config.streams`)."""


def load_config(
    flags: Mapping[str, Any] | None = None,
    *,
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Merge the layers and validate once.

    Args:
        flags: dotted path → value, only those that were given.
        path: the file to read; None looks for one.
        environ: stands in for `os.environ` in tests.

    Raises:
        UsageError: unknown key, wrong value, contradiction, unreadable file; one line.

    """
    environ = os.environ if environ is None else environ
    known = [key.path for key in keys()]
    file = _find_file(path, environ)
    layers: list[tuple[str, dict[str, Any]]] = []
    tables: tuple[dict[str, Any], ...] = ()
    if file is not None:
        values, tables = _from_file(file, known)
        layers.append((str(file), values))
    layers.append(("environment", _from_environment(environ, known)))
    layers.append(("flag", _renamed(dict(flags or {}))))

    config, origins = merged(layers)
    again = partial(load_config, flags, path=path if file is None else file, environ=environ)
    return Loaded(config, origins, again, tuple(layers), tables)


def merged(layers: Sequence[tuple[str, dict[str, Any]]]) -> tuple[Config, dict[str, str]]:
    """Layers by their origin, lowest first → what they say together, and where each value came from.

    Raises:
        UsageError: wrong value, contradiction; one line.

    """
    known = [key.path for key in keys()]
    values: dict[str, Any] = {}
    origins = dict.fromkeys(known, "default")
    ranks = dict.fromkeys(known, 0)
    for rank, (origin, said) in enumerate(layers):
        for key, value in said.items():
            values[key], ranks[key] = value, rank
            origins[key] = f"environment {_env_name(key)}" if origin == "environment" else origin
            if origin == "environment" and value == "":
                del values[key]
    defaults = {key.path: key.default for key in keys()}
    for key in settle(values, ranks.__getitem__, defaults):
        origins[key] = "default"
    return _checked(values, origins), origins


def config_from(values: Mapping[str, Any]) -> Config:
    """A configuration from values alone, nested as in `avel.toml` or by dotted paths.

    Raises:
        UsageError: unknown key, wrong value, contradiction; one line.

    """
    return _checked(flat(values), {})


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted path, of values nested as in `avel.toml` or by dotted paths.

    Raises:
        UsageError: unknown key, nested too deeply.

    """
    known = [key.path for key in keys()]
    try:
        found = _renamed(dict(_flatten(values)))
    except RecursionError:
        raise UsageError("configuration: nested too deeply; groups have keys, and no groups") from None
    for key in found:
        if key not in known:
            raise UsageError(f"unknown key {_short(key)}{_near(key, known)}")
    return found


def _checked(values: Mapping[str, Any], origins: Mapping[str, str]) -> Config:
    """Validate values by dotted path."""
    tree: dict[str, Any] = {}
    exact = True
    by_path = {key.path: key for key in keys()}
    for path, value in values.items():
        key = by_path[path]
        _remember(key, value)
        if key.several and isinstance(value, str):
            value = names_of(value)
        elif get_origin(key.kind) is Literal and isinstance(value, int):
            value = str(value)  # a number in the file, a word on the command line
        elif key.option.pattern and not re.fullmatch(key.option.pattern, str(value)):
            raise UsageError(f"{_named(path, origins)}: expected {key.option.form}, got {_short(value)}")
        if key.kind is Path and isinstance(value, str):
            value = Path(value)
        exact = exact and is_exact(value, key.kind, several=key.several)
        _put(tree, path, value)
    if exact:
        with suppress(ValueError):  # the validator says it with its key
            return filled(Config(), tree)
    from pydantic import ValidationError

    try:
        return _adapter().validate_python(tree)
    except ValidationError as error:
        raise UsageError(_explain(error, origins)) from error


def _remember(key: Key, value: Any) -> None:
    """Redact by value what is secret in it; of a secret among several, `NAME=VALUE`, that is the value."""
    if not key.several:
        if isinstance(value, str | Path):
            remember(str(value), secret=key.option.secret)
    elif key.option.secret and isinstance(value, str | list | tuple):
        for part in names_of(value) if isinstance(value, str) else value:
            remember(str(part).partition("=")[2], secret=True)


@lru_cache
def _adapter() -> TypeAdapter[Config]:
    from pydantic import TypeAdapter

    return TypeAdapter(Config)


def _env_name(path: str) -> str:
    return ENV_PREFIX + path.replace(".", "__").upper()


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    *groups, leaf = path.split(".")
    for group in groups:
        tree = tree.setdefault(group, {})
    tree[leaf] = value


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    return {_OLD_NAMES.get(key, key): value for key, value in values.items()}


def _near(name: str, known: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else "; `avel config show` lists all keys"


def _find_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    if path is None and environ.get("AVEL_CONFIG"):
        path = Path(environ["AVEL_CONFIG"])
    if path is not None:
        if not path.is_file():
            raise UsageError(f"configuration {path}: no such file")
        return path
    from platformdirs import user_config_path

    for candidate in (Path(FILE_NAME), user_config_path("avel-live") / FILE_NAME):
        if candidate.is_file():
            return candidate
    return None


def _from_file(file: Path, known: list[str]) -> tuple[dict[str, Any], tuple[dict[str, Any], ...]]:
    """Values by dotted path, and the same of every table of `[[streams]]`."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        tree = tomllib.loads(file.read_text("utf-8"))
        streams = tree.pop(STREAMS, [])
        values = _renamed(dict(_flatten(tree)))
        if not isinstance(streams, list) or not all(isinstance(one, dict) for one in streams):
            raise UsageError(f"configuration {file}: expected {STREAMS} as tables, each under [[{STREAMS}]]")
        tables = tuple(_renamed(dict(_flatten(one))) for one in streams)
    except UsageError:
        raise
    except (OSError, ValueError) as error:
        raise UsageError(f"configuration {file}: not readable as TOML ({error})") from error
    except RecursionError:
        raise UsageError(f"configuration {file}: nested too deeply to be read as TOML") from None
    for number, table in enumerate((values, *tables)):
        where = f"{STREAMS} {table_name(table, number)}: " if number else ""
        for key in table:
            if key not in known:
                raise UsageError(f"configuration {file}: {where}unknown key {_short(key)}{_near(key, known)}")
    return values, tables


def table_name(table: Mapping[str, Any], number: int) -> str:
    """What a table of `[[streams]]` is called in messages; `number` counts from 1."""
    return _short(table["name"]) if table.get("name") else f"number {number}"


def _short(value: object) -> str:
    """As Python writes it, no longer than a line can bear."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _from_environment(environ: Mapping[str, str], known: list[str]) -> dict[str, Any]:
    names = {_env_name(old): new for old, new in _OLD_NAMES.items()}
    names |= {_env_name(path): path for path in known}
    others = foreign(environ, ENV_PREFIX)
    for name in environ:
        if name.startswith(ENV_PREFIX) and name not in names and name not in _OTHER_ENV | others:
            raise UsageError(f"environment: unknown variable {name}{_near(name, list(names))}")
    found: dict[str, Any] = {}
    for name, path in names.items():
        if name in environ and name not in others and (environ[name] or path not in found):
            found[path] = environ[name]
    return found


def _explain(error: ValidationError, origins: Mapping[str, str]) -> str:
    """The first problem, on one line, with the key and where its value came from."""
    first = error.errors(include_url=False)[0]
    known: dict[str, Key] = {key.path: key for key in keys()}
    parts = [str(part) for part in first["loc"] if not isinstance(part, int)]
    # Alternatives of a type are named behind the key.
    path = next((".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in known), "")
    message = first["msg"].removeprefix("Value error, ")
    if not path:
        return message
    got = "" if known[path].option.secret else f", got {_short(first.get('input'))}"
    return f"{_named(path, origins)}: {message[0].lower()}{message[1:]}{got}"


def _named(path: str, origins: Mapping[str, str]) -> str:
    """A key, and where its value came from."""
    origin = origins.get(path, "")
    return f"{path} ({origin})" if origin not in ("", "default") else path
