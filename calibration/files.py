"""Calibration files (`contents`): versioned JSON, written atomically, refused where out of place.

    <data folder>/calibration/<checkpoint, 16 digits>-<precision>.json
    <data folder>/devices/<camera and microphone>.json

The data folder is `model.files.data_dir`: `AVEL_DATA_DIR`, or `avel-live` among the user's data.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from ..model.errors import ModelFileError
from ..model.files import all_stored, atomic_write, data_dir, stored
from .contents import VERSION, Calibration, DeviceFile, Devices

_LARGEST_FILE = 4_000_000


def device_path(devices: Devices) -> Path:
    """Where the file of a pair of devices is written; readable, and unique by a digest of both names."""
    text = f"{devices.camera}\n{devices.microphone}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60]
    return data_dir() / "devices" / f"{slug}-{digest}.json"


AnyFile = TypeVar("AnyFile", Calibration, DeviceFile)


def load_calibration(path: Path) -> Calibration:
    """Read and check a calibration.

    Raises:
        ModelFileError: missing, unreadable, damaged, or of another version; one line with the fix.

    """
    return _load(path, Calibration, "avel calibrate confidence")


def load_device(devices: Devices) -> DeviceFile | None:
    """What was measured for this pair; None where nothing was.

    Raises:
        ModelFileError: there is a file, but it is damaged.

    """
    path = stored("devices", device_path(devices).name)
    if not path.is_file():
        return None
    found = _load(path, DeviceFile, "avel calibrate sync")
    return found if found.devices == devices else None


def stored_devices() -> tuple[list[DeviceFile], list[ModelFileError]]:
    """Every pair that was measured, and what is wrong with files that can't be read."""
    found: list[DeviceFile] = []
    wrong: list[ModelFileError] = []
    for path in all_stored("devices", "*.json"):
        try:
            found.append(_load(path, DeviceFile, "avel calibrate sync"))
        except ModelFileError as error:  # noqa: PERF203 - a handful of files; one bad one hides no other
            wrong.append(error)
    return found, wrong


def _load(path: Path, kind: type[AnyFile], command: str) -> AnyFile:
    again = f"make it again with `{command}`"
    if not path.is_file():
        raise ModelFileError(f"calibration {path}: no such file; {again}")
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ModelFileError(f"calibration {path}: too large to be one; {again}")
        tree = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFileError(f"calibration {path}: not readable as JSON ({error}); {again}") from error
    wanted = kind.model_fields["format"].default
    if not isinstance(tree, dict) or tree.get("format") != wanted:
        got = tree.get("format") if isinstance(tree, dict) else type(tree).__name__
        raise ModelFileError(f"calibration {path}: expected format {wanted!r}, got {got!r}; {again}")
    if tree.get("version") != VERSION:
        raise ModelFileError(
            f"calibration {path}: expected version {VERSION}, got {tree.get('version')!r}; {again}"
        )
    try:
        return kind.model_validate_json(json.dumps(tree))
    except (ValidationError, ValueError, RecursionError) as error:
        raise ModelFileError(f"calibration {path}: {_first(error)}; {again}") from error


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{where}: {first['msg']}" if where else str(first["msg"])
    return str(error).splitlines()[0]


def save(path: Path, content: Calibration | DeviceFile) -> None:
    """Write atomically: a reader sees the old file or the whole new one.

    Raises:
        OSError: the folder or the file can't be written.

    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content.model_dump(mode="json", exclude_none=True), indent=1, ensure_ascii=False)
    atomic_write(path, text + "\n", fsync=True)


def check_fits(
    found: Calibration,
    where: str,
    *,
    checkpoint: str,
    precision: str,
    labels: Sequence[str],
    devices: Devices | None = None,
) -> None:
    """Refuse a calibration that was made for something else.

    Args:
        found: the calibration.
        where: how the user knows it, for the message.
        checkpoint: SHA-256 of the head in use.
        precision: of the engine in use.
        labels: of the head in use.
        devices: in use; None for recordings.

    Raises:
        ModelFileError: with the reason.

    """

    def refuse(what: str, made_for: str, here: str, fix: str) -> ModelFileError:
        return ModelFileError(f"calibration {where}: made for {what} {made_for}, but {here} is in use; {fix}")

    if found.checkpoint != checkpoint:
        raise refuse(
            "checkpoint",
            found.checkpoint[:12],
            checkpoint[:12] or "none",
            "run `avel calibrate confidence` for this one, or give --calibration none",
        )
    if found.precision != precision:
        raise refuse(
            "precision", found.precision, precision, f"use --precision {found.precision}, or calibrate again"
        )
    if list(found.labels) != list(labels):
        raise refuse("other labels", f"({len(found.labels)})", f"{len(labels)} labels", "calibrate again")
    made_with = found.thresholds.devices if found.thresholds else None
    if made_with is not None and devices is not None and made_with != devices:
        raise refuse(
            "the devices",
            str(made_with),
            str(devices),
            "run `avel calibrate background` with these, or give --calibration none",
        )
