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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ....model.profiles import FRAMES_PER_SEGMENT, WINDOW
from ....model.runtime.base import Engine, EngineOptions
from ....model.runtime.select import load_engine
from ...config.schema import NONE, Config, Frames
from ...core.clock import Clock, SystemClock, cpu_s
from ...core.errors import AvelError
from ...core.messages import SAMPLE_RATE, Hop, StreamEnd
from ...session.calibration import ActiveCalibration
from ...session.open import open_stream
from ...sources.base import Source
from ...sources.replay import Replay, ReplayOptions
from ...stream.budget import delivered_frames
from .meters import Stopwatch, TimedEngine, energy_j, peak_memory_mb, percentiles
from .tape import record


@dataclass
class Latencies:
    """The latency of every hop, and when the first one came."""

    ms: list[float] = field(default_factory=list)
    first_ns: int | None = None

    @property
    def late(self) -> int:
        """Hops whose answer came only after the next second was over: a live stream would skip."""
        return sum(ms > 1000 for ms in self.ms)


def play(
    source: Source,
    engine: Engine,
    clock: Clock,
    watch: Stopwatch | None,
    notes: Latencies,
    *,
    paced: bool,
    frames: Frames,
) -> StreamEnd:
    """Run the stream itself, with its screen drawing into memory."""
    from ...ui.console import Console
    from ...ui.screen import Screen

    screen: Any = Screen(Console(file=io.StringIO(), force_terminal=True, width=100, height=30), clock)
    if watch is not None:
        engine = TimedEngine(engine, watch)
        screen.hop = watch.timed("UI", screen.hop)
    config = Config(calibration=NONE, taught=(NONE,), frames=frames, fast=not paced)
    stream = open_stream(config, source, engine, clock, active=ActiveCalibration())
    if watch is not None:
        decoder: Any = stream.decoder
        decoder.push = watch.timed("decoder", decoder.push)
    with stream:
        screen.start(stream.start)
        for update in stream.updates():
            if isinstance(update, Hop):
                notes.first_ns = notes.first_ns or clock.now_ns()
                notes.ms.append(update.latency_ms)
                screen.hop(update)
            else:
                screen.status(update)
    assert stream.end is not None
    screen.end(stream.end)
    screen.close()
    return stream.end


def stages(
    engine: Engine, clips: list[Path], clock: Clock, duration_s: float | None, frames: Frames
) -> dict[str, Any]:
    """Every clip decoded first, then through the pipeline as fast as it goes."""
    watch = Stopwatch(clock)
    factors, seconds, decode_cpu, run_cpu = [], 0.0, 0.0, 0.0
    joules = 0.0 if energy_j() is not None else None
    for clip in clips:
        before = cpu_s()
        tape = record(clip, clock, watch, duration_s, delivered_frames(Config(frames=frames).most_frames))
        decode_cpu += cpu_s() - before
        before, before_j = cpu_s(), energy_j()
        end = play(tape, engine, clock, watch, Latencies(), paced=True, frames=frames)
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


def live(
    engine: Engine, clip: Path, clock: Clock, duration_s: float, spawned_ns: int, frames: Frames
) -> dict[str, Any]:
    """One clip in real time, again and again, for `duration_s`."""
    notes = Latencies()
    most = delivered_frames(Config(frames=frames).most_frames)
    source = Replay(clip, clock, ReplayOptions(speed=1.0, loop=True, duration_s=duration_s, frames=most))
    source.open()
    opened_ns, before = clock.now_ns(), cpu_s()
    end = play(source, engine, clock, None, notes, paced=True, frames=frames)
    wall_s = (clock.now_ns() - opened_ns) / 1e9
    first_s = ((notes.first_ns or 0) - spawned_ns) / 1e9
    return {
        "seconds": round(end.seconds, 2),
        "wall_s": round(wall_s, 2),
        "latency_ms": percentiles(notes.ms),
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
        result["live"] = live(
            engine, clips[0], clock, request["live_s"], request["spawned_ns"], request["frames"]
        )
        result["peak_memory_mb"] = round(peak_memory_mb(), 1)
    if request["stages"]:
        result |= stages(engine, clips, clock, request["duration_s"], request["frames"])
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
