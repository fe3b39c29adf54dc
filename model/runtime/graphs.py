"""Where the ONNX graphs come from: the engine cache, filled once by a helper process.

Exporting needs torch; running a graph does not. So the export happens in another process, and the live
one stays small and quick to start. A graph is made anew when anything it depends on changes: the weight
files, the head's checkpoint, the code of the networks, or the form asked for.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from ..errors import ModelFileError
from ..profiles import Profile
from . import helper
from .base import HEADS, NETWORKS, EngineOptions, Network
from .cache import EngineCache
from .graph import EXPORT, Graph
from .networks import head_path, network_files
from .outlines import fill, outline

_TITLES: Final = {
    "visual": "the visual network",
    "audio": "the audio network",
    "head": "DIIA",
    "segment": "DIIA's look at a segment",
    "window": "DIIA",
}

Progress = Callable[[str], None]


class GraphError(ModelFileError):
    """No graph could be made, though the weights are good: a full disk, too little memory."""


class Request(NamedTuple):
    """What the helper process is asked for: one graph, and where to write it."""

    network: Network
    given: Path | None
    frames: int | None
    half: bool
    target: Path


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
    if set(HEADS).intersection(networks):
        head_path(profile, options.checkpoint)
    return tuple(
        Graph(
            network,
            profile,
            network_files(network, profile, given := options.given(network)),
            given,
            None if network in HEADS else frames,
            half,
        )
        for network in networks
    )


def ensure(
    graphs: Sequence[Graph], cache: EngineCache, progress: Progress | None = None
) -> dict[Network, Path]:
    """Paths of the graphs, exporting those that the cache does not hold.

    Raises:
        ModelFileError: a weight file is missing or damaged, or the cache can't be written.

    """
    found = {graph.network: cache.get(graph.name, graph.key()) for graph in graphs}
    if any(path is None for path in found.values()):
        with cache.locked(), _scratch(cache.root) as folder:
            missing = [graph for graph in graphs if cache.get(graph.name, graph.key()) is None]
            _make(missing, folder, progress or (lambda _: None))
            for graph in missing:
                made = folder / f"{graph.network}.onnx"
                cache.put(graph.name, graph.key(), ".onnx", partial(os.replace, made))
        found = {graph.network: cache.get(graph.name, graph.key()) for graph in graphs}
    paths: dict[Network, Path] = {}
    for network, path in found.items():
        if path is None:
            raise ModelFileError(f"engine cache {cache.root}: the {network} graph vanished; run it again")
        paths[network] = path
    return paths


@contextlib.contextmanager
def _scratch(root: Path) -> Iterator[Path]:
    """A folder in the cache for what is being made.

    Raises:
        GraphError: it can't be made.

    """
    try:
        folder = tempfile.TemporaryDirectory(dir=root, prefix=".export-", ignore_cleanup_errors=True)
    except OSError as error:
        raise GraphError(f"engine cache {root}: can't be written ({error.strerror or error})") from error
    with folder as path:
        yield Path(path)


def _make(graphs: Sequence[Graph], folder: Path, progress: Progress) -> None:
    """Write `folder/NETWORK.onnx` for each graph: of its outline where there is one, else by export."""
    unknown = []
    for graph in graphs:
        if (path := outline(graph)) is None:
            unknown.append(graph)
        else:
            try:
                fill(graph, path, folder / f"{graph.network}.onnx")
            except OSError as error:
                raise GraphError(f"{folder}: can't be written ({error.strerror or error})") from error
    _export(unknown, folder, progress)


def _export(graphs: Sequence[Graph], folder: Path, progress: Progress) -> None:
    """Have the helper process write `folder/NETWORK.onnx` for each graph."""
    if not graphs:
        return
    requests = [
        Request(graph.network, graph.given, graph.frames, graph.half, folder / f"{graph.network}.onnx")
        for graph in graphs
    ]
    progress("preparing the networks for ONNX Runtime (once)")

    def told(line: str) -> None:
        if title := _TITLES.get(line):
            progress(f"exporting {title} to ONNX")

    code, complaint = helper.run(EXPORT, graphs[0].profile, requests, told)
    if code:
        last = complaint or f"exit code {code}"
        if code == ModelFileError.exit_code:
            raise ModelFileError(last)
        raise GraphError(f"exporting to ONNX failed: {last}")
