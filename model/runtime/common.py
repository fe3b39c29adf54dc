"""What all runtimes share: the front end of the ear, padding to a static window, warming up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checkpoint import CheckpointInfo, read_info
from ..errors import ModelFileError
from ..profiles import FRAME_SHAPE, FRAMES_PER_SEGMENT, GRID, WINDOW, Profile, get_profile
from ..sound import SAMPLE_RATE
from .base import BackendName, Engine, EngineInfo, EngineOptions, HeadOutput, Precision
from .networks import head_path

Floats = NDArray[np.float32]

_WARM_FRAMES = 4
"""As many as the live loop hands over at once."""


def head_info(profile: Profile, options: EngineOptions) -> CheckpointInfo:
    """The header of the head to be run.

    Raises:
        ModelFileError: missing, damaged, or trained on the features of another profile.

    """
    path = head_path(profile, options.checkpoint)
    info = read_info(path, profile=profile.name)
    got = (info.config.visual_dim, info.config.audio_dim)
    if got != (want := (profile.visual.dim, profile.audio.dim)):
        raise ModelFileError(
            f"checkpoint {path}: made for features {got[0]} + {got[1]} wide, "
            f"but profile {profile.name!r} gives {want[0]} + {want[1]}; train it again"
        )
    return info


class EngineBase(ABC):
    """The three networks; a runtime fills in how each is run."""

    lanes: int = 1
    """See `Shareable`; more than one only where calls from several threads are safe."""
    most_pictures: int = 1

    def __init__(self, options: EngineOptions) -> None:
        self.profile: Profile = get_profile(options.profile)
        self.head_info = head_info(self.profile, options)
        self._front_end = self.profile.audio.front_end()
        self.info: EngineInfo

    def describe(self, backend: BackendName, precision: Precision, device: str, note: str = "") -> EngineInfo:
        """The card of this engine."""
        head = self.head_info
        return EngineInfo(self.profile.name, backend, precision, device, head.labels, head.sha256, note)

    def visual(self, frames: NDArray[np.uint8]) -> Floats:
        """See `Engine.visual`."""
        return self._visual(np.ascontiguousarray(frames))

    def audio(self, samples: Floats) -> Floats:
        """See `Engine.audio`."""
        sound = self._audio(self._front_end(samples)[None])[0]
        return np.ascontiguousarray(sound)

    def head(
        self,
        visual: Floats,
        audio: Floats,
        visual_mask: NDArray[np.bool_],
        audio_mask: NDArray[np.bool_],
    ) -> HeadOutput:
        """See `Engine.head`. Shorter windows are padded with masked segments, which changes nothing."""
        length = len(audio)
        if not 1 <= length <= WINDOW:
            raise ValueError(f"a window holds 1 to {WINDOW} segments, got {length}")
        logits, attention = self._head(
            _padded(visual), _padded(audio), _padded(visual_mask), _padded(audio_mask)
        )
        return HeadOutput(logits[0, :length], attention[0, :length])

    def warm_up(self) -> None:
        """See `Engine.warm_up`."""
        self.visual(np.zeros((_WARM_FRAMES, *FRAME_SHAPE), np.uint8))
        self.audio(np.zeros(SAMPLE_RATE, np.float32))
        grid = np.zeros((WINDOW, GRID, GRID, self.profile.visual.dim), np.float32)
        sound = np.zeros((WINDOW, self.profile.audio.dim), np.float32)
        here = np.ones(WINDOW, np.bool_)
        self.head(grid, sound, here, here)

    def view(self) -> Engine:
        """See `Shareable.view`."""
        return self

    def close(self) -> None:  # noqa: B027 - most runtimes have nothing to release
        """See `Engine.close`."""

    @abstractmethod
    def _visual(self, frames: NDArray[np.uint8]) -> Floats:
        """[N, 224, 224, 3] → [N, 7, 7, Dv]."""

    @abstractmethod
    def _audio(self, patches: Floats) -> Floats:
        """[1, *profile.audio.shape] → [1, Da]."""

    @abstractmethod
    def _head(
        self,
        visual: Floats,
        audio: Floats,
        visual_mask: NDArray[np.bool_],
        audio_mask: NDArray[np.bool_],
    ) -> tuple[Floats, Floats]:
        """[1, 10, …] each → logits [1, 10, C], attention [1, 10, 7, 7]."""


def in_parts(frames: NDArray[np.uint8], look: Callable[[NDArray[np.uint8]], Floats]) -> Floats:
    """[N, 224, 224, 3] → [N, 7, 7, Dv] by a network that takes at most sixteen pictures at once."""
    parts = [
        look(np.ascontiguousarray(frames[at : at + FRAMES_PER_SEGMENT]))
        for at in range(0, len(frames), FRAMES_PER_SEGMENT)
    ]
    return np.concatenate(parts)


def _padded(rows: NDArray[Any]) -> NDArray[Any]:
    """[T, …] → [1, 10, …], zeros (False) below."""
    if len(rows) == WINDOW:
        return np.ascontiguousarray(rows)[None]
    full = np.zeros((1, WINDOW, *rows.shape[1:]), rows.dtype)
    full[0, : len(rows)] = rows
    return full
