"""What every runtime offers: the three networks of a profile behind one small interface.

The live loop sees only this. A runtime owns its device memory and is used from one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..profiles import Profile

BackendName = Literal["torch", "onnxruntime", "tensorrt"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]
Network = Literal["visual", "audio", "head", "segment", "window"]
NETWORKS: Final[tuple[Network, ...]] = ("visual", "audio", "head")
HALVES: Final[tuple[Network, ...]] = ("segment", "window")
"""The head in two graphs: what it makes of one segment by itself, and how ten of them relate."""
HEADS: Final[tuple[Network, ...]] = ("head", *HALVES)
"""The graphs that are made from the head's checkpoint."""


@dataclass(frozen=True)
class EngineInfo:
    """What is running where; shown to the user and written to every log."""

    profile: str
    backend: BackendName
    precision: Precision
    device: str
    labels: tuple[str, ...]
    checkpoint: str
    """SHA-256 of the head's checkpoint file: calibration belongs to it."""
    note: str = ""
    """Why this backend was chosen, or what it fell back from."""


class HeadOutput(NamedTuple):
    """`logits` [T, C] float32 before temperature; `attention` [T, 7, 7] float32."""

    logits: NDArray[np.float32]
    attention: NDArray[np.float32]


class Engine(Protocol):
    """The networks of one profile on one backend. Every array is float32 on the host."""

    info: EngineInfo
    profile: Profile

    def visual(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """[N, 224, 224, 3] uint8 RGB, N ≥ 1 → [N, 7, 7, Dv]; each frame by itself."""

    def audio(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """[16000] float32 at 16 kHz → [Da]."""

    def head(
        self,
        visual: NDArray[np.float32],
        audio: NDArray[np.float32],
        visual_mask: NDArray[np.bool_],
        audio_mask: NDArray[np.bool_],
    ) -> HeadOutput:
        """[T, 7, 7, Dv], [T, Da], [T], [T] with 1 ≤ T ≤ 10 → logits and attention for each segment."""

    def warm_up(self) -> None:
        """Run every network once at its working shape, so that the first window is not the slow one."""

    def close(self) -> None:
        """Release device memory."""


@runtime_checkable
class Shareable(Protocol):
    """What an engine says that several streams may use at once; any other serves one call after another."""

    lanes: int
    """Calls that may run at the same time, each through a view of its own."""
    most_pictures: int
    """Pictures of several streams that go through one call; 1 where that gains nothing."""

    def view(self) -> Engine:
        """The same networks, weights and all, for one more stream; what is remembered of it is its own."""


class EngineOptions(NamedTuple):
    """How an engine is asked for; see `load_engine`."""

    profile: str = "lite"
    backend: str = "auto"
    precision: str = "auto"
    checkpoint: Path | None = None
    audio_weights: Path | None = None
    visual_weights: Path | None = None
    threads: int | None = None
    """CPU threads for the networks; None = every core this process may use."""
    cache_dir: Path | None = None
    """Where exported and compiled networks are kept; None = the user's cache folder."""
    engines: Path | None = None
    """A folder of TensorRT engines that were built ahead (`trt_ahead`)."""
    progress: Callable[[str], None] | None = None
    """Told, in a few words, what a slow start is busy with."""

    def given(self, network: Network) -> Path | None:
        """The file that the user gives for a network: its weights, or the head's checkpoint."""
        return {"visual": self.visual_weights, "audio": self.audio_weights}.get(network, self.checkpoint)
