"""Evidence that is perfect, to compose scenes from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from avel_live.model.backbones.audio_concepts import CONCEPTS as HEARD
from avel_live.model.backbones.visual_concepts import CONCEPTS as SEEN
from avel_live.model.labels import BACKGROUND, EVENT_NAMES
from avel_live.model.training.lite.hearing import save_takes
from avel_live.model.training.lite.material import PERSON, SPEECH, UNSEEN, PicturePool, TakePool


def pools(seed: int = 0) -> tuple[PicturePool, TakePool]:
    """Perfect evidence: what is shown or heard has 0.9 in its channel, everything else 0.1."""
    rng = np.random.default_rng(seed)
    kinds = np.repeat([*(k for k in range(10) if k not in SPEECH), BACKGROUND, PERSON], 24)
    whole = np.full((len(kinds), len(SEEN)), 0.1, np.float16)
    for row, kind in enumerate(kinds):
        if kind < BACKGROUND:
            whole[row, kind] = 0.9
        elif kind == PERSON:
            whole[row, [*SPEECH, SEEN.index("person")]] = 0.9
    cells = np.broadcast_to(whole[:, None, None], (len(kinds), 7, 7, len(SEEN))).copy()
    pictures = PicturePool(cells, whole, kinds, np.arange(len(kinds)) // 2)
    heard = np.repeat([k for k in range(BACKGROUND + 1) if k not in UNSEEN], 3)
    audible = rng.random((len(heard), 10)) < 0.7
    audible[heard == BACKGROUND] = False
    sound = np.full((len(heard), 10, len(HEARD) + len(EVENT_NAMES)), 0.1, np.float16)
    for row, kind in enumerate(heard):
        if kind < BACKGROUND:
            sound[row, audible[row], kind] = 0.9
            sound[row, audible[row], len(HEARD) + kind] = 0.9
    beneath = np.full(len(heard), BACKGROUND)
    faint = np.zeros_like(audible)
    for row in np.flatnonzero((heard != BACKGROUND) & (rng.random(len(heard)) < 0.3)):
        beneath[row] = rng.choice([k for k in (*range(10), *SPEECH) if k != heard[row]])
        faint[row] = rng.random(10) < 0.5
        for start in (0, len(HEARD)):
            sound[row, faint[row], start + beneath[row]] = 0.9
    return pictures, TakePool(sound, heard, audible, beneath, faint, np.full(len(heard), BACKGROUND))


def work_folder(folder: Path, profile: str) -> Path:
    """What `avel train lite` leaves behind, made of that evidence."""
    folder.mkdir()
    pictures, takes = pools()
    np.savez(folder / "views.npz", kind=pictures.kind, subject=pictures.subject, grid=np.zeros(1))
    np.savez(folder / "pictures.npz", cells=pictures.cells, whole=pictures.whole)
    save_takes(folder / f"takes_{profile}_validation_0.npz", takes)
    return folder
