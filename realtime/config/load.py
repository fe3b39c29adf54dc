"""Filling the configuration: flags over environment over file over defaults, and who said what.

Precedence, highest first: flag, environment (`AVEL_CAMERA`, `AVEL_MQTT__URL`), the file given with
`--config` (or `AVEL_CONFIG`), else `./avel.toml`, else `avel.toml` in the user's configuration folder,
else the default. A key that does not exist is an error that names the nearest one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import TomlConfigSettingsSource

from ..errors import UsageError
from .schema import Config, Flag

ENV_PREFIX = "AVEL_"
FILE_NAME = "avel.toml"

# Environment names that are not keys of the schema: where the file, engines, calibrations and weights are.
_OTHER_ENV = {"AVEL_CONFIG", "AVEL_CACHE_DIR", "AVEL_DATA_DIR", "AVEL_WEIGHTS_DIR"}


@dataclass(frozen=True)
class Key:
    """One leaf of the schema: `path` is dotted as in the file (`mqtt.url`)."""

    path: str
    info: FieldInfo
    flag: Flag | None

    @property
    def env(self) -> str:
        """Name in the environment."""
        return ENV_PREFIX + self.path.replace(".", "__").upper()


def keys(model: type[BaseModel] = Config, prefix: str = "") -> Iterator[Key]:
    """Every leaf of the schema, in order."""
    for name, info in model.model_fields.items():
        path = prefix + (info.alias or name)
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from keys(info.annotation, f"{path}.")
        else:
            yield Key(path, info, next((m for m in info.metadata if isinstance(m, Flag)), None))


def value_of(config: Config, path: str) -> Any:
    """The value at a dotted path."""
    value: Any = config
    for part in path.split("."):
        value = getattr(value, "json_" if part == "json" else part)
    return value


@dataclass(frozen=True)
class Loaded:
    """A configuration and, for every dotted path, where its value came from."""

    config: Config
    origins: Mapping[str, str]
    again: Callable[[], Loaded] | None = field(default=None, compare=False, repr=False)
    """Reads file and environment anew, under the same flags; for a reload."""


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
    if file is not None:
        layers.append((str(file), _from_file(file, known)))
    layers.append(("environment", _from_environment(environ, known)))
    layers.append(("flag", dict(flags or {})))

    merged: dict[str, Any] = {}
    origins = dict.fromkeys(known, "default")
    for origin, values in layers:
        for key, value in values.items():
            _put(merged, key, value)
            origins[key] = f"environment {_env_name(key)}" if origin == "environment" else origin
    try:
        again = partial(load_config, flags, path=path if file is None else file, environ=environ)
        return Loaded(Config(**merged), origins, again)
    except ValidationError as error:
        raise UsageError(_explain(error, origins)) from error


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


def _near(name: str, known: list[str]) -> str:
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


def _from_file(file: Path, known: list[str]) -> dict[str, Any]:
    try:
        tree = TomlConfigSettingsSource(Config, file)()
    except (OSError, ValueError) as error:
        raise UsageError(f"configuration {file}: not readable as TOML ({error})") from error
    values = dict(_flatten(tree))
    for key in values:
        if key not in known:
            raise UsageError(f"configuration {file}: unknown key {key!r}{_near(key, known)}")
    return values


def _from_environment(environ: Mapping[str, str], known: list[str]) -> dict[str, Any]:
    names = {_env_name(path): path for path in known}
    for name in environ:
        if name.startswith(ENV_PREFIX) and name not in names and name not in _OTHER_ENV:
            raise UsageError(f"environment: unknown variable {name}{_near(name, list(names))}")
    return {path: environ[name] for name, path in names.items() if environ.get(name)}


def _explain(error: ValidationError, origins: Mapping[str, str]) -> str:
    """The first problem, on one line, with the key and where its value came from."""
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
    message = first["msg"].removeprefix("Value error, ")
    if not path:
        return message
    origin = origins.get(path, "")
    source = f" ({origin})" if origin not in ("", "default") else ""
    secret = any(key.path == path and key.info.repr is False for key in keys())
    got = "" if secret else f", got {first.get('input')!r}"
    return f"{path}{source}: {message[0].lower()}{message[1:]}{got}"
