"""The torch runtime: CPU (channels-last, small chunks, folded normalisation) or CUDA (fp16, CUDA graphs).

In float32 on the CPU it is the reference that every other runtime is held to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..errors import BackendError
from ..profiles import FRAMES_PER_SEGMENT
from .base import NETWORKS, EngineOptions, Precision
from .common import Floats
from .folding import fold_batchnorm
from .networks import build_network
from .probe import cpu_has_bf16
from .torch_base import TorchBase, to_array

# On the CPU small chunks keep activations in cache: two frames at a time measured fastest.
_CHUNK: Final = 2
_DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchEngine(TorchBase):
    """The networks of a profile in torch."""

    def __init__(self, options: EngineOptions) -> None:
        cuda = torch.cuda.is_available()
        super().__init__(options, torch.device("cuda" if cuda else "cpu"))
        precision = _precision(options.precision, cuda)
        if options.threads:
            torch.set_num_threads(options.threads)
        dtype = _DTYPES[precision]

        def place(network: nn.Module) -> nn.Module:
            placed: Any = network.to(self._device)
            return cast("nn.Module", placed.to(memory_format=torch.channels_last))

        eye, ear, head = (
            build_network(network, self.profile, options.given(network)) for network in NETWORKS
        )
        # A second is sixteen pictures, but one patch of sound and one look of the head: those would only
        # lose digits in 16 bits.
        self._nets = {
            "visual": place(in_precision(fold_batchnorm(eye), dtype, sensitive(eye))),
            "audio": place(fold_batchnorm(ear)),
            "head": head.to(self._device),
        }
        note = ""
        if cuda:
            # The default would round float32 convolutions to ten bits of mantissa.
            torch.backends.cudnn.allow_tf32 = precision != "fp32"
            self._nets = {name: _CudaGraph(net) for name, net in self._nets.items()}
            note = "CUDA graphs"
            self.most_pictures = FRAMES_PER_SEGMENT
        name = torch.cuda.get_device_name() if cuda else f"cpu, {torch.get_num_threads()} threads"
        self.info = self.describe("torch", precision, name, note)

    @torch.inference_mode()
    def _visual(self, frames: NDArray[np.uint8]) -> Floats:
        if self._device.type != "cpu":
            return super()._visual(frames)
        chunks = self._put(frames).split(_CHUNK)
        return to_array(torch.cat([self._nets["visual"](chunk).float() for chunk in chunks]))


def sensitive(network: nn.Module) -> tuple[str, ...]:
    """Names of the parts of a network that are to stay in float32."""
    return tuple(getattr(network, "sensitive", ()))


def in_precision(network: nn.Module, dtype: torch.dtype, exact: tuple[str, ...]) -> nn.Module:
    """The network with its weights in `dtype`, in place.

    Where it has `exact` parts these stay as they are, as do numbers that belong to no layer, and each layer
    takes its input in the precision of its own weights.
    """
    if not exact:
        return network.to(dtype)
    for name, layer in network.named_modules():
        if isinstance(getattr(layer, "weight", None), nn.Parameter):
            if not f"{name}.".startswith(tuple(f"{part}." for part in exact)):
                layer.to(dtype)
            layer.register_forward_pre_hook(_as_its_weights)
    return network


def _as_its_weights(layer: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(x.to(layer.weight.dtype) for x in inputs)


class _Recorded(NamedTuple):
    """A CUDA graph with the tensors that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    inputs: tuple[torch.Tensor, ...]
    outputs: Any


class _CudaGraph:
    """A network recorded as a CUDA graph, once for each shape it is called with."""

    def __init__(self, network: Callable[..., Any]) -> None:
        self._network = network
        self._recorded: dict[tuple[torch.Size, ...], _Recorded] = {}

    def __call__(self, *inputs: torch.Tensor) -> Any:
        shapes = tuple(x.shape for x in inputs)
        if shapes not in self._recorded:
            self._recorded[shapes] = self._record(inputs)
        recorded = self._recorded[shapes]
        for static, given in zip(recorded.inputs, inputs, strict=True):
            static.copy_(given)
        recorded.graph.replay()
        # The next replay overwrites the recorded outputs.
        outputs = recorded.outputs
        return outputs.clone() if isinstance(outputs, torch.Tensor) else tuple(x.clone() for x in outputs)

    def _record(self, given: tuple[torch.Tensor, ...]) -> _Recorded:
        inputs = tuple(x.clone() for x in given)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._network(*inputs)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = self._network(*inputs)
        return _Recorded(graph, inputs, outputs)


def _precision(asked: str, cuda: bool) -> Precision:
    if asked == "auto":
        return "fp16" if cuda else "bf16" if cpu_has_bf16() else "fp32"
    if asked == "fp32":
        return "fp32"
    if asked == "bf16":
        return "bf16"
    if asked == "fp16" and cuda:
        return "fp16"
    where = "CUDA" if cuda else "the CPU"
    raise BackendError(
        f"torch on {where} can't run {asked}; use --precision fp32 or bf16, or --backend onnxruntime"
    )
