"""ONNX Runtime's plugin provider for RTX GPUs: another door to TensorRT for RTX, `--backend onnxruntime`.

    pip install onnxruntime-ep-nv-tensorrt-rtx-cu13        its own copy of the library, SM86 and later

Its library is registered with ONNX Runtime (1.24 or later) and then offers GPUs; a session is opened on one
of them. Graphs are those of the TensorRT backend. Not yet run on a GPU.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError, ModelFileError, first_line
from ..profiles import Profile
from .base import EngineOptions, Network, Precision
from .cache import EngineCache
from .common import Floats, in_parts
from .onnx_engine import SessionEngine
from .precisions import graphs_in
from .probe import installed, machine
from .trt_build import Batch

MODULE: Final = "onnxruntime_ep_nv_tensorrt_rtx"
TITLE: Final = "ONNX Runtime's TensorRT RTX provider"


def gpus(ort: Any) -> list[Any]:
    """The GPUs that the provider offers; none where it is not installed.

    Args:
        ort: the `onnxruntime` module.

    Raises:
        BackendError: it is installed and can't be used; says why, in the provider's own words.

    """
    if not installed(MODULE):
        return []
    name = _register(ort)
    return [device for device in ort.get_ep_devices() if device.ep_name == name]


@lru_cache(maxsize=1)
def _register(ort: Any) -> str:
    """Name of the provider, once per process: ONNX Runtime takes a library once."""
    if not hasattr(ort, "register_execution_provider_library"):
        raise BackendError(f"{TITLE} needs ONNX Runtime 1.24 or later, installed is {ort.__version__}")
    try:
        plugin = import_module(MODULE)
        name = str(plugin.get_ep_name())
        ort.register_execution_provider_library(name, plugin.get_library_path())
    except Exception as error:  # ONNX Runtime's have no base class of their own; a driver's absence is one
        raise BackendError(f"{TITLE} can't be loaded ({_reason(error)})") from error
    return name


def session_options(network: Network, profile: Profile, cache: Path) -> dict[str, str]:
    """What the provider is told about one graph: sizes of its batch, and where made kernels are kept."""
    told = {"nv_runtime_cache_path": str(cache)}
    batch = Batch.of(network, profile)
    if batch is not None:
        tail = "x".join(str(n) for n in batch.shape)
        one, many = f"{batch.name}:1x{tail}", f"{batch.name}:{batch.most}x{tail}"
        told |= {"nv_profile_min_shapes": one, "nv_profile_opt_shapes": many, "nv_profile_max_shapes": many}
    return told


def open_on(ort: Any, path: Path, device: Any, told: dict[str, str]) -> Any:
    """A session over one graph on a device that a provider offers.

    Raises:
        ModelFileError: the provider refuses the graph, or the file is none.

    """
    options = ort.SessionOptions()
    try:
        options.add_provider_for_devices([device], told)
        return ort.InferenceSession(str(path), options)
    except Exception as error:
        raise ModelFileError(f"graph {path}: {device.ep_name} can't load it ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    """What it says, without ONNX Runtime's prefix and the path of the library."""
    said = first_line(error)
    return said.rpartition(" with error: ")[2] if " with error: " in said else said


class ProviderEngine(SessionEngine):
    """The networks of a profile on a device of a plugin provider. Not yet run on a GPU.

    Args:
        options: what is asked for; fp16 unless a precision is named.
        ort: the `onnxruntime` module.
        device: one of `gpus`.

    """

    def __init__(self, options: EngineOptions, ort: Any, device: Any) -> None:
        super().__init__(options)
        precision = _precision(options.precision)
        folder = EngineCache(options.cache_dir).root / "onnxruntime-rtx"
        self._sessions = {
            network: open_on(ort, path, device, session_options(network, self.profile, folder / network))
            for network, path in graphs_in(options, precision).items()
        }
        name = device.ep_name.removesuffix("ExecutionProvider")
        self.info = self.describe("onnxruntime", precision, machine().gpu or name, name)

    def _visual(self, frames: NDArray[np.uint8]) -> Floats:
        return in_parts(frames, lambda part: self._sessions["visual"].run(None, {"frames": part})[0])

    def close(self) -> None:
        """See `Engine.close`."""
        self._sessions.clear()


def _precision(asked: str) -> Precision:
    if asked == "fp32":
        return "fp32"
    if asked == "int8":
        return "int8"
    if asked in ("auto", "fp16"):
        return "fp16"
    raise BackendError(f"{TITLE} does fp16, fp32 and int8, not {asked}")
