"""Arrays that a stage keeps for the next one, or for the next run: whole on disk, or not there at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...files import replacing


def keep_arrays(path: Path, **arrays: NDArray[np.generic]) -> None:
    """Write an npz file; processes that make the same one do not disturb each other."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
