"""Words and switches need no validator.

Most command lines hold nothing else, and importing pydantic for them takes a tenth of a second and ten
megabytes. Numbers have bounds and many spellings: they are the validator's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Group = TypeVar("_Group", bound="DataclassInstance")


def is_exact(value: Any, kind: Any, *, several: bool) -> bool:
    """Whether a validator could only hand the value back.

    Args:
        value: as it is to be stored.
        kind: plain type of one value (`keys.Key.kind`).
        several: it must be a tuple of such.

    """
    if several:
        return type(value) is tuple and all(is_exact(one, kind, several=False) for one in value)
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    return (kind in (bool, str) and type(value) is kind) or (kind is Path and isinstance(value, Path))


def filled(group: _Group, tree: Mapping[str, Any]) -> _Group:
    """The group with these values in place of its own, and the groups in it likewise.

    Raises:
        ValueError: values that contradict each other.

    """
    inner = {name: filled(getattr(group, name), v) for name, v in tree.items() if isinstance(v, dict)}
    return replace(group, **{**tree, **inner})
