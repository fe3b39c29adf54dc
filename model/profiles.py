"""Profiles: which backbones and which head go together. Data, not code.

profile       visual                               audio
paper         VGG-19 block5_pool, Keras weights    VGGish, raw 128-d
paper-torchvision  the same net, other weights     VGGish; not interchangeable with `paper`
lite          EfficientNet-Lite0                   our small CNN on the same log-mel front end
lite-yamnet   EfficientNet-Lite0                   YAMNet, weights fetched or given by the user
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal

from .errors import ModelFileError

WINDOW: Final = 10
"""Segments in a window (T of the paper)."""
FRAMES_PER_SEGMENT: Final = 16
GRID: Final = 7


@dataclass(frozen=True)
class VisualSpec:
    """A visual backbone: frames [N, 224, 224, 3] uint8 RGB → [N, 7, 7, dim] float32."""

    name: Literal["vgg19", "vgg19-torchvision", "efficientnet-lite0"]
    dim: int


@dataclass(frozen=True)
class AudioSpec:
    """An audio backbone: log-mel patch [96, 64] → [dim] float32."""

    name: Literal["vggish", "audio-cnn", "yamnet"]
    dim: int


@dataclass(frozen=True)
class Profile:
    """Everything that tells one profile from another."""

    name: str
    visual: VisualSpec
    audio: AudioSpec
    head: str | None
    """File in `model/weights/` with the shipped DIIA head; None where the user brings a checkpoint."""
    summary: str


LITE: Final = Profile(
    "lite",
    VisualSpec("efficientnet-lite0", 76),
    AudioSpec("audio-cnn", 72),
    "lite_head.safetensors",
    "works offline at once; all weights in the package",
)
LITE_YAMNET: Final = Profile(
    "lite-yamnet",
    VisualSpec("efficientnet-lite0", 76),
    AudioSpec("yamnet", 100),
    "lite_yamnet_head.safetensors",
    "a better ear: fetches YAMNet's weights once, or takes them by path",
)
PAPER: Final = Profile(
    "paper",
    VisualSpec("vgg19", 512),
    AudioSpec("vggish", 128),
    None,
    "the paper's features: VGG-19 and VGGish weights fetched once or given, head trained on AVE",
)
PAPER_TORCHVISION: Final = Profile(
    "paper-torchvision",
    VisualSpec("vgg19-torchvision", 512),
    AudioSpec("vggish", 128),
    None,
    "torchvision's VGG-19 instead of Keras': for own data only, never for the published AVE features",
)
PROFILES: Final[dict[str, Profile]] = {p.name: p for p in (LITE, LITE_YAMNET, PAPER, PAPER_TORCHVISION)}


def get_profile(name: str) -> Profile:
    """The profile of that name.

    Raises:
        ModelFileError: no such profile.

    """
    try:
        return PROFILES[name]
    except KeyError:
        near = get_close_matches(name, PROFILES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(PROFILES)}"
        raise ModelFileError(f"unknown profile {name!r}; {hint}") from None
