"""The three networks of a profile: their files, and the torch modules that are built of them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..checkpoint import load_checkpoint
from ..errors import ModelFileError
from ..files import SHIPPED
from ..profiles import Profile
from .base import HEADS, Network
from .graph import weights_digest

if TYPE_CHECKING:
    from torch import nn

WEIGHTS: Final = SHIPPED


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


def network_files(network: Network, profile: Profile, given: Path | None = None) -> tuple[Path, ...]:
    """The files that a network's weights come from; known without torch, to key caches by.

    Args:
        network: which of the three.
        profile: whose.
        given: the user's weights or checkpoint, instead of the profile's.

    Raises:
        ModelFileError: a public file can't be had, or the profile ships no head.

    """
    if network in HEADS:
        return (head_path(profile, given),)
    return (profile.visual if network == "visual" else profile.audio).files(given)


def network_digest(network: Network, profile: Profile, given: Path | None = None) -> str:
    """What a stored graph or engine of a network must have been made of: its weights, and its edition.

    Raises:
        ModelFileError: as `network_files`.

    """
    weights = weights_digest(network_files(network, profile, given))
    if network in HEADS:
        return weights
    edition = (profile.visual if network == "visual" else profile.audio).edition
    return weights if edition == 1 else hashlib.sha256(f"{weights} {edition}".encode()).hexdigest()


def build_network(network: Network, profile: Profile, given: Path | None = None) -> nn.Module:
    """A network with its weights, in eval mode.

        visual   [N, 224, 224, 3] → [N, 7, 7, Dv]
        audio    [N, *profile.audio.shape] → [N, Da]
        head     windows → logits, attention; see `diia`

    Args:
        network: which of the three.
        profile: whose.
        given: the user's weights or checkpoint, instead of the profile's.

    Raises:
        ModelFileError: a weight file is missing, damaged, or made for something else.

    """
    if network in HEADS:
        return load_checkpoint(head_path(profile, given), profile=profile.name)[0]
    return (profile.visual if network == "visual" else profile.audio).build(given)
