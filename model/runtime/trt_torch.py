"""Torch-TensorRT: each network compiled whole into one engine, kept as an exported program.

Not yet run on a GPU.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from ..diia import MultiHeadAttention
from ..errors import BackendError, first_line
from ..profiles import FRAMES_PER_SEGMENT, get_profile
from .base import EngineOptions, Network, Precision
from .cache import EngineCache
from .export import example_inputs
from .folding import fold_batchnorm
from .graph import Graph, weights_digest
from .graphs import wanted
from .networks import build_network
from .probe import machine
from .torch_base import TorchBase
from .trt_api import compile_options, load_torch_tensorrt, parameter_names

# TensorRT before 10.14 has no attention layer of its own: the product is spelled out.
_SDPA_SINCE = (10, 14)
_BUILDERS = ("folding.py", "trt_api.py", "trt_torch.py")
"""What compiles, beside what makes the network."""
_LIBRARIES = ("torch-tensorrt", "torch-tensorrt-rtx", "tensorrt-rtx")


def prepare(graph: Graph, precision: Precision, device: str = "cuda") -> tuple[Any, Any]:
    """The module, cast and placed, and example inputs as the engine gets them.

    Pixels and sound are cast before the engine: only the head's masks are not floating point.
    """
    module = build_network(graph.network, graph.profile, graph.given)
    dtype = torch.float16 if precision == "fp16" else torch.float32
    batch = FRAMES_PER_SEGMENT if graph.network == "visual" else 1
    inputs = tuple(
        x.to(device) if x.dtype == torch.bool else x.to(device, dtype)
        for x in example_inputs(graph.network, graph.profile, batch)
    )
    return fold_batchnorm(module).to(device, dtype), inputs


def compile_network(trt: Any, module: Any, inputs: Any, *, dryrun: bool = False) -> Any:
    """Compile by `torch_tensorrt.dynamo.compile`, whose signature is checked first.

    Raises:
        BackendError: a name is unknown to this version, or the network does not fit into one engine.

    """
    options = compile_options(
        parameter_names(trt.dynamo.compile), str(getattr(trt, "__version__", "?")), dryrun=dryrun
    )
    program = torch.export.export(module, inputs)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return trt.dynamo.compile(program, list(inputs), **options)
    except BackendError:
        raise
    except Exception as error:  # converters raise every kind
        raise BackendError(f"Torch-TensorRT could not compile the network ({first_line(error)})") from error


def cached(options: EngineOptions, precision: Precision) -> dict[Network, Path]:
    """Files of all three networks, compiled now where the cache lacks them.

    Raises:
        BackendError: Torch-TensorRT can't be had, or refuses a network.

    """
    trt = load_torch_tensorrt()
    profile = get_profile(options.profile)
    cache = EngineCache(options.cache_dir)
    versions = machine().versions
    tensorrt_version = versions.get("tensorrt", "")
    say = options.progress or (lambda _: None)
    MultiHeadAttention.manual = _version(tensorrt_version) < _SDPA_SINCE
    paths: dict[Network, Path] = {}
    for graph in wanted(profile, options):
        key = {
            **graph.key(),
            "format": "torch-tensorrt",
            "builder": weights_digest([Path(__file__).with_name(name) for name in _BUILDERS]),
            "precision": precision,
            "torch": versions.get("torch", ""),
            **{name: versions[name] for name in _LIBRARIES if name in versions},
            "tensorrt": tensorrt_version,
            "gpu": machine().gpu,
        }

        def write(path: Path, graph: Graph = graph) -> None:
            say(f"compiling {graph.network} with Torch-TensorRT for {machine().gpu} (minutes, once)")
            module, inputs = prepare(graph, precision)
            trt.save(compile_network(trt, module, inputs), str(path), arg_inputs=list(inputs))

        paths[graph.network] = cache.get_or_put(f"{graph.name}-{precision}", key, ".ep", write)
    return paths


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())


class TorchTensorRTEngine(TorchBase):
    """The networks of a profile, compiled by Torch-TensorRT. Not yet run on a GPU."""

    def __init__(self, options: EngineOptions, precision: Precision) -> None:
        super().__init__(options, torch.device("cuda"))
        self.most_pictures = FRAMES_PER_SEGMENT
        self._dtype = torch.float16 if precision == "fp16" else torch.float32
        trt = load_torch_tensorrt()
        self._nets = {
            network: trt.load(str(path)).module() for network, path in cached(options, precision).items()
        }
        self.info = self.describe("tensorrt", precision, machine().gpu, "Torch-TensorRT")

    def _put(self, array: NDArray[Any]) -> Tensor:
        """Cast before the engine: its one input type is that of the weights, but for masks."""
        tensor = super()._put(array)
        return tensor if tensor.dtype == torch.bool else tensor.to(self._dtype)
