"""Keeping results: into the calibration of an engine, onto the disk, or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone
from math import inf
from pathlib import Path
from typing import Any

from ....calibration.contents import Calibration, DeviceFile
from ....calibration.files import check_fits, load_calibration, save
from ....calibration.places import calibration_path, new_calibration_path
from ....model.runtime.base import EngineInfo
from ...core.clock import wall_clock_s
from ...core.errors import UsageError, writing
from ...ui.console import Console


def per_hour_of(budget: str) -> float:
    """`1/hour`, `3/day`, `0.5/h` → per hour.

    Raises:
        UsageError: not of that form.

    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:/\s*(h|hour|d|day|week|minute|min))?\s*", budget)
    if not found or not 0 < float(found[1]) < inf:
        raise UsageError(f"max false alarms: expected something like 1/hour or 3/day, got {budget!r}")
    hours = {"h": 1, "hour": 1, "d": 24, "day": 24, "week": 168, "minute": 1 / 60, "min": 1 / 60, None: 1}
    return float(found[1]) / hours[found[2]]


def calibration_of(info: EngineInfo, **parts: Any) -> Calibration:
    """Parts as the calibration of an engine, made now."""
    return Calibration(
        made=now(),
        checkpoint=info.checkpoint,
        profile=info.profile,
        precision=info.precision,
        labels=list(info.labels),
        **parts,
    )


def store(info: EngineInfo, output: Path | None, console: Console, dry_run: bool, **parts: Any) -> None:
    """Put new parts into the calibration of this engine, keeping what else it holds."""
    if dry_run:
        console.print("nothing stored (--dry-run)")
        return
    path = output or new_calibration_path(info.checkpoint, info.precision)
    before = output or calibration_path(info.checkpoint, info.precision)
    kept: dict[str, Any] = {}
    if before.is_file():
        old = load_calibration(before)
        check_fits(old, str(before), checkpoint=info.checkpoint, precision=info.precision, labels=info.labels)
        kept = {name: getattr(old, name) for name in ("confidence", "thresholds", "room")}
    saved(path, calibration_of(info, **{**kept, **parts}))
    console.print(f"stored: {path}")


def saved(path: Path, content: Calibration | DeviceFile) -> None:
    """Write a profile; a folder that can't be written is an `OutputError`."""
    with writing(path):
        save(path, content)


def write(path: Path, text: str) -> None:
    """Write a text file; a folder that can't be written is an `OutputError`."""
    with writing(path):
        path.write_text(text + "\n", encoding="utf-8")


def drawn(path: Path, draw: Callable[[Path], None]) -> None:
    """Draw a PNG; a folder that can't be written is an `OutputError`."""
    with writing(path):
        draw(path)


def now() -> str:
    """The present, ISO 8601."""
    return datetime.fromtimestamp(wall_clock_s(), timezone.utc).isoformat(timespec="seconds")
