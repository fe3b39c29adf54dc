"""What the networks make of a segment: computed once, as its pictures come, kept for ten windows.

By change (the default) a picture is computed where it shows something new (`keyframes`). Otherwise (`--frames
all`, and what is made for training) every picture is: in groups of `GROUP`, in the order in which they were
chosen, the last group being whatever is left. The grouping depends on the pictures alone, so the same stream
gives the same numbers however fast it is played.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...model.profiles import GRID, Profile
from ...model.runtime.base import Engine
from ..core.messages import Segment, SegmentFeatures
from .keyframes import KeyFrames

GROUP = 4
"""Pictures that go through the visual network together."""


def missing(index: int, profile: Profile) -> SegmentFeatures:
    """A segment nobody saw or heard."""
    return SegmentFeatures(
        index,
        np.zeros((GRID, GRID, profile.visual.dim), np.float32),
        np.zeros(profile.audio.dim, np.float32),
        has_video=False,
        has_audio=False,
    )


class FeatureBuilder:
    """Features of one segment, picture by picture.

    Args:
        engine: the networks.
        keys: what the stream's pictures are compared with; None = every picture is computed.

    """

    def __init__(self, engine: Engine, keys: KeyFrames | None = None) -> None:
        self._engine, self._keys = engine, keys
        self._waiting: list[NDArray[np.uint8]] = []
        self._grids: list[NDArray[np.float32]] = []

    def add(self, image: NDArray[np.uint8], t_ns: int | None = None) -> None:
        """The next chosen picture [224, 224, 3], taken at `t_ns`; computes when a group is full."""
        if self._keys is not None and t_ns is not None:
            self._grids.append(self._keys.grid(t_ns, image)[None])
            return
        self._waiting.append(image)
        if len(self._waiting) == GROUP:
            self._compute()

    def thin(self, segment: Segment) -> Segment:
        """The segment with the pictures added so far and at most `GROUP` of the others, evenly spaced.

        What a late segment still costs is bounded so; its weights sum to 1 as before.
        """
        done, count = self._added, len(segment.frames)
        if count - done <= GROUP:
            return segment
        others = done + (np.arange(GROUP) * (count - done)) // GROUP
        kept = np.concatenate([np.arange(done), others])
        weights = segment.frame_weights[kept]
        instants = tuple(segment.frame_ns[k] for k in kept) if segment.frame_ns else ()
        return replace(
            segment, frames=segment.frames[kept], frame_weights=weights / weights.sum(), frame_ns=instants
        )

    def finish(self, segment: Segment) -> SegmentFeatures:
        """The features, once the segment is closed; pictures not added before are added now."""
        instants = segment.frame_ns or (None,) * len(segment.frames)
        for image, t_ns in zip(segment.frames[self._added :], instants[self._added :], strict=True):
            self.add(image, t_ns)
        if self._waiting:
            self._compute()
        empty = missing(segment.index, self._engine.profile)
        visual = empty.visual
        if segment.video:
            # One sum in a fixed order: the result must not depend on how a matrix product is split.
            visual = np.zeros_like(visual)
            for weight, grid in zip(segment.frame_weights, np.concatenate(self._grids), strict=True):
                visual += weight * grid
        audio = self._engine.audio(segment.audio) if segment.sound else empty.audio
        return SegmentFeatures(segment.index, visual, audio, segment.video, segment.sound)

    @property
    def _added(self) -> int:
        """Pictures added so far."""
        return len(self._waiting) + sum(len(grids) for grids in self._grids)

    def _compute(self) -> None:
        self._grids.append(self._engine.visual(np.stack(self._waiting)))
        self._waiting.clear()


def segment_features(engine: Engine, segment: Segment) -> SegmentFeatures:
    """Features of a whole segment at once; what the live loop computes piece by piece."""
    return FeatureBuilder(engine).finish(segment)
