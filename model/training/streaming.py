"""Making training look like a live stream.

Cut videos are always ten full seconds of one scene; a stream is not. Two changes to a batch, at random:

    masks     the window has just begun (only its first k seconds exist), or a modality is missing for a
              while, as when a camera stalls
    offsets   the window lies across a change of scene: the end of one video, then the start of another
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .data import IGNORE, Batch, Flags, video_targets


@dataclass(frozen=True)
class StreamingOptions:
    """Probabilities, per window.

    Attributes:
        start_up: only the first k seconds exist, k uniform in 1..T.
        missing: one modality is missing for a run of seconds.
        offset: the window continues into another video of the batch.

    """

    start_up: float = 0.5
    missing: float = 0.1
    offset: float = 0.5

    def __post_init__(self) -> None:
        """Reject what is no probability."""
        for name in ("start_up", "missing", "offset"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must be within 0..1, got {getattr(self, name)}")


def _drop_run(mask: Flags, row: int, rng: np.random.Generator) -> None:
    length = mask.shape[1]
    start = int(rng.integers(length))
    mask[row, start : start + 1 + int(rng.integers(length))] = False


def stream_like(batch: Batch, options: StreamingOptions, rng: np.random.Generator, classes: int) -> Batch:
    """A batch as a stream would deliver it; the given arrays are left alone.

    Features of masked seconds become zeros, their targets `IGNORE`; where offsets are used the video
    label of a window is the commonest event in it.
    """
    visual, audio = batch.visual.copy(), batch.audio.copy()
    visual_mask, audio_mask = batch.visual_mask.copy(), batch.audio_mask.copy()
    target = batch.target.copy()
    count, length = target.shape
    for row in range(count):
        if length > 1 and rng.random() < options.offset:
            shift, other = int(rng.integers(1, length)), int(rng.integers(count))
            for new, old in (
                (visual, batch.visual),
                (audio, batch.audio),
                (visual_mask, batch.visual_mask),
                (audio_mask, batch.audio_mask),
                (target, batch.target),
            ):
                new[row] = np.concatenate([old[row, shift:], old[other, :shift]])
        if rng.random() < options.start_up:
            begun = int(rng.integers(1, length + 1))
            visual_mask[row, begun:] = audio_mask[row, begun:] = False
        if rng.random() < options.missing:
            _drop_run(visual_mask if rng.random() < 0.5 else audio_mask, row, rng)
    target[~(visual_mask | audio_mask)] = IGNORE
    visual *= visual_mask[..., None, None, None]
    audio *= audio_mask[..., None]
    return Batch(visual, audio, visual_mask, audio_mask, target, video_targets(target, classes - 1))
