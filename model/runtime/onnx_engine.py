"""The ONNX Runtime engine: the quickest on a CPU, and free of torch.

On the CPU each frame is a task of its own for a small pool of threads, every session running on one
thread: frames are independent, so this wastes nothing on synchronisation, does not spin between hops,
and keeps one frame's activations in memory per thread instead of sixteen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError, ModelFileError, first_line
from ..profiles import FRAMES_PER_SEGMENT, GRID, WINDOW
from .base import HALVES, NETWORKS, Engine, EngineOptions, Network, Precision
from .cache import EngineCache
from .common import EngineBase, Floats
from .graphs import ensure, wanted
from .int8_graphs import find_int8
from .onnx_head import SlidingHead, only, takes
from .optimised import optimised
from .probe import usable_cores
from .signed import find_signed

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
_KEPT_BY_VIEW: Final = 4 * WINDOW
"""Segments that one stream's head remembers: a window for each phase of the finest hop."""


def runtime() -> Any:
    """The `onnxruntime` module.

    Raises:
        BackendError: not installed.

    """
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError(
            "ONNX Runtime is not installed; `pip install onnxruntime` (CPU) or `onnxruntime-gpu`, "
            "or use --backend torch"
        ) from error
    onnxruntime.set_default_logger_severity(3)
    return onnxruntime


def open_session(
    path: Path,
    providers: Sequence[Any] = (CPU,),
    *,
    threads: int = 1,
    exact: bool = False,
    ready: bool = False,
) -> Any:
    """A session over one graph file.

    Args:
        path: the graph.
        providers: in order of preference.
        threads: threads within one call.
        exact: run the graph node by node as written, with no fusion: Q/DQ pairs are then simulated in
            float32, which shows what a machine with exact integer kernels computes.
        ready: it was optimised for this machine before (`optimised`); it is run as it is.

    Raises:
        ModelFileError: the file is not a graph that the runtime can load.

    """
    ort = runtime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A thread that spins while it waits for the next second burns a core for nothing.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A plan of the working memory, kept for every shape that was seen, is worth 1 % of time and 4 MB.
    options.enable_mem_pattern = False
    if exact or ready:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return ort.InferenceSession(str(path), options, providers=list(providers))
    except Exception as error:  # its exceptions share no base class of their own
        raise ModelFileError(f"graph {path}: ONNX Runtime can't load it ({first_line(error)})") from error


class SessionEngine(EngineBase):
    """Ear and head in sessions of ONNX Runtime, whatever computes them."""

    _sessions: dict[Network, Any]

    def _audio(self, patches: Floats) -> Floats:
        sound: Floats = self._sessions["audio"].run(None, {"patches": patches})[0]
        return sound

    def _head(
        self,
        visual: Floats,
        audio: Floats,
        visual_mask: NDArray[np.bool_],
        audio_mask: NDArray[np.bool_],
    ) -> tuple[Floats, Floats]:
        inputs = {"visual": visual, "audio": audio, "visual_mask": visual_mask, "audio_mask": audio_mask}
        session = self._sessions["head"]
        logits, attention = session.run(["logits", "attention"], only(inputs, takes(session)))
        return logits, attention


class OnnxEngine(SessionEngine):
    """The networks of a profile in ONNX Runtime.

    Args:
        options: what is asked for.
        graphs: files to run in place of the profile's own, by network.
        exact: see `open_session`.

    """

    def __init__(
        self, options: EngineOptions, *, graphs: Mapping[Network, Path] | None = None, exact: bool = False
    ) -> None:
        super().__init__(options)
        ort = runtime()
        available = ort.get_available_providers()
        gpu = [name for name in (TENSORRT, CUDA) if name in available]
        precision: Precision = "int8" if options.precision == "int8" else "fp32"
        if options.precision in ("fp16", "bf16"):
            if TENSORRT not in gpu or options.precision == "bf16":
                raise BackendError(
                    f"ONNX Runtime on {'/'.join(available)} can't run {options.precision}; "
                    "use --precision fp32 or int8, or --backend torch"
                )
            precision = "fp16"
        cache = EngineCache(options.cache_dir)
        notes = []
        special: dict[Network, Path] = {}
        if precision == "int8":
            if TENSORRT in gpu:
                quantised = find_signed(self.profile, options, cache)
            else:
                quantised = find_int8(self.profile, options, "cpu")
            special.update(quantised.paths)
            notes.append(quantised.note)
        special.update(graphs or {})
        # On a CPU the head comes in halves, unless there is a graph of the whole that is to be run.
        whole = bool(gpu) or "head" in special
        networks = NETWORKS if whole else ("visual", "audio", *HALVES)
        paths = ensure(wanted(self.profile, options, networks), cache, options.progress) | special
        self._threads = options.threads or usable_cores()
        providers = _providers(gpu, precision, cache.root)
        self._batched = bool(gpu)
        # On the CPU every session runs in the thread that calls it, and may be called from several.
        self.lanes, self.most_pictures = (1, FRAMES_PER_SEGMENT) if gpu else (self._threads, 1)
        self._pool = None if self._batched else ThreadPoolExecutor(self._threads, "avel-frames")
        sessions: dict[Network, Any] = {}
        for name, path in paths.items():
            # Only what was put in is simulated exactly; the rest runs as ever.
            as_written = exact and name in (graphs or {})
            ready = None
            if not (gpu or as_written):
                ready = optimised(ort, path, f"{self.profile.name}-{name}", cache)
            sessions[name] = open_session(ready or path, providers, exact=as_written, ready=ready is not None)
        self._sessions = sessions
        self._sliding = None if whole else SlidingHead(sessions["segment"], sessions["window"])
        device = sessions["visual"].get_providers()[0].removesuffix("ExecutionProvider").lower()
        if device == "cpu":
            device = f"cpu, {self._threads} thread{'s' * (self._threads > 1)}"
        self.info = self.describe("onnxruntime", precision, device, "; ".join(notes))

    def _visual(self, frames: NDArray[np.uint8]) -> Floats:
        session = self._sessions["visual"]
        if self._pool is None or len(frames) == 1:
            grid: Floats = session.run(None, {"frames": frames})[0]
            return grid
        out = np.empty((len(frames), GRID, GRID, self.profile.visual.dim), np.float32)

        def one(index: int) -> None:
            out[index] = session.run(None, {"frames": frames[index : index + 1]})[0][0]

        list(self._pool.map(one, range(len(frames))))
        return out

    def _head(
        self,
        visual: Floats,
        audio: Floats,
        visual_mask: NDArray[np.bool_],
        audio_mask: NDArray[np.bool_],
    ) -> tuple[Floats, Floats]:
        if self._sliding is not None:
            return self._sliding(visual, audio, visual_mask, audio_mask)
        return super()._head(visual, audio, visual_mask, audio_mask)

    def view(self) -> Engine:
        """See `Shareable.view`: the sessions are the same, the segments of the sliding head are not."""
        if self._sliding is None:
            return self
        mine = copy(self)
        mine._sliding = SlidingHead(self._sessions["segment"], self._sessions["window"], kept=_KEPT_BY_VIEW)
        return mine

    def close(self) -> None:
        """See `Engine.close`."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._sliding = None
        self._sessions.clear()


def _providers(gpu: Sequence[str], precision: Precision, root: Path) -> list[Any]:
    """Preference order; the TensorRT provider keeps its engines in the cache. Not yet run on a GPU."""
    order: list[Any] = []
    if TENSORRT in gpu:
        folder = root / "onnxruntime-tensorrt"
        folder.mkdir(parents=True, exist_ok=True)
        order.append(
            (
                TENSORRT,
                {
                    "trt_fp16_enable": precision == "fp16",
                    "trt_int8_enable": precision == "int8",
                    "trt_engine_cache_enable": True,
                    "trt_engine_cache_path": str(folder),
                    "trt_timing_cache_enable": True,
                    "trt_timing_cache_path": str(folder),
                },
            )
        )
    if CUDA in gpu:
        order.append(CUDA)
    return [*order, CPU]
