"""Checkpoints of the DIIA head: one safetensors file that says what it is.

The header's metadata (strings, as safetensors wants) holds `format`, `profile`, `config` (JSON of
`DIIAConfig`), `labels` (JSON list), `members` where the head is a committee, and anything the trainer adds
under `info` (JSON). No pickle is ever read. Weights may be stored in less; they are computed with in float32.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from .errors import ModelFileError, first_line
from .formats.weights import Stored, read_weights, save_weights
from .labels import LABELS
from .profiles import PROFILES

if TYPE_CHECKING:
    from .committee import Head
    from .diia_config import DIIAConfig

FORMAT = "avel-diia-1"
_MOST_MEMBERS = 16


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says about itself, read without loading its weights."""

    path: Path
    profile: str
    config: DIIAConfig
    labels: tuple[str, ...]
    sha256: str
    info: dict[str, Any] = field(default_factory=dict)
    members: int = 1
    """Heads that answer as one."""


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file; of one that is still the same, read once in a process."""
    with path.open("rb") as file:
        now = os.fstat(file.fileno())
        return _sha256(file, (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns))


_digests: dict[tuple[int, ...], str] = {}


def _sha256(file: BinaryIO, identity: tuple[int, ...]) -> str:
    if identity not in _digests:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
        _digests[identity] = digest.hexdigest()
    return _digests[identity]


def save_checkpoint(
    path: Path,
    model: Head,
    *,
    profile: str,
    labels: tuple[str, ...] = LABELS,
    info: dict[str, Any] | None = None,
    stored: Stored = "float32",
) -> None:
    """Write atomically: a reader sees the old file or the whole new one.

    Args:
        path: target `.safetensors`.
        model: the network.
        profile: name of the feature profile it was trained on.
        labels: class names, background last; their number must be `config.classes`.
        info: anything else worth keeping (metrics, data, seed), JSON-serialisable.
        stored: how much of the weights is kept.

    """
    metadata = {
        "format": FORMAT,
        "profile": profile,
        "config": json.dumps(model.config.to_dict()),
        "labels": json.dumps(list(labels)),
        "members": str(len(getattr(model, "members", (model,)))),
        "info": json.dumps(info or {}),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_weights(path, model, metadata, stored=stored)


def read_info(path: Path, *, profile: str | None = None) -> CheckpointInfo:
    """Read and check the header, without torch.

    Args:
        path: a file written by `save_checkpoint`.
        profile: refuse a checkpoint trained on the features of another profile, unless it takes its heads.

    Raises:
        ModelFileError: missing, damaged, not a DIIA checkpoint, or for another profile.

    """
    from safetensors import SafetensorError, safe_open

    from .diia_config import DIIAConfig

    if not path.is_file():
        raise ModelFileError(f"checkpoint {path}: no such file; give --checkpoint a .safetensors file")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ModelFileError(
            f"checkpoint {path}: damaged or not a safetensors file ({error}); copy or train it again"
        ) from error
    if metadata.get("format") != FORMAT:
        raise ModelFileError(
            f"checkpoint {path}: expected format {FORMAT!r}, got {metadata.get('format')!r}; "
            "it was not written by `avel train`"
        )
    try:
        known = {f.name for f in fields(DIIAConfig)}
        raw = json.loads(metadata["config"])
        if unknown := set(raw) - known:
            raise ValueError(f"unknown config keys {sorted(unknown)}")
        config = DIIAConfig(**raw)
        labels = tuple(str(name) for name in json.loads(metadata["labels"]))
        info = json.loads(metadata.get("info", "{}"))
        members = int(metadata.get("members", "1"))
        if not 1 <= members <= _MOST_MEMBERS:
            raise ValueError(f"members must be 1 to {_MOST_MEMBERS}, got {members}")
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"checkpoint {path}: damaged header ({error}); copy or train it again"
        ) from error
    if len(labels) != config.classes:
        raise ModelFileError(f"checkpoint {path}: {config.classes} classes but {len(labels)} labels")
    trained_on = metadata.get("profile", "")
    if profile is not None and not _serves(trained_on, profile):
        raise ModelFileError(
            f"checkpoint {path}: trained on {trained_on!r} features, but the profile is {profile!r}; "
            f"use --profile {trained_on} or another checkpoint"
        )
    return CheckpointInfo(
        path,
        trained_on,
        config,
        labels,
        file_sha256(path),
        info if isinstance(info, dict) else {},
        members,
    )


def _serves(trained_on: str, profile: str) -> bool:
    """Whether a head trained on the features of one profile may be fed those of another."""
    known = PROFILES.get(profile)
    return trained_on == profile or (known is not None and trained_on in known.heads_of)


def load_checkpoint(path: Path, *, profile: str | None = None) -> tuple[Head, CheckpointInfo]:
    """The network in eval mode, float32, on the CPU.

    Args:
        path: a file written by `save_checkpoint`.
        profile: refuse a checkpoint trained on the features of another profile, unless it takes its heads.

    Raises:
        ModelFileError: missing, damaged, for another profile, or tensors that do not fit its config.

    """
    import torch
    from safetensors import SafetensorError

    from .committee import Committee
    from .diia import DIIA

    info = read_info(path, profile=profile)

    def network() -> Head:
        members = [DIIA(info.config) for _ in range(info.members)]
        return Committee(members) if info.members > 1 else members[0]

    try:
        weights = read_weights(path)
        with torch.device("meta"):  # first without memory: a damaged header may ask for any
            network().load_state_dict(weights, assign=True)
        model = network()
        model.load_state_dict(weights)
    except (SafetensorError, RuntimeError) as error:
        raise ModelFileError(
            f"checkpoint {path}: weights do not fit its config ({first_line(error)})"
        ) from error
    return model.eval(), info


def check_features(info: CheckpointInfo, visual_dim: int, audio_dim: int, grid: int) -> None:
    """Refuse features that the head was not made for.

    Raises:
        ModelFileError: their dimensions are others.

    """
    c = info.config
    if (visual_dim, audio_dim, grid) != (c.visual_dim, c.audio_dim, c.grid):
        raise ModelFileError(
            f"checkpoint {info.path}: made for features of {c.visual_dim} and {c.audio_dim} dimensions on a "
            f"{c.grid}×{c.grid} grid, but these have {visual_dim} and {audio_dim} on {grid}×{grid}"
        )


def check_classes(have: Sequence[str], want: Sequence[str], where: str) -> None:
    """Refuse material whose classes are not the head's.

    Args:
        have: class names of the head, background last.
        want: those of the material.
        where: what the material is called.

    Raises:
        ModelFileError: they differ; says how.

    """
    if tuple(have) != tuple(want):
        strange = next((name for name in have if name not in want), None)
        difference = f"{strange!r} is not among them" if strange else "their number or order differs"
        raise ModelFileError(
            f"{where}: its {len(want)} classes are not the {len(have)} of the checkpoint ({difference}); "
            "give material labelled with the checkpoint's classes"
        )
