"""TensorRT without torch, in either flavour: engines of our ONNX graphs, run by the library's own runtime.

The way for a Jetson (full TensorRT, built on the device) and for RTX GPUs (built there, or ahead of it: see
`trt_ahead`). Not yet run on a GPU.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checkpoint import file_sha256
from ..errors import BackendError, ModelFileError
from ..files import atomic_write
from ..profiles import FRAMES_PER_SEGMENT, get_profile
from . import trt_build
from .base import EngineOptions, Network, Precision
from .cache import EngineCache
from .common import EngineBase, Floats, in_parts
from .cudart import CudaRuntime
from .flavours import RTX, Flavour, logger
from .graphs import wanted
from .precisions import graphs_in
from .probe import machine
from .trt_build import Batch


def engine_key(
    key: dict[str, str], batch: Batch | None, precision: Precision, flavour: Flavour
) -> dict[str, str]:
    """What an engine depends on: its graph, and what builds it, on this GPU and version only.

    The code that made the graph counts by what it made: minutes of building are not spent on the same graph.
    """
    return {
        **{name: value for name, value in key.items() if name != "code"},
        "builder": file_sha256(Path(trt_build.__file__)),
        "format": f"{flavour.name}-engine",
        "precision": precision,
        "shapes": str(batch),
        "version": flavour.version,
        "gpu": machine().gpu,
    }


def engines(options: EngineOptions, precision: Precision, flavour: Flavour) -> dict[Network, Path]:
    """Engines for all three networks, from the cache or built now.

    Raises:
        BackendError: TensorRT is missing or refuses a graph.

    """
    profile = get_profile(options.profile)
    cache = EngineCache(options.cache_dir)
    say = options.progress or (lambda _: None)
    onnx = graphs_in(options, precision)
    paths: dict[Network, Path] = {}
    for graph in wanted(profile, options):
        batch = Batch.of(graph.network, profile)
        key = engine_key(graph.key() | {"graph": onnx[graph.network].name}, batch, precision, flavour)
        name = f"{graph.name}-{precision}"

        def write(path: Path, network: Network = graph.network, batch: Batch | None = batch) -> None:
            say(f"building the {flavour.title} engine of {network} for {machine().gpu} (once)")
            trt_build.build_engine(batch, onnx[network], path, cache.root / "timing.cache", flavour)

        paths[graph.network] = cache.get_or_put(name, key, ".engine", write)
    return paths


class PlainTensorRTEngine(EngineBase):
    """The networks of a profile as TensorRT engines. Not yet run on a GPU.

    Args:
        options: what is asked for.
        precision: what the engines compute in.
        flavour: which library runs them.
        ahead: engines that were built before; None = from the cache, or built now.

    """

    def __init__(
        self,
        options: EngineOptions,
        precision: Precision,
        flavour: Flavour,
        ahead: Mapping[Network, Path] | None = None,
    ) -> None:
        super().__init__(options)
        self.most_pictures = FRAMES_PER_SEGMENT
        paths = engines(options, precision, flavour) if ahead is None else ahead
        self._cuda = CudaRuntime()
        kernels = EngineCache(options.cache_dir).root / "tensorrt-rtx-kernels"
        self._runners = {
            network: _Runner(flavour, self._cuda, path, kernels / f"{path.stem}-{network}.cache")
            for network, path in paths.items()
        }
        note = f"{flavour.title}, built ahead" if ahead is not None else flavour.title
        self.info = self.describe("tensorrt", precision, machine().gpu, note)

    def _visual(self, frames: NDArray[np.uint8]) -> Floats:
        return in_parts(frames, lambda part: self._runners["visual"]({"frames": part})["grid"])

    def _audio(self, patches: Floats) -> Floats:
        return self._runners["audio"]({"patches": patches})["sound"]

    def _head(
        self,
        visual: Floats,
        audio: Floats,
        visual_mask: NDArray[np.bool_],
        audio_mask: NDArray[np.bool_],
    ) -> tuple[Floats, Floats]:
        inputs = {"visual": visual, "audio": audio, "visual_mask": visual_mask, "audio_mask": audio_mask}
        out = self._runners["head"](inputs)
        return out["logits"], out["attention"]

    def close(self) -> None:
        """See `Engine.close`."""
        for runner in self._runners.values():
            runner.close()
        self._runners.clear()
        self._cuda.close()


class _Runner:
    """One engine with its device buffers.

    Args:
        flavour: which library runs it.
        cuda: memory and the stream.
        path: the engine.
        kernels: where TensorRT for RTX keeps the kernels that it makes at a first start.

    """

    def __init__(self, flavour: Flavour, cuda: CudaRuntime, path: Path, kernels: Path) -> None:
        self._cuda = cuda
        self._runtime = flavour.load().Runtime(logger(flavour))
        self._engine = self._runtime.deserialize_cuda_engine(path.read_bytes())
        if self._engine is None:
            raise ModelFileError(
                f"engine {path}: {flavour.title} {flavour.version} can't load it here (no driver, or not an "
                "engine for this GPU); delete it and it is built again"
            )
        self._kernels: Any = None
        self._kernels_path = kernels
        if flavour is RTX:
            config = self._engine.create_runtime_config()
            self._kernels = config.create_runtime_cache()
            if kernels.is_file():
                self._kernels.deserialize(kernels.read_bytes())
            config.set_runtime_cache(self._kernels)
            self._context = self._engine.create_execution_context(config)
        else:
            self._context = self._engine.create_execution_context()
        self._buffers: dict[str, tuple[int, int]] = {}

    def __call__(self, inputs: dict[str, NDArray[Any]]) -> dict[str, Floats]:
        for name, array in inputs.items():
            self._context.set_input_shape(name, array.shape)
            pointer = self._buffer(name, array.nbytes)
            self._cuda.to_device(pointer, array)
            self._context.set_tensor_address(name, pointer)
        outputs: dict[str, Floats] = {}
        for name in self._names():
            if name not in inputs:
                outputs[name] = np.empty(tuple(self._context.get_tensor_shape(name)), np.float32)
                self._context.set_tensor_address(name, self._buffer(name, outputs[name].nbytes))
        if not self._context.execute_async_v3(self._cuda.stream.value):
            raise BackendError("TensorRT could not run its engine; its log says why")
        for name, array in outputs.items():
            self._cuda.to_host(array, self._buffers[name][0])
        self._cuda.synchronize()
        return outputs

    def _names(self) -> Sequence[str]:
        return [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]

    def _buffer(self, name: str, size: int) -> int:
        pointer, room = self._buffers.get(name, (0, 0))
        if size > room:
            if pointer:
                self._cuda.free(pointer)
            pointer = self._cuda.allocate(size)
            self._buffers[name] = (pointer, size)
        return pointer

    def close(self) -> None:
        if self._kernels is not None:
            with contextlib.suppress(OSError):  # kept for speed alone
                self._kernels_path.parent.mkdir(parents=True, exist_ok=True)
                atomic_write(self._kernels_path, bytes(self._kernels.serialize()))
        for pointer, _ in self._buffers.values():
            self._cuda.free(pointer)
        self._buffers.clear()
