"""One configuration, measured in a process of its own: a request on standard input, a result on output.

stages    decoded beforehand, as fast as it goes: cost of each stage, real-time factor
live      replayed in real time: latency, CPU, peak memory, as a user would see them
window    one hop against computing all ten segments again
"""

from __future__ import annotations

import io
import json
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ....model.profiles import FRAMES_PER_SEGMENT, WINDOW
from ....model.runtime.base import Engine, EngineOptions
from ....model.runtime.select import load_engine
from ...clock import Clock, SystemClock
from ...errors import AvelError
from ...events import Decoder, DecoderConfig
from ...messages import SAMPLE_RATE, HopRecord, Status, StreamEnd, StreamStart
from ...sinks.base import Sink
from ...sources.base import Source
from ...sources.replay import Replay, ReplayOptions
from ...stream.loop import Pipeline, PipelineOptions
from .meters import Stopwatch, TimedEngine, cpu_s, energy_j, peak_memory_mb, percentiles
from .tape import record


class Notes:
    """A sink that keeps the latency of every hop and when the first one came."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.latency_ms: list[float] = []
        self.first_ns: int | None = None
        self.late = 0
        """Hops whose answer came only after the next second was over: a live stream would skip."""

    def start(self, start: StreamStart) -> None:
        """See `Sink.start`."""

    def hop(self, record: HopRecord) -> None:
        """See `Sink.hop`."""
        self.first_ns = self.first_ns or self._clock.now_ns()
        self.latency_ms.append(record.latency_ms)
        self.late += record.latency_ms > 1000

    def status(self, status: Status) -> None:
        """See `Sink.status`."""

    def end(self, end: StreamEnd) -> None:
        """See `Sink.end`."""

    def close(self) -> None:
        """See `Sink.close`."""


def play(source: Source, engine: Engine, clock: Clock, watch: Stopwatch | None, notes: Notes) -> StreamEnd:
    """Run the pipeline itself, with its screen drawing into memory."""
    from rich.console import Console

    from ...ui.screen import Screen

    screen: Any = Screen(Console(file=io.StringIO(), force_terminal=True, width=100, height=30), clock)
    decoder: Any = Decoder(DecoderConfig(num_classes=len(engine.info.labels)))
    if watch is not None:
        engine = TimedEngine(engine, watch)
        decoder.push = watch.timed("decoder", decoder.push)
        screen.hop = watch.timed("UI", screen.hop)
    info = engine.info
    start = StreamStart(
        version("avel-live"), info.profile, info.backend, info.precision, source.info, info.labels, 1.0
    )
    sinks: list[Sink] = [notes, screen]
    try:
        return Pipeline(
            source, engine, decoder, sinks, clock, PipelineOptions(frames=FRAMES_PER_SEGMENT)
        ).run(start)
    finally:
        for sink in sinks:
            sink.close()


def stages(engine: Engine, clips: list[Path], clock: Clock, duration_s: float | None) -> dict[str, Any]:
    """Every clip decoded first, then through the pipeline as fast as it goes."""
    watch = Stopwatch(clock)
    factors, seconds, decode_cpu, run_cpu = [], 0.0, 0.0, 0.0
    joules = 0.0 if energy_j() is not None else None
    for clip in clips:
        before = cpu_s()
        tape = record(clip, clock, watch, duration_s)
        decode_cpu += cpu_s() - before
        before, before_j = cpu_s(), energy_j()
        end = play(tape, engine, clock, watch, Notes(clock))
        run_cpu += cpu_s() - before
        if joules is not None:
            joules += (energy_j() or 0.0) - (before_j or 0.0)
        if end.seconds > 0:
            factors.append((end.real_time_factor, end.seconds))
            seconds += end.seconds
    total = sum(weight for _, weight in factors)
    return {
        "clips": len(clips),
        "seconds": round(seconds, 2),
        "real_time_factor": round(sum(f * weight for f, weight in factors) / total, 4),
        "real_time_factor_median": round(statistics.median(f for f, _ in factors), 4),
        "cpu_s_per_s": round(run_cpu / seconds, 4),
        "decode_cpu_s_per_s": round(decode_cpu / seconds, 4),
        "joules_per_s": None if joules is None else round(joules / seconds, 3),
        "stages": watch.summary(seconds),
    }


def live(engine: Engine, clip: Path, clock: Clock, duration_s: float, spawned_ns: int) -> dict[str, Any]:
    """One clip in real time, again and again, for `duration_s`."""
    notes = Notes(clock)
    source = Replay(clip, clock, ReplayOptions(speed=1.0, loop=True, duration_s=duration_s))
    source.open()
    opened_ns, before = clock.now_ns(), cpu_s()
    end = play(source, engine, clock, None, notes)
    wall_s = (clock.now_ns() - opened_ns) / 1e9
    first_s = ((notes.first_ns or 0) - spawned_ns) / 1e9
    return {
        "seconds": round(end.seconds, 2),
        "wall_s": round(wall_s, 2),
        "latency_ms": percentiles(notes.latency_ms),
        "late_hops": notes.late,
        "skipped": end.skipped,
        "cpu_s_per_s": round((cpu_s() - before) / max(end.seconds, 1e-9), 4),
        "first_record_s": round(first_s - 1.0, 3),
    }


def window(engine: Engine, repeats: int) -> dict[str, float]:
    """Median milliseconds of one hop, and of the same answer computed from all ten segments."""
    make = np.random.default_rng(0)
    frames = make.integers(0, 256, (FRAMES_PER_SEGMENT, 224, 224, 3), np.uint8)
    samples = make.normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    here = np.ones(WINDOW, np.bool_)

    def segment() -> tuple[Any, Any]:
        return engine.visual(frames).mean(axis=0), engine.audio(samples)

    grid, sound = segment()
    grids, sounds = np.stack([grid] * WINDOW), np.stack([sound] * WINDOW)
    hop_ms, all_ms = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        grids[-1], sounds[-1] = segment()
        engine.head(grids, sounds, here, here)
        middle = time.perf_counter()
        ten = [segment() for _ in range(WINDOW)]
        engine.head(np.stack([g for g, _ in ten]), np.stack([s for _, s in ten]), here, here)
        hop_ms.append((middle - start) * 1e3)
        all_ms.append((time.perf_counter() - middle) * 1e3)
    hop, whole = statistics.median(hop_ms), statistics.median(all_ms)
    return {"hop_ms": round(hop, 2), "ten_ms": round(whole, 2), "times_cheaper": round(whole / hop, 2)}


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """All that was asked for, for one configuration.

    Memory is taken after the live part, which comes first: decoded tapes would count against it.
    """
    clock = SystemClock()
    paths = {"checkpoint", "audio_weights", "visual_weights", "cache_dir"}
    given: dict[str, Any] = {
        name: Path(value) if name in paths else value for name, value in request["engine"].items()
    }
    options = EngineOptions(**given)
    engine = load_engine(options)
    engine.warm_up()
    info = engine.info
    clips = [Path(clip) for clip in request["clips"]]
    result: dict[str, Any] = {
        "profile": info.profile,
        "backend": info.backend,
        "precision": info.precision,
        "device": info.device,
        "note": info.note,
        "loaded_s": round((clock.now_ns() - request["spawned_ns"]) / 1e9, 3),
    }
    if request["live_s"]:
        result["live"] = live(engine, clips[0], clock, request["live_s"], request["spawned_ns"])
        result["peak_memory_mb"] = round(peak_memory_mb(), 1)
    if request["stages"]:
        result |= stages(engine, clips, clock, request["duration_s"])
    if request["window"]:
        result["window"] = window(engine, request["window"])
    result["torch_imported"] = "torch" in sys.modules
    engine.close()
    return result


def main() -> int:
    """Answer one request."""
    request = json.load(sys.stdin)
    try:
        print(json.dumps(measure(request)))
    except AvelError as error:
        print(json.dumps({"error": str(error)}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
