"""INT8 calibration: seconds of a stream in, quantised graphs and an honest account of their cost out.

    streams ──▶ reservoir (ranges)  ──▶ min-max, entropy, percentile: the one that hurts features least
            └─▶ held-out seconds    ──▶ layer by layer: which ones hurt, kept in float until labels agree
                                    ──▶ two graphs (CPU, TensorRT), their cost, installed or refused

The check never sees the seconds that the ranges come from. Graphs are judged with exact integer arithmetic
(simulated in float), which is what VNNI and TensorRT compute.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ...model.checkpoint import file_sha256
from ...model.errors import ModelFileError
from ...model.profiles import Profile, get_profile
from ...model.runtime.base import EngineOptions, Network
from ...model.runtime.cache import EngineCache
from ...model.runtime.graphs import ensure, wanted, weights_digest
from ...model.runtime.int8_graphs import FORMAT, TARGETS, Target
from ...model.runtime.onnx_engine import OnnxEngine
from ...model.runtime.probe import machine
from ...model.runtime.select import time_visual
from .quantise import METHODS, Method, Quantiser
from .report import Answers, Cost, answers, compare, relative_error, thinned
from .samples import Reservoir, Second

Say = Callable[[str], None]
_HELD_OUT: Final = 3
"""Every third stream (or the last third of the only one) is for checking."""


@dataclass(frozen=True)
class Int8Settings:
    """How a calibration is made.

    Attributes:
        size: seconds in the reservoir.
        frames: pictures of each second that ranges are measured on.
        check_seconds: held-out seconds at most.
        check_frames: pictures of each held-out second that are compared.
        methods: ways to find ranges that are tried.
        agreement: least share of settled labels that must equal float32's.
        feature_error: layers are kept in float until the features are at least this close.
        keep: how many of the layers that hurt most are kept in float, tried in order; only 0 = quantise
            all and do not look which ones hurt.
        seven_bits: CPU weights in seven bits, for x86 without VNNI; None = by this machine.
        seed: of the reservoir.

    """

    size: int = 48
    frames: int = 2
    check_seconds: int = 90
    check_frames: int = 4
    methods: tuple[Method, ...] = METHODS
    agreement: float = 0.99
    feature_error: float = 0.04
    keep: tuple[int, ...] = (0, 1, 2, 3, 4, 6, 8)
    seven_bits: bool | None = None
    seed: int = 0


@dataclass(frozen=True)
class Int8Result:
    """Graphs in a scratch folder, and what they cost.

    Attributes:
        profile: whose.
        folder: holds the graphs.
        graphs: network → target → file.
        weights: digests of the weights it belongs to.
        method: how ranges were found.
        kept: layers left in float32.
        costs: of each target.
        details: everything else worth a line in the report.

    """

    profile: Profile
    folder: Path
    graphs: dict[Network, dict[Target, Path]]
    weights: dict[str, str]
    method: Method
    kept: tuple[str, ...]
    costs: dict[Target, Cost]
    details: dict[str, Any]

    def to_dict(self, targets: Sequence[Target] = TARGETS) -> dict[str, Any]:
        """What is written beside the graphs of these targets."""
        return {
            "format": FORMAT,
            "profile": self.profile.name,
            "weights": self.weights,
            "networks": {
                network: {
                    target: {"file": path.name, "sha256": file_sha256(path), **self._needs(target)}
                    for target, path in paths.items()
                    if target in targets
                }
                for network, paths in self.graphs.items()
            },
            "method": self.method,
            "kept_in_float": list(self.kept),
            "cost": {target: self.costs[target].to_dict() for target in targets},
            **self.details,
        }

    def _needs(self, target: Target) -> dict[str, str]:
        exact = target == "cpu" and not self.details["seven_bits"]
        return {"needs": "exact int8 products (VNNI, AMX, ARM dot product)"} if exact else {}


def split(
    streams: Iterable[Iterable[Second]], settings: Int8Settings, say: Say = lambda _: None
) -> tuple[Reservoir, list[list[Second]]]:
    """Seconds for the ranges, and held-out streams for the check; one pass, bounded memory.

    Raises:
        ModelFileError: there is too little to calibrate on.

    """
    reservoir = Reservoir(settings.size, settings.seed)
    held: list[list[Second]] = []
    room = settings.check_seconds
    alone: list[Second] = []
    for number, stream in enumerate(streams):
        checking = number % _HELD_OUT == _HELD_OUT - 1
        current: list[Second] = []
        for second in stream:
            if checking and room > 0:
                current.append(_light(second, settings.check_frames))
                room -= 1
            elif not checking:
                reservoir.add(_light(second, settings.frames))
                if number == 0 and len(alone) < 3 * settings.check_seconds:
                    alone.append(_light(second, settings.check_frames))
        if current:
            held.append(current)
        say(f"read {reservoir.seen} seconds, kept {len(reservoir)}")
    if not held and len(alone) >= _HELD_OUT:
        cut = len(alone) - max(1, len(alone) // _HELD_OUT)
        reservoir = Reservoir(settings.size, settings.seed)
        reservoir.extend(_light(second, settings.frames) for second in alone[:cut])
        held = [alone[cut:][: settings.check_seconds]]
    if not len(reservoir) or not held:
        raise ModelFileError(
            f"INT8 calibration needs at least {_HELD_OUT} seconds with pictures, got {reservoir.seen}; "
            "give it more or longer clips"
        )
    return reservoir, held


def _light(second: Second, frames: int) -> Second:
    return Second(thinned(second.frames, frames).copy(), second.audio, second.label)


def calibrate(
    options: EngineOptions,
    streams: Iterable[Iterable[Second]],
    settings: Int8Settings | None = None,
    say: Say = lambda _: None,
    work: Path | None = None,
) -> Int8Result:
    """Quantise the visual network of a profile.

    It is where the time goes; the ear and the head cost a few milliseconds and stay in float32.

    Args:
        options: profile and weights; backend and precision are not looked at.
        streams: consecutive seconds of one source each.
        settings: see there.
        say: told what is being done.
        work: folder for the graphs; the caller removes it.

    Raises:
        ModelFileError: too little material, or weights that can't be read.

    """
    s = settings or Int8Settings()
    profile = get_profile(options.profile)
    folder = work or Path(tempfile.mkdtemp(prefix="avel-int8-"))
    reservoir, held = split(streams, s, say)
    options = options._replace(backend="onnxruntime", precision="fp32")
    graphs = wanted(profile, options)
    paths = ensure(graphs, EngineCache(options.cache_dir), say)
    pictures = [frame[None] for second in reservoir for frame in second.frames]
    labels = [second.label for stream in held for second in stream]
    say(f"float32 answers on {len(labels)} held-out seconds")
    float_engine = OnnxEngine(options)
    exact = answers(float_engine, held, s.check_frames)
    quantiser = Quantiser(paths["visual"], pictures, folder)
    probe = np.concatenate([second.frames[:1] for stream in held for second in stream[::3]])[:12]
    wanted_grid = float_engine.visual(probe)

    def error_of(path: Path) -> float:
        engine = OnnxEngine(options, graphs={"visual": path}, exact=True)
        try:
            return relative_error(wanted_grid, engine.visual(probe))
        finally:
            engine.close()

    errors = {}
    for method in s.methods:
        say(f"ranges by {method}")
        errors[method] = error_of(quantiser.build(folder / f"{method}.onnx", method, "cpu"))
    best = min(errors, key=lambda method: errors[method])
    layers: dict[str, float] = {}
    if max(s.keep) > 0:
        say("the cost of each layer alone")
        layers = {
            name: error_of(quantiser.build(folder / "one.onnx", best, "cpu", only=[name]))
            for name in quantiser.groups
        }
    layers = dict(sorted(layers.items(), key=lambda item: -item[1]))
    seven = not machine().fast_int8 if s.seven_bits is None else s.seven_bits
    kept: tuple[str, ...] = ()
    cost: Cost | None = None
    path = folder / f"{profile.name}_visual_int8_cpu.onnx"
    for count in sorted({min(n, len(quantiser.groups) - 1) for n in s.keep}):
        tried = tuple(layers)[:count]
        say(f"INT8 answers with {count} of {len(quantiser.groups)} layers kept in float")
        quantiser.build(path, best, "cpu", keep=tried, seven_bits=seven)
        kept, cost = tried, _cost(options, path, held, exact, labels, layers, s)
        if cost.agreement >= s.agreement and cost.feature_error <= s.feature_error:
            break
    assert cost is not None
    say("the graph for TensorRT")
    gpu_path = folder / f"{profile.name}_visual_int8_tensorrt.onnx"
    quantiser.build(gpu_path, best, "tensorrt", keep=kept)
    gpu_cost = _cost(options, gpu_path, held, exact, labels, {}, s)
    fast = OnnxEngine(options, graphs={"visual": path})
    details = {
        "seven_bits": seven,
        "methods": {name: round(value, 5) for name, value in errors.items()},
        "calibration_seconds": {"seen": reservoir.seen, "unlike": reservoir.unlike, "kept": len(reservoir)},
        "machine": machine().describe(),
        "ms_per_8_frames": {
            "fp32": round(time_visual(float_engine), 1),
            "int8": round(time_visual(fast), 1),
        },
    }
    fast.close()
    float_engine.close()
    return Int8Result(
        profile,
        folder,
        {"visual": {"cpu": path, "tensorrt": gpu_path}},
        {graph.network: weights_digest(graph.files) for graph in graphs if graph.network == "visual"},
        best,
        kept,
        {"cpu": cost, "tensorrt": gpu_cost},
        details,
    )


def _cost(
    options: EngineOptions,
    path: Path,
    held: Sequence[Sequence[Second]],
    exact: Answers,
    labels: Sequence[int | None],
    layers: dict[str, float],
    s: Int8Settings,
) -> Cost:
    engine = OnnxEngine(options, graphs={"visual": path}, exact=True)
    try:
        return compare(exact, answers(engine, held, s.check_frames), labels, layers)
    finally:
        engine.close()
