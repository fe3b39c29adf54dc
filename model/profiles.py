"""Profiles: which backbones and which head go together. Data, not code; `register` adds one.

profile       visual                               audio
paper         VGG-19 block5_pool, Keras weights    VGGish, raw 128-d
paper-torchvision  the same net, other weights     VGGish; not interchangeable with `paper`
lite          EfficientNet-Lite0                   our small CNN on the same log-mel front end
lite-yamnet   EfficientNet-Lite0                   YAMNet, weights fetched or given by the user
full          EfficientNet-Lite3                   the same as lite-yamnet
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from .backbones import registry
from .backbones.registry import Audio, Visual
from .errors import ModelFileError

WINDOW: Final = 10
"""Segments in a window (T of the paper)."""
FRAMES_PER_SEGMENT: Final = 16
GRID: Final = 7
FRAME_SHAPE: Final = (224, 224, 3)
"""Height, width and RGB of the pictures that networks see."""


@dataclass(frozen=True)
class Profile:
    """Everything that tells one profile from another."""

    name: str
    visual: Visual
    audio: Audio
    head: str | Path | None
    """The trained head: a file in `model/weights/`, or a path; None where the user brings a checkpoint."""
    summary: str
    heads_of: tuple[str, ...] = ()
    """Other profiles whose heads serve this one too, since its networks report on the same concepts."""


PROFILES: Final[dict[str, Profile]] = {}
"""By name, in the order of help texts."""


def register(profile: Profile) -> Profile:
    """Make a profile known by its name; the same one once more changes nothing.

    From then on every engine of this process can be asked for it::

        register(Profile("mine", Visual("my eye", 32, "my_networks:load_eye"), AUDIO_CNN, None, "…"))
        engine = load_engine(EngineOptions("mine", checkpoint=head))

    Raises:
        ValueError: another profile has that name.

    """
    if PROFILES.setdefault(profile.name, profile) != profile:
        raise ValueError(f"profile {profile.name!r}: there is another one of that name; choose a new one")
    return profile


LITE: Final = register(
    Profile(
        "lite",
        registry.EFFICIENTNET_LITE0,
        registry.AUDIO_CNN,
        "lite_head.safetensors",
        "works offline at once; all weights in the package",
    )
)
LITE_YAMNET: Final = register(
    Profile(
        "lite-yamnet",
        registry.EFFICIENTNET_LITE0,
        registry.YAMNET,
        "lite_yamnet_head.safetensors",
        "a better ear: fetches YAMNet's weights once, or takes them by path",
    )
)
FULL: Final = register(
    Profile(
        "full",
        registry.EFFICIENTNET_LITE3,
        registry.YAMNET,
        "lite_yamnet_head.safetensors",
        "lite-yamnet with a bigger eye, EfficientNet-Lite3: twice the work for each picture",
        heads_of=("lite-yamnet",),
    )
)
PAPER: Final = register(
    Profile(
        "paper",
        registry.VGG19,
        registry.VGGISH,
        None,
        "the paper's features: VGG-19 and VGGish weights fetched once or given, head trained on AVE",
    )
)
PAPER_TORCHVISION: Final = register(
    Profile(
        "paper-torchvision",
        registry.VGG19_TORCHVISION,
        registry.VGGISH,
        None,
        "torchvision's VGG-19 instead of Keras': for own data only, never for the published AVE features",
    )
)


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
