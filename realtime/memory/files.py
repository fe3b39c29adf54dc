"""Where the memory lies unless told otherwise."""

from __future__ import annotations

from pathlib import Path

from ...model.files import data_dir


def default_path() -> Path:
    """`memory.sqlite` in the data folder (`AVEL_DATA_DIR`, or the user's)."""
    return data_dir() / "memory.sqlite"
