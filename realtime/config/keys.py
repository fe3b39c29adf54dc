"""The leaves of the schema, one key each: what it is called, what it may be, what it affects."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from typing import Annotated, Any, Literal, Union

from ..core.options import Option, Options
from .schema import Config

ENV_PREFIX = "AVEL_"


@dataclass(frozen=True)
class Key:
    """One leaf of the schema: `path` is dotted as in the file (`mqtt.url`)."""

    path: str
    kind: Any
    """The plain type of one value: `X | None` is X, several values are the type of one, literals stay."""
    several: bool
    """Whether it takes several values."""
    default: Any
    option: Option

    @property
    def env(self) -> str:
        """Name in the environment."""
        return ENV_PREFIX + self.path.replace(".", "__").upper()


@lru_cache
def keys() -> tuple[Key, ...]:
    """Every leaf of the schema, in order."""
    return tuple(_walk(Config, ""))


def _walk(group: Any, prefix: str) -> Iterator[Key]:
    hints = typing.get_type_hints(group, include_extras=True)
    for field in fields(group):
        hint, path = hints[field.name], prefix + field.name
        if isinstance(hint, type) and issubclass(hint, Options):
            yield from _walk(hint, f"{path}.")
            continue
        found: list[Option] = []
        kind, several = _plain(hint, found)
        flagged = next((option for option in found if option.flags or option.pattern), None)
        secret = any(option.secret for option in found)
        assert field.default is not MISSING, path
        yield Key(path, kind, several, field.default, flagged or Option(secret=secret))


def _plain(hint: Any, found: list[Option]) -> tuple[Any, bool]:
    """The plain type behind an annotation; `Option`s on the way are added to `found`."""
    origin = typing.get_origin(hint)
    if origin is Annotated:
        inner, *notes = typing.get_args(hint)
        found += [note for note in notes if isinstance(note, Option)]
        return _plain(inner, found)
    if origin in (Union, types.UnionType):
        return _plain(next(a for a in typing.get_args(hint) if a is not type(None)), found)
    if origin is tuple:
        return _plain(typing.get_args(hint)[0], found)[0], True
    assert origin is Literal or isinstance(hint, type), hint
    return hint, False


def value_of(config: Config, path: str) -> Any:
    """The value at a dotted path."""
    value: Any = config
    for part in path.split("."):
        value = getattr(value, part)
    return value
