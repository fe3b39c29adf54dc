"""Where calibrations of the user's own lie."""

from __future__ import annotations

from pathlib import Path

from ..model.files import data_dir, stored


def calibration_path(checkpoint: str, precision: str) -> Path:
    """The file of a checkpoint at a precision, to be read; it is written to `new_calibration_path`."""
    return stored("calibration", new_calibration_path(checkpoint, precision).name)


def new_calibration_path(checkpoint: str, precision: str) -> Path:
    """Where the calibration of a checkpoint at a precision is written."""
    return data_dir() / "calibration" / f"{checkpoint[:16]}-{precision}.json"
