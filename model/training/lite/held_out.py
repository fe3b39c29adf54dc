"""Scenes composed from the photographs and recordings that training kept back: for calibration.

They are what `avel train lite` leaves in its work folder, composed by the same recipe without its
drastic parts (relabelling, lending), so that how often the head is right in them says how often it is
right. Real clips are too few to fit anything on, and they measure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from ...errors import ModelFileError
from .compose import Composer
from .hearing import join_takes, load_takes
from .material import Batch, PicturePool, TakePool
from .pictures import load_picture_pools
from .recipe import RECIPE

SEED: Final = 1000
"""Far from the seeds of the scenes that pick a head's checkpoint."""


def held_out_material(work: Path, profile: str) -> tuple[PicturePool, TakePool]:
    """Evidence of the photographs and recordings that training kept back.

    Args:
        work: the work folder of `avel train lite`.
        profile: whose ears the takes were heard with.

    Raises:
        ModelFileError: the folder lacks takes for this profile.

    """
    heard = sorted(work.glob(f"takes_{profile}_validation_*.npz"))
    if not heard:
        raise ModelFileError(
            f"{work}: no takes_{profile}_validation_*.npz there; run `avel train lite` first"
        )
    _, pictures = load_picture_pools(work / "views.npz", work / "pictures.npz")
    return pictures, join_takes([load_takes(path) for path in heard])


def held_out_scenes(work: Path, profile: str, batches: int, *, size: int = 64) -> Iterator[Batch]:
    """Batches of scenes from held-out material.

    Args:
        work: the work folder of `avel train lite`.
        profile: whose ears the takes were heard with.
        batches: how many.
        size: scenes in each.

    Raises:
        ModelFileError: the folder lacks takes for this profile.

    """
    recipe = replace(RECIPE, relabel=0.0, lend=0.0, hush=0.0, mishear=0.0)
    composer = Composer(*held_out_material(work, profile), recipe, SEED)
    for _ in range(batches):
        yield composer.batch(size)
