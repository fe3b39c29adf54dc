"""TensorRT without torch: engines built from our ONNX graphs on this very device, run by its own runtime.

The way for a Jetson. Networks are strongly typed: the precision is what the graph says (float32, float16
by export, or explicit Q/DQ pairs), which TensorRT 10 and 11 read alike. Not yet run on a GPU.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..checkpoint import file_sha256
from ..errors import BackendError, ModelFileError
from ..files import atomic_write
from ..profiles import FRAME_SHAPE, FRAMES_PER_SEGMENT, Profile, get_profile
from .base import EngineOptions, Network, Precision
from .cache import EngineCache
from .common import EngineBase, Floats
from .cudart import CudaRuntime
from .graphs import ensure, wanted
from .int8_graphs import find_int8
from .probe import installed, machine


class _Batch(NamedTuple):
    """The input of a network that takes one frame or many at once."""

    name: str
    shape: tuple[int, ...]
    most: int

    @classmethod
    def of(cls, network: Network, profile: Profile) -> _Batch | None:
        """None for the head, whose window is fixed."""
        if network == "visual":
            return cls("frames", FRAME_SHAPE, FRAMES_PER_SEGMENT)
        return cls("patches", profile.audio.shape, 1) if network == "audio" else None


def load_tensorrt() -> Any:
    """The `tensorrt` module.

    Raises:
        BackendError: not installed or unusable.

    """
    if not installed("tensorrt"):
        raise BackendError(
            "TensorRT's Python runtime is not installed; `pip install tensorrt`, or on a Jetson "
            "`apt install python3-libnvinfer` and a venv with --system-site-packages"
        )
    try:
        import tensorrt
    except Exception as error:  # a missing driver shows as ImportError, OSError or RuntimeError
        raise BackendError(f"TensorRT can't be imported ({error})") from error
    return tensorrt


def trtexec_command(batch: _Batch | None, onnx: Path, engine: Path, timing_cache: Path) -> list[str]:
    """The `trtexec` call that builds the same engine as `build_engine`."""
    command = [
        "trtexec",
        f"--onnx={onnx}",
        f"--saveEngine={engine}",
        "--stronglyTyped",
        f"--timingCacheFile={timing_cache}",
        "--skipInference",
    ]
    if batch is not None:
        tail = "x".join(str(n) for n in batch.shape)
        one, many = f"{batch.name}:1x{tail}", f"{batch.name}:{batch.most}x{tail}"
        command += [f"--minShapes={one}", f"--optShapes={many}", f"--maxShapes={many}"]
    return command


def build_engine(batch: _Batch | None, onnx: Path, target: Path, timing_cache: Path) -> None:
    """Build an engine for this GPU, by the Python builder or else by `trtexec`.

    Raises:
        BackendError: neither is installed, or the build failed.

    """
    if installed("tensorrt"):
        target.write_bytes(_build(load_tensorrt(), batch, onnx, timing_cache))
        return
    if shutil.which("trtexec") is None:
        raise BackendError("neither TensorRT's Python package nor `trtexec` is installed")
    result = subprocess.run(
        trtexec_command(batch, onnx, target, timing_cache), capture_output=True, text=True, check=False
    )
    if result.returncode or not target.is_file():
        last = (result.stderr.strip() or result.stdout.strip() or "no output").splitlines()[-1]
        raise BackendError(f"trtexec failed on {onnx.name}: {last}")


def _build(trt: Any, batch: _Batch | None, onnx: Path, timing_cache: Path) -> bytes:
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    # TensorRT 11 has only strongly typed networks, and may have dropped the flag that asks for them.
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    definition = builder.create_network(0 if flag is None else 1 << int(flag))
    parser = trt.OnnxParser(definition, logger)
    if not parser.parse(onnx.read_bytes()):
        reason = parser.get_error(0).desc() if parser.num_errors else "no reason given"
        raise BackendError(f"TensorRT can't read {onnx.name}: {reason}")
    config = builder.create_builder_config()
    cache = config.create_timing_cache(timing_cache.read_bytes() if timing_cache.is_file() else b"")
    config.set_timing_cache(cache, ignore_mismatch=True)
    if batch is not None:
        sizes = builder.create_optimization_profile()
        many = (batch.most, *batch.shape)
        sizes.set_shape(batch.name, (1, *batch.shape), many, many)
        config.add_optimization_profile(sizes)
    plan = builder.build_serialized_network(definition, config)
    if plan is None:
        raise BackendError(f"TensorRT could not build {onnx.name}; its log says why")
    atomic_write(timing_cache, bytes(config.get_timing_cache().serialize()))
    return bytes(plan)


def engine_key(
    key: dict[str, str], batch: _Batch | None, precision: Precision, tensorrt_version: str
) -> dict[str, str]:
    """What an engine depends on: its graph, and what builds it, on this GPU and version only.

    The code that made the graph counts by what it made: minutes of building are not spent on the same graph.
    """
    return {
        **{name: value for name, value in key.items() if name != "code"},
        "builder": file_sha256(Path(__file__)),
        "format": "tensorrt-engine",
        "precision": precision,
        "shapes": str(batch),
        "tensorrt": tensorrt_version,
        "gpu": machine().gpu,
    }


def engines(options: EngineOptions, precision: Precision) -> dict[Network, Path]:
    """Engines for all three networks, from the cache or built now.

    Raises:
        BackendError: TensorRT is missing or refuses a graph.

    """
    profile = get_profile(options.profile)
    version = machine().versions.get("tensorrt", "") or str(getattr(load_tensorrt(), "__version__", ""))
    cache = EngineCache(options.cache_dir)
    say = options.progress or (lambda _: None)
    graphs = wanted(profile, options, half=precision == "fp16")
    onnx = dict(ensure(graphs, cache, options.progress))
    if precision == "int8":
        onnx.update(find_int8(profile, options, "tensorrt").paths)
    paths: dict[Network, Path] = {}
    for graph in graphs:
        batch = _Batch.of(graph.network, profile)
        key = engine_key(graph.key() | {"graph": onnx[graph.network].name}, batch, precision, version)
        name = f"{graph.name}-{precision}"

        def write(path: Path, network: Network = graph.network, batch: _Batch | None = batch) -> None:
            say(f"building the TensorRT engine of {network} for {machine().gpu} (minutes, once)")
            build_engine(batch, onnx[network], path, cache.root / "timing.cache")

        paths[graph.network] = cache.get_or_put(name, key, ".engine", write)
    return paths


class PlainTensorRTEngine(EngineBase):
    """The networks of a profile as TensorRT engines. Not yet run on a GPU."""

    def __init__(self, options: EngineOptions, precision: Precision) -> None:
        super().__init__(options)
        trt = load_tensorrt()
        self._cuda = CudaRuntime()
        self._runners = {
            network: _Runner(trt, self._cuda, path) for network, path in engines(options, precision).items()
        }
        self.info = self.describe("tensorrt", precision, machine().gpu, "TensorRT runtime")

    def _visual(self, frames: NDArray[np.uint8]) -> Floats:
        most = FRAMES_PER_SEGMENT
        parts = [
            self._runners["visual"]({"frames": np.ascontiguousarray(frames[at : at + most])})["grid"]
            for at in range(0, len(frames), most)
        ]
        return np.concatenate(parts)

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
    """One engine with its device buffers."""

    def __init__(self, trt: Any, cuda: CudaRuntime, path: Path) -> None:
        self._trt, self._cuda = trt, cuda
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.WARNING))
        self._engine = self._runtime.deserialize_cuda_engine(path.read_bytes())
        if self._engine is None:
            raise ModelFileError(f"engine {path}: TensorRT can't load it; delete it and it is built again")
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
        for pointer, _ in self._buffers.values():
            self._cuda.free(pointer)
        self._buffers.clear()
