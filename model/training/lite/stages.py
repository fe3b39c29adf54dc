"""What the stages of `avel train lite` share: how they tell of their progress, and how they keep arrays.

What a stage keeps is for the next one, or for the next run: whole on disk, or not there at all.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...files import replacing

Report = Callable[[str, float, str], None]
"""Called with the stage's name, the share of it done, and a line of text."""


def keep_arrays(path: Path, **arrays: NDArray[np.generic]) -> None:
    """Write an npz file; processes that make the same one do not disturb each other."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
