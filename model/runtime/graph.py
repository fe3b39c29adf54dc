"""One graph: a network of a profile as an ONNX file, and what the file depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..checkpoint import file_sha256
from ..errors import ModelFileError
from ..profiles import Profile
from .base import HEADS, Network
from .sources import source_digest

EXPORT: Final = f"{__package__}.export"
"""The helper process: what it runs makes the graphs."""


@dataclass(frozen=True)
class Graph:
    """One network of one profile as an ONNX file in float32.

    Attributes:
        network: which of the three.
        profile: whose.
        files: what its weights come from.
        given: the weights or the checkpoint that the user gave, if any.
        frames: fixed batch; None = dynamic.
        half: computed in float16 inside; inputs and outputs stay as they are.

    """

    network: Network
    profile: Profile
    files: tuple[Path, ...]
    given: Path | None = None
    frames: int | None = None
    half: bool = False

    @property
    def name(self) -> str:
        """How it is called in the cache."""
        return f"{self.profile.name}-{self.network}"

    def key(self) -> dict[str, str]:
        """Everything the file depends on."""
        return {
            "format": "onnx-18",
            "profile": self.profile.name,
            "network": self.network,
            "dims": f"{self.profile.visual.name} {self.profile.visual.dim} "
            f"{self.profile.audio.name} {self.profile.audio.dim}",
            "frames": "dynamic" if self.frames is None else str(self.frames),
            "precision": "fp16" if self.half else "fp32",
            "weights": weights_digest(self.files),
            "code": source_digest(*self.code()),
        }

    def code(self) -> tuple[str, ...]:
        """Modules that make it, with all that they import."""
        if self.network in HEADS:
            return (EXPORT,)
        return (EXPORT, (self.profile.visual if self.network == "visual" else self.profile.audio).module)


def weights_digest(files: Sequence[Path]) -> str:
    """One digest over the contents of weight files.

    Raises:
        ModelFileError: one is missing.

    """
    try:
        digests = [file_sha256(path) for path in files]
    except OSError as error:
        raise ModelFileError(f"weights {error.filename}: can't be read ({error.strerror})") from error
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()
