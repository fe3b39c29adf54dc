"""What excludes what, between layers: the higher one wins, whatever the lower one said.

    avel.toml: camera = "/dev/video2"      avel-live --demo              plays the demo
    avel.toml: url = "rtsp://…"            avel-live --camera 1          watches the camera
    avel.toml: ignore = ["Bark"]           avel-live --classes Bark      reports Bark

Within one layer the same is a contradiction, and refused (`schema`, `events.config`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from .schema import NONE, folded

_RECORDED: Final = ("file", "url", "demo")
_DEVICES: Final = ("camera", "mic")
_OFF: Final = frozenset({"false", "0", "no", "off", "n", "f"})
"""What pydantic takes for False."""


def settle(values: dict[str, Any], rank: Callable[[str], int], defaults: Mapping[str, Any]) -> set[str]:
    """Take out of merged values what a higher layer excludes.

    Args:
        values: by dotted path, as merged; changed.
        rank: of the layer that a path's value came from; higher wins.
        defaults: of every path.

    Returns:
        the paths that fell back to their defaults.

    """
    dropped = _sources(values, rank, defaults)
    dropped |= _thresholds(values, rank)
    _names(values, rank)
    return dropped


def _sources(values: dict[str, Any], rank: Callable[[str], int], defaults: Mapping[str, Any]) -> set[str]:
    """One source at a time. `camera = none` and `mic = none` are no sources, and stay."""

    def chosen(path: str) -> bool:
        value = values.get(path)
        if path in _DEVICES:
            return path in values and str(value) not in (NONE, str(defaults[path]))
        return value is not None and not (path == "demo" and str(value).lower() in _OFF)

    given = [path for path in (*_RECORDED, *_DEVICES) if chosen(path)]
    if not given:
        return set()
    highest = max(map(rank, given))
    winners = {path for path in given if rank(path) == highest}
    # A camera and a microphone go together; a recording or a stream goes alone.
    devices = winners <= set(_DEVICES)
    losers = {p for p in given if p not in winners and not (devices and p in _DEVICES)}
    for path in losers:
        del values[path]
    return losers


def _thresholds(values: dict[str, Any], rank: Callable[[str], int]) -> set[str]:
    """`leave` above `enter` from another layer: the lower one goes."""
    try:
        enter, leave = float(values["enter"]), float(values["leave"])
    except (KeyError, TypeError, ValueError):
        return set()
    if leave <= enter or rank("enter") == rank("leave"):
        return set()
    loser = min("enter", "leave", key=rank)
    del values[loser]
    return {loser}


def _names(values: dict[str, Any], rank: Callable[[str], int]) -> None:
    """A class that one layer wants and another ignores: the higher one's word counts."""
    if not (values.get("classes") and values.get("ignore")) or rank("classes") == rank("ignore"):
        return
    loser, winner = sorted(("classes", "ignore"), key=rank)
    said = {folded(str(name)) for name in names_of(values[winner])}
    left = tuple(name for name in names_of(values[loser]) if folded(str(name)) not in said)
    if left or loser == "ignore":  # without any class left to report this is a contradiction after all
        values[loser] = left


def names_of(value: str | Iterable[str]) -> tuple[str, ...]:
    """Several names; in one text they are separated by `;`."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(";") if part.strip())
    return tuple(value)
