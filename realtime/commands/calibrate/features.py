"""Labelled features of ten seconds each, through the head alone: what a stream would have said about them.

a folder in AVE's layout             its windows
the work folder of `avel train lite` scenes composed from what training kept back
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...core.errors import UsageError
from ...core.messages import Scores
from ...recordings.labelled import Clip, Progress
from ...stream.window import softmax

if TYPE_CHECKING:
    from ....model.committee import Head
    from ....model.training.data import Floats

SCENE_BATCHES = 8
"""Of 64 scenes each: some 5,000 seconds."""


def ave_clips(
    folder: Path,
    checkpoint: Path,
    *,
    split: str = "val",
    profile: str | None = None,
    progress: Progress | None = None,
) -> Iterator[Clip]:
    """The ten-second windows of one split of a set in AVE's layout.

    Raises:
        ModelFileError: features or checkpoint are missing, damaged, or do not belong together.
        UsageError: there is no such split.

    """
    from ....model.checkpoint import check_classes, check_features, load_checkpoint
    from ....model.training.ave import AveData

    data = AveData(folder, profile=profile)
    if split not in data.splits:
        raise UsageError(f"no split {split!r}; there are: {', '.join(data.splits)}")
    head, info = load_checkpoint(checkpoint, profile=data.profile)
    rows = data.splits[split]
    done = 0
    try:
        check_features(info, data.visual_dim, data.audio_dim, data.grid)
        check_classes(info.labels, data.labels, str(folder))
        for part in np.array_split(rows, max(1, len(rows) // 32)):
            if progress is not None:
                progress(done, len(rows))
            names = [f"{split} {row}" for row in part]
            of = [data.rows[row].video for row in part]
            yield from _asked(head, names, *data.features(part), data.target[part], of=of)
            done += len(part)
    finally:
        data.close()


def scene_clips(
    work: Path, checkpoint: Path, profile: str, *, progress: Progress | None = None
) -> Iterator[Clip]:
    """Scenes composed from what the training of a light profile kept back.

    Raises:
        ModelFileError: the folder holds no takes for this profile, or the checkpoint is another profile's.

    """
    from ....model.checkpoint import check_classes, check_features, load_checkpoint
    from ....model.labels import LABELS
    from ....model.training.lite.held_out import held_out_scenes

    head, info = load_checkpoint(checkpoint, profile=profile)
    check_classes(info.labels, LABELS, str(work))
    for k, batch in enumerate(held_out_scenes(work, profile, SCENE_BATCHES)):
        if progress is not None:
            progress(k, SCENE_BATCHES)
        check_features(info, batch.visual.shape[-1], batch.audio.shape[-1], batch.visual.shape[2])
        masks = batch.visual_mask.astype(np.float32), batch.audio_mask.astype(np.float32)
        # A second without picture and sound is never shown, so nothing is claimed about it.
        truth = np.where(batch.visual_mask | batch.audio_mask, batch.label, -1)
        names = [f"scene {k}.{i}" for i in range(len(truth))]
        yield from _asked(head, names, batch.visual, batch.audio, truth, masks)


def _asked(
    head: Head,
    names: Sequence[str],
    visual: Floats,
    audio: Floats,
    targets: NDArray[np.int64],
    masks: tuple[Floats, Floats] | None = None,
    of: Sequence[str] | None = None,
) -> Iterator[Clip]:
    """Ask the head at each second, when it has seen that much and no more."""
    import torch

    inputs = [torch.from_numpy(x) for x in (visual, audio, *(masks or ()))]
    with torch.inference_mode():
        answers = [
            np.asarray(head(*(x[:, :end] for x in inputs)).logits.numpy(), np.float32)
            for end in range(1, targets.shape[1] + 1)
        ]
    for i, name in enumerate(names):
        scores = tuple(window_scores(hop, 0, a[i]) for hop, a in enumerate(answers))
        yield Clip(name, scores, targets[i], of[i] if of else "")


def window_scores(hop: int, first_index: int, logits: NDArray[np.float32]) -> Scores:
    """Scores of a full window, from its logits alone."""
    n = len(logits)
    return Scores(
        hop, first_index, logits, softmax(logits), np.zeros((n, 7, 7), np.float32), np.ones(n, np.bool_)
    )
