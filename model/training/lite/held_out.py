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
from .hearing import heard_by, join_takes, load_takes
from .material import Batch, PicturePool, TakePool
from .pictures import kept, load_picture_pools
from .recipe import RECIPE

SEED: Final = 1000
"""Far from the seeds of the scenes that pick a head's checkpoint."""


def held_out_material(work: Path, profile: str) -> tuple[PicturePool, TakePool]:
    """Evidence of the photographs and recordings that training kept back.

    Args:
        work: the work folder of `avel train lite`.
        profile: whose ears the takes were heard with, and whose eye saw the photographs.

    Raises:
        ModelFileError: the folder lacks takes or pictures for this profile.

    """
    pattern = f"takes_{heard_by(profile)}_validation_*.npz"
    heard = sorted(work.glob(pattern))
    if not heard:
        raise ModelFileError(f"{work}: no {pattern} there; run `avel train lite` first")
    missing = [path.name for path in kept(work, profile) if not path.is_file()]
    if missing:
        raise ModelFileError(f"{work}: no {' nor '.join(missing)} there; run `avel train lite` first")
    _, pictures = load_picture_pools(*kept(work, profile))
    return pictures, join_takes([load_takes(path) for path in heard])


def held_out_scenes(work: Path, profile: str, batches: int, *, size: int = 64) -> Iterator[Batch]:
    """Batches of scenes from held-out material.

    Args:
        work: the work folder of `avel train lite`.
        profile: whose ears the takes were heard with, and whose eye saw the photographs.
        batches: how many.
        size: scenes in each.

    Raises:
        ModelFileError: the folder lacks takes or pictures for this profile.

    """
    recipe = replace(RECIPE, relabel=0.0, lend=0.0, hush=0.0, mishear=0.0)
    composer = Composer(*held_out_material(work, profile), recipe, SEED)
    for _ in range(batches):
        yield composer.batch(size)
