"""Graphs as a strongly typed compiler wants them: the precision is what the graph says.

    fp32    as exported
    fp16    products in 16 bits, normalisations, softmax, sums and means in 32 (`half`)
    int8    the S8S8 graphs that `avel calibrate int8` made, else those of the package's calibration
            (`signed`); fp32 for networks that have none

Made without torch, kept in the engine cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..checkpoint import file_sha256
from ..profiles import get_profile
from .base import NETWORKS, EngineOptions, Network, Precision
from .cache import EngineCache
from .graphs import ensure, wanted
from .half import to_half
from .signed import find_signed


def graphs_in(
    options: EngineOptions, precision: Precision, networks: Sequence[Network] = NETWORKS
) -> dict[Network, Path]:
    """The graphs of a profile in a precision.

    Args:
        options: profile, weights, cache.
        precision: fp32, fp16 or int8.
        networks: which of them.

    Raises:
        BackendError: no INT8 calibration fits.
        ModelFileError: weights are missing, or the cache can't be written.

    """
    profile = get_profile(options.profile)
    cache = EngineCache(options.cache_dir)
    paths = ensure(wanted(profile, options, networks), cache, options.progress)
    if precision == "int8":
        special = find_signed(profile, options, cache).paths
        return paths | {network: path for network, path in special.items() if network in paths}
    if precision != "fp16":
        return paths
    halves: dict[Network, Path] = {}
    for network, path in paths.items():
        key = {
            "format": "onnx-half-1",
            "graph": file_sha256(path),
            "code": file_sha256(Path(to_half.__code__.co_filename)),
        }

        def write(target: Path, source: Path = path) -> None:
            import onnx

            model = onnx.load(source)
            to_half(model)
            onnx.checker.check_model(model, full_check=True)
            onnx.save(model, target)

        halves[network] = cache.get_or_put(f"{profile.name}-{network}-half", key, ".onnx", write)
    return halves
