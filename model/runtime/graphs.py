"""Where the ONNX graphs come from: the engine cache, filled once by a helper process.

Exporting needs torch; running a graph does not. So the export happens in another process, and the live
one stays small and quick to start. A graph is made anew when anything it depends on changes: the weight
files, the head's checkpoint, the code of the networks, or the form asked for.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

from ..checkpoint import file_sha256
from ..errors import ModelFileError
from ..profiles import Profile
from .base import EngineOptions
from .cache import EngineCache
from .networks import audio_files, head_path, visual_files
from .sources import source_digest

Network = Literal["visual", "audio", "head"]
NETWORKS: Final[tuple[Network, ...]] = ("visual", "audio", "head")
EXPORT: Final = f"{__package__}.export"
"""The helper process: what it runs makes the graphs."""
_TITLES: Final = {"visual": "the visual network", "audio": "the audio network", "head": "DIIA"}

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Graph:
    """One network of one profile as an ONNX file in float32.

    Attributes:
        network: which of the three.
        profile: whose.
        files: what its weights come from.
        weights: the weight file the user gave, if any.
        frames: fixed batch; None = dynamic.
        half: computed in float16 inside; inputs and outputs stay as they are.

    """

    network: Network
    profile: Profile
    files: tuple[Path, ...]
    weights: Path | None = None
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
            "code": source_digest(EXPORT),
        }


def wanted(
    profile: Profile,
    options: EngineOptions,
    networks: Sequence[Network] = NETWORKS,
    frames: int | None = None,
    *,
    half: bool = False,
) -> tuple[Graph, ...]:
    """The graphs that these options mean.

    Raises:
        ModelFileError: a weight file is missing.

    """
    # A missing head is found before anything large is fetched.
    head = head_path(profile, options.checkpoint) if "head" in networks else Path()
    graphs = []
    for network in networks:
        if network == "visual":
            given = options.visual_weights
            graphs.append(Graph(network, profile, visual_files(profile, given), given, frames, half))
        elif network == "audio":
            given = options.audio_weights
            graphs.append(Graph(network, profile, audio_files(profile, given), given, frames, half))
        else:
            graphs.append(Graph(network, profile, (head,), options.checkpoint, half=half))
    return tuple(graphs)


def ensure(
    graphs: Sequence[Graph], cache: EngineCache, progress: Progress | None = None
) -> dict[Network, Path]:
    """Paths of the graphs, exporting those that the cache does not hold.

    Raises:
        ModelFileError: a weight file is missing or damaged, or the cache can't be written.

    """
    found = {graph.network: cache.get(graph.name, graph.key()) for graph in graphs}
    if any(path is None for path in found.values()):
        with cache.locked(), tempfile.TemporaryDirectory(dir=cache.root, prefix=".export-") as scratch:
            missing = [graph for graph in graphs if cache.get(graph.name, graph.key()) is None]
            _export(missing, Path(scratch), progress or (lambda _: None))
            for graph in missing:
                made = Path(scratch) / f"{graph.network}.onnx"
                cache.put(graph.name, graph.key(), ".onnx", partial(os.replace, made))
        found = {graph.network: cache.get(graph.name, graph.key()) for graph in graphs}
    paths: dict[Network, Path] = {}
    for network, path in found.items():
        if path is None:
            raise ModelFileError(f"engine cache {cache.root}: the {network} graph vanished; run it again")
        paths[network] = path
    return paths


def _export(graphs: Sequence[Graph], folder: Path, progress: Progress) -> None:
    """Have the helper process write `folder/NETWORK.onnx` for each graph."""
    request = [
        {
            "profile": graph.profile.name,
            "network": graph.network,
            "checkpoint": str(graph.weights) if graph.network == "head" and graph.weights else "",
            "weights": str(graph.weights) if graph.network != "head" and graph.weights else "",
            "frames": graph.frames,
            "half": graph.half,
            "target": str(folder / f"{graph.network}.onnx"),
        }
        for graph in graphs
    ]
    if not request:
        return
    progress("preparing the networks for ONNX Runtime (once)")
    with subprocess.Popen(
        [sys.executable, "-m", EXPORT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as helper:
        assert helper.stdin is not None
        assert helper.stdout is not None
        assert helper.stderr is not None
        helper.stdin.write(json.dumps(request))
        helper.stdin.close()
        for line in helper.stdout:
            if title := _TITLES.get(line.strip()):
                progress(f"exporting {title} to ONNX")
        complaint = helper.stderr.read().strip()
    if helper.returncode:
        last = complaint.splitlines()[-1] if complaint else f"exit code {helper.returncode}"
        raise ModelFileError(last if helper.returncode == 4 else f"exporting to ONNX failed: {last}")


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
