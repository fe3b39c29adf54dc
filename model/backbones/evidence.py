"""Evidence: how the light profiles' backbones report what they see and hear.

A probability p of a concept becomes e = clip(1 + ln(p + e^−7) / 7, 0, 1): 1 is certain, 0 is less than one
in a thousand, and every step between is a factor. Bounded, so that it quantises well; logarithmic, so that
the faint sight of a distant dog still differs from none.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

DEPTH: Final = 7.0
"""Natural logarithms between evidence 0 and 1."""


def evidence(probability: Tensor) -> Tensor:
    """[...] probabilities 0..1 → [...] evidence 0..1."""
    return (1.0 + torch.log(probability + math.exp(-DEPTH)) / DEPTH).clamp(0.0, 1.0)
