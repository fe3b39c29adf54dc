"""One row: a video through the live path's reader, cutter and networks."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....model.profiles import GRID, WINDOW, Profile, get_profile
from ...core.errors import AvelError
from .jobs import Job


@dataclass(frozen=True)
class Options:
    """How to extract.

    Attributes:
        profile: whose networks.
        visual_weights: file, or None to fetch.
        audio_weights: the same for sound.
        workers: processes; each holds its own networks.
        threads: CPU threads of each worker.

    """

    profile: str = "paper"
    visual_weights: Path | None = None
    audio_weights: Path | None = None
    workers: int = 1
    threads: int = 1


class Result(NamedTuple):
    """Features of one row: [10, 7, 7, Dv], [10, Da], masks [10], seconds there are; or what went wrong."""

    row: int
    visual: NDArray[np.float32]
    audio: NDArray[np.float32]
    visual_mask: NDArray[np.bool_]
    audio_mask: NDArray[np.bool_]
    seconds: int
    lost_s: tuple[float, float]
    """Seconds of picture and of sound that were there and could not be used."""
    error: str


class Networks:
    """The two backbones of a profile in torch, fp32: what `FeatureBuilder` needs of an engine."""

    def __init__(self, options: Options) -> None:
        import torch

        from ....model.runtime.networks import build_network

        torch.set_num_threads(options.threads)
        self.profile: Profile = get_profile(options.profile)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._visual = build_network("visual", self.profile, options.visual_weights).to(self._device)
        self._audio = build_network("audio", self.profile, options.audio_weights).to(self._device)
        self._front_end = self.profile.audio.front_end()

    def visual(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """[N, 7, 7, D] of pictures; two frames at a time keep a CPU's caches warm."""
        import torch

        with torch.inference_mode():
            parts = torch.from_numpy(frames).to(self._device).split(2 if self._device.type == "cpu" else 64)
            grids: NDArray[np.float32] = torch.cat([self._visual(p).float().cpu() for p in parts]).numpy()
        return grids

    def audio(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """[D] of one second of sound."""
        import torch

        with torch.inference_mode():
            sound = self._audio(torch.from_numpy(self._front_end(samples)[None]).to(self._device))
        vector: NDArray[np.float32] = sound[0].float().cpu().numpy()
        return vector


_networks: Any = None  # one set a worker process


def start_worker(options: Options) -> None:
    """Load the networks of a worker process."""
    global _networks
    _networks = Networks(options)


@contextmanager
def _on_disk(job: Job) -> Iterator[Path]:
    if job.member is None:
        yield job.file
        return
    with (
        tempfile.TemporaryDirectory() as scratch,
        zipfile.ZipFile(job.file) as archive,
    ):
        yield Path(archive.extract(job.member, scratch))


def extract_row(job: Job, networks: Any) -> Result:
    """Features of up to ten seconds of a video; what can't be read becomes the result's `error`."""
    from ...core.clock import ManualClock
    from ...sources.replay import Replay, ReplayOptions
    from ...stream.features import segment_features
    from ...stream.segments import segments

    profile: Profile = networks.profile
    visual = np.zeros((WINDOW, GRID, GRID, profile.visual.dim), np.float32)
    audio = np.zeros((WINDOW, profile.audio.dim), np.float32)
    masks = np.zeros((2, WINDOW), np.bool_)
    seconds, error, lost = 0, "", (0.0, 0.0)
    try:
        with _on_disk(job) as path:
            options = ReplayOptions(speed=None, start_s=job.first_s, duration_s=WINDOW)
            source = Replay(path, ManualClock(), options)
            source.open()
            for segment in segments(source):
                t = segment.index
                if t < WINDOW:
                    made = segment_features(networks, segment)
                    visual[t], audio[t] = made.visual, made.audio
                    masks[:, t] = made.has_video, made.has_audio
                    seconds = max(seconds, t + 1)
            totals = source.account.totals()
            lost = (round(totals.video.lost_s, 3), round(totals.audio.lost_s, 3))
        if not masks.any():
            error = "shorter than half a second"
    except AvelError as caught:
        error = str(caught)
    except Exception as caught:  # a broken file must never stop the others
        error = f"{type(caught).__name__}: {caught}"
    return Result(job.row, visual, audio, masks[0], masks[1], seconds, lost, " ".join(error.split()))


def work(job: Job) -> Result:
    """One row, in a worker process."""
    return extract_row(job, _networks)
