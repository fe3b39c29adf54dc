"""The torch runtime: CPU (channels-last, small chunks) or CUDA. The reference all others are held to."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..checkpoint import CheckpointInfo, load_checkpoint
from ..errors import BackendError
from ..logmel import patch
from ..profiles import Profile, get_profile
from .base import EngineInfo, EngineOptions, HeadOutput, Precision
from .networks import build_audio, build_visual, head_path

# On the CPU small chunks keep activations in cache: two frames at a time measured fastest.
_CHUNK = 2


class TorchEngine:
    """The networks of a profile in torch."""

    def __init__(self, options: EngineOptions) -> None:
        self.profile: Profile = get_profile(options.profile)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        precision: Precision
        if options.precision in ("auto", "fp32"):
            precision = "fp32"
        elif options.precision == "bf16":
            precision = "bf16"
        elif options.precision == "fp16" and device == "cuda":
            precision = "fp16"
        else:
            raise BackendError(
                f"torch on {device} can't run {options.precision}; use fp32 or bf16, or --backend onnxruntime"
            )
        if options.threads:
            torch.set_num_threads(options.threads)
        self._dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        self._device = torch.device(device)
        head, checkpoint = load_checkpoint(
            head_path(self.profile, options.checkpoint), profile=self.profile.name
        )
        self._head = head.to(self._device)
        self._visual = build_visual(self.profile, options.visual_weights).to(self._device, self._dtype)
        self._audio = build_audio(self.profile, options.audio_weights).to(self._device)
        self.info = _info(self.profile, precision, device, checkpoint)

    @torch.inference_mode()
    def visual(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Engine.visual`."""
        chunk = _CHUNK if self._device.type == "cpu" else len(frames)
        tensor = torch.from_numpy(frames).to(self._device)
        grids = [self._visual(part).float().cpu() for part in tensor.split(chunk)]
        return _array(torch.cat(grids))

    @torch.inference_mode()
    def audio(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Engine.audio`."""
        return _array(self._audio(torch.from_numpy(patch(samples)[None]).to(self._device))[0])

    @torch.inference_mode()
    def head(
        self,
        visual: NDArray[np.float32],
        audio: NDArray[np.float32],
        visual_mask: NDArray[np.bool_],
        audio_mask: NDArray[np.bool_],
    ) -> HeadOutput:
        """See `Engine.head`."""
        inputs = (
            torch.from_numpy(np.ascontiguousarray(x))[None].to(self._device)
            for x in (visual, audio, visual_mask, audio_mask)
        )
        logits, attention = self._head(*inputs)
        return HeadOutput(_array(logits[0]), _array(attention[0]))

    def warm_up(self) -> None:
        """See `Engine.warm_up`."""
        grid = self.visual(np.zeros((_CHUNK, 224, 224, 3), np.uint8))[:1]
        sound = self.audio(np.zeros(16_000, np.float32))
        window = 10
        self.head(
            np.repeat(grid, window, axis=0),
            np.repeat(sound[None], window, axis=0),
            np.ones(window, np.bool_),
            np.ones(window, np.bool_),
        )

    def close(self) -> None:
        """See `Engine.close`."""


def _info(profile: Profile, precision: Precision, device: str, checkpoint: CheckpointInfo) -> EngineInfo:
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    return EngineInfo(profile.name, "torch", precision, name, checkpoint.labels, checkpoint.sha256)


def _array(tensor: Any) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.float().cpu().numpy()
    return array
