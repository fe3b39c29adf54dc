"""The teacher: YAMNet over many patches, on the CPU, in batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Lesson:
    """What the teacher says of N patches."""

    embedding: NDArray[np.float16]
    """[N, 1024]."""
    scores: NDArray[np.float16]
    """[N, 521], 0..1."""


class Teacher:
    """YAMNet from its weight file; fetched once where no path is given."""

    def __init__(self, path: Path | None = None) -> None:
        import torch

        from ...backbones.yamnet import load_yamnet

        # A third faster on CPUs than the default layout.
        self._network = load_yamnet(path).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def teach(
        self,
        patches: NDArray[np.floating],
        batch: int = 128,
        progress: Callable[[float], None] = lambda _: None,
    ) -> Lesson:
        """[N, 96, 64] log-mel patches → embeddings and scores."""
        import torch

        embeddings: list[NDArray[np.float16]] = []
        scores: list[NDArray[np.float16]] = []
        with torch.inference_mode():
            for start in range(0, len(patches), batch):
                chunk = torch.from_numpy(np.asarray(patches[start : start + batch], np.float32))
                embedding = self._network(chunk)
                embeddings.append(embedding.numpy().astype(np.float16))
                scores.append(self._network.scores(embedding).numpy().astype(np.float16))
                progress(min(1.0, (start + batch) / len(patches)))
        return Lesson(np.concatenate(embeddings), np.concatenate(scores))
