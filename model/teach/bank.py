"""What ships of everything else: what the eye and the ears make of some hundred pictures and sounds.

Taught classes are told apart from it where a user has no background of the place, and beside it where one
has. Features only, in eight bits: of the 28 classes, of other things, and of noise. Made by

    python -m avel_live.model.teach.bank_maker --data DIR --yamnet FILE

from the photographs and sounds that `avel train lite` may learn from (free licences, none under the GPL
alone); the model card names their sources.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelFileError, first_line
from ..files import SHIPPED

FILE: Final = SHIPPED / "taught_bank.safetensors"
Floats = NDArray[np.float32]


@lru_cache(maxsize=2)
def _whole(path: Path) -> dict[str, NDArray[np.generic]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise ModelFileError(
            f"{path}: missing or damaged ({first_line(error)}); reinstall avel-live"
        ) from error


def shipped(digest: str, path: Path = FILE) -> tuple[Floats, NDArray[np.int64]] | None:
    """What a sense makes of everything else.

    Args:
        digest: of the sense (`senses.sense_digest`).
        path: the file.

    Returns:
        [N, D] embeddings and [N] the event of each (0..27, 28 = none of them); None where nothing ships for
        this network with these weights.

    Raises:
        ModelFileError: the file is missing or damaged.

    """
    arrays = _whole(path)
    if f"{digest}.embedding" not in arrays:
        return None
    scale = arrays[f"{digest}.scale"].astype(np.float32)
    return arrays[f"{digest}.embedding"].astype(np.float32) * scale, arrays[f"{digest}.kind"].astype(np.int64)
