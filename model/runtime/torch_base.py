"""What the engines have in common whose networks take and give torch tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ..profiles import FRAMES_PER_SEGMENT
from .base import EngineOptions, Network
from .common import EngineBase, Floats


class TorchBase(EngineBase):
    """Three networks on one device; an engine fills in `_nets`.

    Args:
        options: what is asked for.
        device: where the networks are.

    """

    def __init__(self, options: EngineOptions, device: torch.device) -> None:
        super().__init__(options)
        self._device = device
        self._nets: dict[Network, Callable[..., Any]] = {}

    def _put(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)

    @torch.inference_mode()
    def _visual(self, frames: NDArray[np.uint8]) -> Floats:
        # What is recorded or compiled has one shape: every chunk is filled up to sixteen frames.
        parts = []
        for part in self._put(frames).split(FRAMES_PER_SEGMENT):
            full = F.pad(part, (0, 0, 0, 0, 0, 0, 0, FRAMES_PER_SEGMENT - len(part)))
            parts.append(self._nets["visual"](full)[: len(part)].float())
        return to_array(torch.cat(parts))

    @torch.inference_mode()
    def _audio(self, patches: Floats) -> Floats:
        return to_array(self._nets["audio"](self._put(patches)))

    @torch.inference_mode()
    def _head(
        self,
        visual: Floats,
        audio: Floats,
        visual_mask: NDArray[np.bool_],
        audio_mask: NDArray[np.bool_],
    ) -> tuple[Floats, Floats]:
        inputs = [self._put(x) for x in (visual, audio, visual_mask, audio_mask)]
        logits, attention = self._nets["head"](*inputs)
        return to_array(logits), to_array(attention)

    def close(self) -> None:
        """See `Engine.close`."""
        self._nets.clear()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def to_array(tensor: Tensor) -> Floats:
    """On the host, in float32."""
    array: Floats = tensor.float().cpu().numpy()
    return array
