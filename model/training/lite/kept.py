"""Arrays that a stage keeps for the next one, or for the next run: whole on disk, or not there at all."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def keep_arrays(path: Path, **arrays: NDArray[np.generic]) -> None:
    """Write an npz file; processes that make the same one do not disturb each other."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    temporary.replace(path)
