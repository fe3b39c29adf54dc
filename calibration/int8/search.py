"""The search for the graph that costs least: how ranges are found, and which layers stay in float."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ...model.errors import ModelFileError
from ...model.profiles import get_profile
from ...model.runtime.base import EngineOptions
from ...model.runtime.cache import EngineCache
from ...model.runtime.graphs import ensure, wanted
from ...model.runtime.int8_graphs import Target
from ...model.runtime.networks import network_digest
from ...model.runtime.onnx_engine import OnnxEngine
from ...model.runtime.probe import machine
from ...model.runtime.select import time_visual
from .quantise import METHODS, Method, Quantiser
from .report import Cost, answers, compare, relative_error, thinned
from .result import Int8Result
from .samples import Reservoir, Second

Say = Callable[[str], None]
_HELD_OUT: Final = 3
"""Every third stream (or the last third of the only one) is for checking."""
_PROBED: Final = 12
"""Held-out pictures, one in three seconds, on which features are compared while searching."""


@dataclass(frozen=True)
class Int8Settings:
    """How a calibration is made.

    Attributes:
        size: seconds in the reservoir.
        frames: pictures of each second that ranges are measured on.
        check_seconds: held-out seconds at most.
        check_frames: pictures of each held-out second that are compared.
        methods: ways to find ranges that are tried.
        agreement: least share of settled labels that must equal float32's; see `Cost.keeps`.
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
    search = _Search(options, s, reservoir, held, folder, say)
    try:
        errors = search.methods()
        best = min(errors, key=lambda method: errors[method])
        layers = search.layers(best) if max(s.keep) > 0 else {}
        seven = not machine().fast_int8 if s.seven_bits is None else s.seven_bits
        cpu = folder / f"{profile.name}_visual_int8_cpu.onnx"
        gpu = folder / f"{profile.name}_visual_int8_tensorrt.onnx"
        kept, costs = search.fewest_in_float({"cpu": cpu, "tensorrt": gpu}, best, layers, seven)
        details = {
            "seven_bits": seven,
            "methods": {name: round(value, 5) for name, value in errors.items()},
            "calibration_seconds": {
                "seen": reservoir.seen,
                "unlike": reservoir.unlike,
                "kept": len(reservoir),
            },
            "machine": machine().describe(),
            "ms_per_8_frames": search.times(cpu),
        }
        return Int8Result(
            profile,
            folder,
            {"visual": {"cpu": cpu, "tensorrt": gpu}},
            {"visual": network_digest("visual", profile, options.visual_weights)},
            best,
            kept,
            costs,
            details,
        )
    finally:
        search.close()


class _Search:
    """A float network and what it answers; quantised graphs are held against it.

    Args:
        options: of the float engine.
        settings: see there.
        reservoir: seconds that ranges are measured on.
        held: streams of seconds that ranges are not measured on.
        folder: for graphs.
        say: told what is being done.

    """

    def __init__(
        self,
        options: EngineOptions,
        settings: Int8Settings,
        reservoir: Reservoir,
        held: list[list[Second]],
        folder: Path,
        say: Say,
    ) -> None:
        self._options, self._settings = options, settings
        self._held, self._folder, self._say = held, folder, say
        profile = get_profile(options.profile)
        graphs = ensure(wanted(profile, options), EngineCache(options.cache_dir), say)
        self._labels = [second.label for stream in held for second in stream]
        say(f"float32 answers on {len(self._labels)} held-out seconds")
        self._float = OnnxEngine(options)
        self._exact = answers(self._float, held, settings.check_frames)
        pictures = [frame[None] for second in reservoir for frame in second.frames]
        self.quantiser = Quantiser(graphs["visual"], pictures, folder)
        probe = np.concatenate([second.frames[:1] for stream in held for second in stream[::3]])
        self._probe = probe[:_PROBED]
        self._features = self._float.visual(self._probe)

    def methods(self) -> dict[Method, float]:
        """The error of the features by each way to find ranges."""
        errors: dict[Method, float] = {}
        for method in self._settings.methods:
            self._say(f"ranges by {method}")
            errors[method] = self._error(self.quantiser.build(self._folder / f"{method}.onnx", method, "cpu"))
        return errors

    def layers(self, method: Method) -> dict[str, float]:
        """The error of the features where one layer alone is quantised, worst first."""
        self._say("the cost of each layer alone")
        path = self._folder / "one.onnx"
        errors = {
            name: self._error(self.quantiser.build(path, method, "cpu", only=[name]))
            for name in self.quantiser.groups
        }
        return dict(sorted(errors.items(), key=lambda item: -item[1]))

    def fewest_in_float(
        self, paths: Mapping[Target, Path], method: Method, layers: dict[str, float], seven_bits: bool
    ) -> tuple[tuple[str, ...], dict[Target, Cost]]:
        """Build both graphs with as few layers in float as both can do with: which, and what they cost.

        TensorRT's has steps of another kind: what the CPU's can do without may still be missed there.
        """
        s, all_layers = self._settings, len(self.quantiser.groups)
        kept: tuple[str, ...] = ()
        costs: dict[Target, Cost] = {}
        counts = sorted({min(n, all_layers - 1) for n in s.keep})
        for count in counts:
            kept = tuple(layers)[:count]
            self._say(f"INT8 answers with {count} of {all_layers} layers kept in float")
            self.quantiser.build(paths["cpu"], method, "cpu", keep=kept, seven_bits=seven_bits)
            cost = costs["cpu"] = self.cost(paths["cpu"], layers)
            good = cost.keeps(s.agreement) and cost.feature_error <= s.feature_error
            if good or count == counts[-1]:
                self._say(f"the graph for TensorRT, {count} layers kept in float")
                self.quantiser.build(paths["tensorrt"], method, "tensorrt", keep=kept)
                costs["tensorrt"] = self.cost(paths["tensorrt"], {})
                if good and costs["tensorrt"].keeps(s.agreement):
                    break
        return kept, costs

    def cost(self, path: Path, layers: dict[str, float]) -> Cost:
        """What a graph costs on the held-out seconds."""
        with self._engine(path) as engine:
            tested = answers(engine, self._held, self._settings.check_frames)
        return compare(self._exact, tested, self._labels, layers)

    def times(self, path: Path) -> dict[str, float]:
        """Milliseconds for eight frames, in float32 and as a graph is run here."""
        with self._engine(path, exact=False) as fast:
            return {"fp32": round(time_visual(self._float), 1), "int8": round(time_visual(fast), 1)}

    def _error(self, path: Path) -> float:
        with self._engine(path) as engine:
            return relative_error(self._features, engine.visual(self._probe))

    @contextmanager
    def _engine(self, path: Path, exact: bool = True) -> Iterator[OnnxEngine]:
        engine = OnnxEngine(self._options, graphs={"visual": path}, exact=exact)
        try:
            yield engine
        finally:
            engine.close()

    def close(self) -> None:
        """Close the float engine."""
        self._float.close()
