"""Where INT8 graphs come from: what `avel calibrate int8` installed, or what ships with the package.

A calibration is a folder with `int8.json` and its graphs. It belongs to the weights it was made from: with
other weights it is not used. Graphs hold explicit Q/DQ pairs, one file for each target, since CPUs with
VNNI want U8S8 and TensorRT wants symmetric S8S8.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from ..checkpoint import file_sha256
from ..errors import BackendError, ModelFileError
from ..files import data_dir
from ..profiles import Profile
from .base import NETWORKS, EngineOptions, Network
from .networks import WEIGHTS, network_digest
from .probe import machine

FORMAT: Final = "avel-int8-1"
CARD: Final = "int8.json"
Target = Literal["cpu", "tensorrt"]
TARGETS: Final[tuple[Target, ...]] = ("cpu", "tensorrt")


@dataclass(frozen=True)
class Int8Graphs:
    """The graphs to put in place of the float ones, and where they came from."""

    paths: dict[Network, Path]
    note: str


def installed_folder(profile: Profile, root: Path | None = None) -> Path:
    """Where a calibration of this profile is installed.

    Args:
        profile: whose.
        root: `EngineOptions.cache_dir`, where one was given; else the user's data folder is used.

    """
    return (root or data_dir()) / "int8" / profile.name


def shipped_folder(profile: Profile) -> Path:
    """Where the package's own calibration would be: one for all profiles with this visual network."""
    return WEIGHTS / f"{profile.visual.name}_int8"


def find_int8(profile: Profile, options: EngineOptions, target: Target) -> Int8Graphs:
    """The INT8 graphs for these options.

    Raises:
        BackendError: there is no calibration that fits; says how to make one.
        ModelFileError: there is one, but its files are damaged.

    """
    reasons = []
    for folder, origin in (
        (installed_folder(profile, options.cache_dir), "calibration made here"),
        (shipped_folder(profile), "package's calibration"),
    ):
        card = _read(folder / CARD)
        if card is None:
            continue
        if reason := _unfit(card, profile, options, target):
            reasons.append(f"the {origin} {reason}")
            continue
        paths = _files(card, folder, target)
        if paths:
            return Int8Graphs(paths, f"int8: {' and '.join(sorted(paths))}, {origin}")
    why = f" ({'; '.join(reasons)})" if reasons else ""
    raise BackendError(
        f"profile {profile.name!r} has no INT8 calibration that fits{why}; make one with "
        f"`avel calibrate int8 --profile {profile.name} CLIP…`, or use --precision fp32"
    )


def shipped_for_cpus(profile: Profile, options: EngineOptions) -> dict[Network, Path]:
    """The package's graphs for CPUs, whatever this CPU can do; none where it has none for these weights.

    Raises:
        ModelFileError: its files are damaged.

    """
    folder = shipped_folder(profile)
    card = _read(folder / CARD)
    if card is None or _other_weights(card, profile, options):
        return {}
    return _files(card, folder, "cpu")


def has_int8(profile: Profile, options: EngineOptions, target: Target = "cpu") -> bool:
    """Whether `find_int8` would succeed."""
    try:
        find_int8(profile, options, target)
    except (BackendError, ModelFileError):
        return False
    return True


def _read(path: Path) -> dict[str, Any] | None:
    try:
        card = json.loads(path.read_text())
    except OSError:
        return None
    except ValueError as error:
        raise ModelFileError(f"{path}: damaged ({error}); run `avel calibrate int8` again") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise ModelFileError(f"{path}: expected format {FORMAT!r}; run `avel calibrate int8` again")
    return card


def _files(card: dict[str, Any], folder: Path, target: Target) -> dict[Network, Path]:
    """The graphs of a calibration for a target, each held against its digest."""
    paths: dict[Network, Path] = {}
    for network in NETWORKS:
        entry = card["networks"].get(network, {}).get(target)
        if entry is None:
            continue
        path = folder / Path(entry["file"]).name
        if not path.is_file() or file_sha256(path) != entry["sha256"]:
            raise ModelFileError(f"INT8 graph {path}: missing or damaged; run `avel calibrate int8` again")
        paths[network] = path
    return paths


def _other_weights(card: dict[str, Any], profile: Profile, options: EngineOptions) -> str:
    """The first network that a calibration has of other weights; empty where there is none."""
    for network in card["networks"]:
        if network not in ("visual", "audio"):
            continue
        if card["weights"].get(network) != network_digest(network, profile, options.given(network)):
            return str(network)
    return ""


def _unfit(card: dict[str, Any], profile: Profile, options: EngineOptions, target: Target) -> str:
    """Why a calibration is not for these weights or this machine; empty where it is."""
    if network := _other_weights(card, profile, options):
        return f"was made from other {network} weights, or for an earlier version of that network"
    for networks in card["networks"].values():
        needs = networks.get(target, {}).get("needs")
        if needs and not machine().fast_int8:
            return f"needs {needs}, which this CPU lacks"
    return ""
