"""Men's and women's voices told apart: the network of inaSpeechSegmenter, fed from the ear's own front end.

Doukhan et al., *An Open-Source Speaker Gender Detection Framework for Monitoring Gender Equality*, ICASSP
2018; weights under the MIT licence (INA), learnt from thousands of French speakers, where the sounds that our
ear learns from hold ten. It was made for 24 bands between 100 Hz and 8 kHz of a pre-emphasised power
spectrum and for 68 frames. Here these bands are read off the 64 that the profiles' front end makes (each
power a sum of theirs, weights ≥ 0, fitted once by `training.lite.voices`), and all 96 frames of a second are
looked at in one go: the convolutions slide, the dense layers answer every few frames, and the mean counts.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..files import SHIPPED
from ..formats.weights import load_weights
from ..logmel import BANDS, LOG_OFFSET

VOICES: Final = "lite_voices.safetensors"
"""File in `model/weights/`."""
VOICE_BANDS: Final = 24
_CHANNELS: Final = (1, 64, 64, 128, 128, 256)
_WIDTHS: Final = (256, 512, 512, 512, 512)
_FRAMES: Final = 28
"""Of what the convolutions leave, how many one answer looks at."""
_STRIDE: Final = 4
# Seventy decibels below the second's loudest band there is nothing that a voice is known by.
_FLOOR: Final = 3e-4


class Voices(nn.Module):
    """Log-mel patches → log-odds of a woman's voice against a man's; of no use where nobody speaks."""

    def __init__(self) -> None:
        super().__init__()
        self.bands = nn.Linear(BANDS, VOICE_BANDS, bias=False)
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3) for a, b in pairwise(_CHANNELS))
        self.dense = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(_WIDTHS))
        self.odds = nn.Linear(_WIDTHS[-1], 1)

    def forward(self, patches: Tensor) -> Tensor:
        """[N, 96, 64] log-mel → [N] log-odds, above 0 for a woman's voice."""
        odds: Tensor = self.odds(self.described(patches))
        return odds[..., 0].mean(dim=1)

    def described(self, patches: Tensor) -> Tensor:
        """[N, 96, 64] log-mel → [N, W, 512]: what each stretch of the second is judged by."""
        x = self.spectrum(patches)[:, None]
        for number, convolution in enumerate(self.convolutions):
            x = F.relu(convolution(x))
            if number == 1:
                x = F.max_pool2d(x, (1, 2))
            elif number == 3:
                x = F.max_pool2d(x, 2)
        x = F.max_pool2d(x, (_FRAMES, 1), stride=(_STRIDE, 1))[..., 0].transpose(1, 2)
        for layer in self.dense:
            x = F.relu(layer(x))
        return x

    def spectrum(self, patches: Tensor) -> Tensor:
        """[N, 96, 64] log-mel → [N, 96, 24] log power, of mean 0 and deviation 1 in each second."""
        top = patches.amax(dim=(1, 2), keepdim=True)
        magnitude = torch.exp(patches - top) - LOG_OFFSET * torch.exp(-top)
        power = self.bands(magnitude.clamp(min=_FLOOR).square())
        log = torch.log(power)
        log = log - log.mean(dim=(1, 2), keepdim=True)
        return log / (log.square().mean(dim=(1, 2), keepdim=True).sqrt() + 1e-3)


def load_voices(path: Path | None = None) -> Voices:
    """The network with its shipped weights, in eval mode.

    Raises:
        ModelFileError: the file is missing or does not fit.

    """
    network = Voices()
    load_weights(network, path or SHIPPED / VOICES, "network of voices")
    return network.eval()
