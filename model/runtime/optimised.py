"""Graphs as ONNX Runtime rewrites them for this CPU: rewritten once, opened as they are from then on.

A session spends most of its start on fusing nodes and laying out weights for the instruction set it meets.
Done once and kept, half of that time and ten megabytes go; ten more where a classifier's weights would be
there twice (`means`). What is kept fits this runtime and this CPU only:
it lies in the engine cache beside the graph it was made of, and is never shipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..checkpoint import file_sha256
from ..errors import first_line
from .cache import CacheError, EngineCache
from .means import share_classifiers
from .probe import machine


def optimised(ort: Any, graph: Path, name: str, cache: EngineCache) -> Path | None:
    """The graph as it was rewritten for this machine, now or before; None where that can't be had.

    It is a matter of speed: a full disk costs time, and a file that is no graph is named when it is opened.

    Args:
        ort: the `onnxruntime` module.
        graph: what is to be rewritten.
        name: what the entry is called.
        cache: where it is kept.

    """
    here = machine()
    key = {
        "format": "onnxruntime-optimised-2",
        "graph": file_sha256(graph),
        "onnxruntime": str(ort.__version__),
        "cpu": f"{here.cpu} {' '.join(sorted(here.features))}",
    }

    def write(target: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.optimized_model_filepath = str(target)
        try:
            ort.InferenceSession(_lean(graph), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no base class of their own
            raise CacheError(f"graph {graph}: ONNX Runtime can't load it ({first_line(error)})") from error

    try:
        return cache.get_or_put(f"{name}-optimised", key, ".onnx", write)
    except CacheError:
        return None


def _lean(graph: Path) -> str | bytes:
    """What to open: the file, or the graph without what it need not hold twice."""
    import onnx

    model = onnx.load(str(graph))
    return model.SerializeToString() if share_classifiers(model) else str(graph)
