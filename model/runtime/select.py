"""Choosing a runtime: `load_engine` is the only door the rest of the program uses.

`auto` goes by what `probe` finds, settles ties by a short timing that is kept in the engine cache, and says
in `EngineInfo.note` what it chose and why.

    a GPU and TensorRT            tensorrt, fp16
    a GPU and CUDA torch          torch, fp16
    a CPU                         onnxruntime: int8 where a calibration fits weights and CPU and it is
                                  quicker; else fp32. torch bf16 where the CPU has it and it is
                                  quicker still
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from ..errors import AvelError, BackendError
from ..files import atomic_write
from ..profiles import get_profile
from . import helper
from .base import BackendName, Engine, EngineOptions, Precision
from .cache import CacheError, EngineCache, digest
from .flavours import RTX, capability
from .graph import weights_digest
from .graphs import GraphError
from .int8_graphs import has_int8
from .networks import network_files
from .probe import Machine, installed, machine

BACKENDS: Final[tuple[BackendName, ...]] = ("torch", "onnxruntime", "tensorrt")
PRECISIONS: Final[tuple[Precision, ...]] = ("fp32", "fp16", "bf16", "int8")
_TIMER: Final = f"{__package__}.select"
"""The helper process: this very module."""
_HANDICAP: Final = {"torch": 1.25}
"""Torch takes seconds to start and more memory: it must be quicker by more than chance in the timing."""


class Choice(NamedTuple):
    """A backend, a precision, and why."""

    backend: BackendName
    precision: Precision
    why: str


def load_engine(options: EngineOptions) -> Engine:
    """The networks of a profile on the backend asked for.

    Raises:
        BackendError: the backend can't run here; says what to install.
        ModelFileError: a weight file is missing or damaged.

    """
    get_profile(options.profile)
    _check(options)
    if options.engines is not None:
        if options.backend not in ("auto", "tensorrt"):
            raise BackendError(
                f"--engines {options.engines}: for --backend tensorrt, not {options.backend}; leave one out"
            )
        return _open(options._replace(backend="tensorrt"))
    if options.backend != "auto":
        return _open(options)
    choice = choose(options, machine())
    try:
        engine = _open(options._replace(backend=choice.backend, precision=choice.precision))
    except (BackendError, CacheError, GraphError) as error:
        # Without room for graphs there are none to run; torch needs none.
        if options.precision not in ("auto", "fp32") or not installed("torch"):
            raise
        spare: BackendName = "torch" if choice.backend == "onnxruntime" else "onnxruntime"
        if options.progress:
            options.progress(f"{choice.backend} can't be used ({error}); {spare} instead")
        engine = _open(options._replace(backend=spare, precision="fp32"))
        return _noted(engine, f"auto: fell back from {choice.backend} {choice.precision}: {error}")
    return _noted(engine, f"auto: {choice.why}")


def choose(options: EngineOptions, here: Machine) -> Choice:
    """What `auto` means for these options on this machine.

    Raises:
        BackendError: no runtime is installed at all, or none offers the precision asked for.

    """
    asked = options.precision
    if here.gpu:
        gpu_precision: Precision = "fp16" if asked == "auto" else _precision(asked)
        if installed("tensorrt") or (installed("tensorrt_rtx") and capability() in RTX.capabilities):
            return Choice("tensorrt", gpu_precision, f"TensorRT on {here.gpu}")
        if "onnxruntime-gpu" in here.versions and gpu_precision in ("fp32", "int8"):
            return Choice("onnxruntime", gpu_precision, f"ONNX Runtime on {here.gpu}")
        if installed("torch") and gpu_precision != "int8" and _cuda_torch():
            return Choice("torch", gpu_precision, f"torch on {here.gpu}; TensorRT is not installed")
    has_ort, has_torch = installed("onnxruntime"), installed("torch")
    if not (has_ort or has_torch):
        raise BackendError("neither ONNX Runtime nor torch is installed; `pip install onnxruntime`")
    if asked in ("bf16", "fp16"):
        return Choice("torch", _precision(asked), f"{asked} on the CPU is torch's")
    if not has_ort:
        return Choice("torch", "fp32", "ONNX Runtime is not installed")
    if asked in ("fp32", "int8"):
        return Choice("onnxruntime", _precision(asked), "the quickest of its precision on a CPU")
    candidates: list[tuple[BackendName, Precision]] = [("onnxruntime", "fp32")]
    why_not = ""
    # A calibration whose products would saturate on this CPU is not found at all.
    if has_int8(get_profile(options.profile), options):
        candidates.append(("onnxruntime", "int8"))
    else:
        why_not = "; int8 needs `avel calibrate int8`"
    if here.fast_bf16 and has_torch:
        candidates.append(("torch", "bf16"))
    if len(candidates) == 1:
        return Choice("onnxruntime", "fp32", f"ONNX Runtime fp32 on a CPU{why_not}")
    times = timings(options, here, candidates)
    best = min(candidates, key=lambda c: times.get(f"{c[0]} {c[1]}", float("inf")) * _HANDICAP.get(c[0], 1.0))
    shown = ", ".join(f"{name} {ms:.0f} ms" for name, ms in sorted(times.items(), key=lambda t: t[1]))
    quickest = best == min(candidates, key=lambda c: times.get(f"{c[0]} {c[1]}", float("inf")))
    why = "quickest here" if quickest else "lighter than torch and hardly slower here"
    return Choice(*best, f"{why} per 8 frames ({shown})")


def timings(
    options: EngineOptions,
    here: Machine,
    candidates: list[tuple[BackendName, Precision]],
    measure: Callable[[EngineOptions], float] | None = None,
) -> dict[str, float]:
    """Milliseconds for eight frames on each candidate, measured once and kept in the engine cache."""
    measure = measure or _measure
    profile = get_profile(options.profile)
    key = {
        "machine": here.describe(),
        "versions": json.dumps(here.versions, sort_keys=True),
        "profile": profile.name,
        "weights": weights_digest(network_files("visual", profile, options.visual_weights)),
        "threads": str(options.threads or here.cores),
    }
    path = EngineCache(options.cache_dir).root / f"timing-{digest(key)}.json"
    try:
        known = {str(name): float(ms) for name, ms in json.loads(path.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        known = {}
    names = [f"{backend} {precision}" for backend, precision in candidates]
    if any(name not in known for name in names):
        if options.progress:
            options.progress("timing the runtimes (once)")
        for name, (backend, precision) in zip(names, candidates, strict=True):
            if name not in known:
                try:
                    known[name] = measure(options._replace(backend=backend, precision=precision))
                except AvelError:
                    known[name] = float("inf")
        _remember(path, known)
    return {name: known[name] for name in names}


def time_visual(engine: Engine, frames: int = 8, repeats: int = 5) -> float:
    """Milliseconds of `Engine.visual` over seeded frames, after one warm call.

    The quickest of `repeats`: what else the machine does can only make a call slower, and the answer is kept.
    """
    pictures = np.random.default_rng(0).integers(0, 256, (frames, 224, 224, 3), np.uint8)
    engine.visual(pictures[:2])
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        engine.visual(pictures)
        taken.append((time.perf_counter() - start) * 1e3)
    return min(taken)


def _measure(options: EngineOptions) -> float:
    """Torch is timed in a helper process, so that this one stays free of it."""
    if options.backend != "torch":
        engine = _open(options._replace(progress=None))
        try:
            return time_visual(engine)
        finally:
            engine.close()
    with helper.start(_TIMER, get_profile(options.profile), options._replace(progress=None)) as process:
        said, _ = process.communicate()
    try:
        return float(said.decode().strip().splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise BackendError("torch could not be timed") from error


def _remember(path: Path, known: dict[str, float]) -> None:
    finite = {name: ms for name, ms in known.items() if ms != float("inf")}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, json.dumps(finite))
    except OSError:
        return  # a cache that can't be written costs time, nothing else


def _open(options: EngineOptions) -> Engine:
    if options.backend == "onnxruntime":
        return _open_onnx(options)
    if options.backend == "torch":
        if not installed("torch"):
            raise BackendError("torch is not installed; `pip install torch`, or use --backend onnxruntime")
        from .torch_engine import TorchEngine

        return TorchEngine(options)
    from .tensorrt_engine import open_tensorrt

    return open_tensorrt(options)


def _open_onnx(options: EngineOptions) -> Engine:
    """On a GPU of the plugin provider where that is installed and finds one, else by what is built in."""
    from .onnx_engine import OnnxEngine, runtime
    from .rtx_provider import ProviderEngine, gpus

    ort = runtime()
    try:
        found = gpus(ort)
    except BackendError as error:
        if options.precision == "fp16":
            raise
        return _noted(OnnxEngine(options), str(error))
    return ProviderEngine(options, ort, found[0]) if found else OnnxEngine(options)


def _check(options: EngineOptions) -> None:
    if options.backend != "auto" and options.backend not in BACKENDS:
        raise BackendError(f"unknown backend {options.backend!r}; known: auto, {', '.join(BACKENDS)}")
    if options.precision != "auto":
        _precision(options.precision)


def _precision(name: str) -> Precision:
    for known in PRECISIONS:
        if known == name:
            return known
    raise BackendError(f"unknown precision {name!r}; known: auto, {', '.join(PRECISIONS)}")


def _cuda_torch() -> bool:
    import torch

    return torch.cuda.is_available()


def _noted(engine: Engine, note: str) -> Engine:
    from dataclasses import replace

    own = engine.info.note
    engine.info = replace(engine.info, note=f"{note}; {own}" if own else note)
    return engine


def _main() -> None:
    _, options = helper.requested(sys.stdin.buffer)
    print(time_visual(_open(options)))


if __name__ == "__main__":
    _main()
