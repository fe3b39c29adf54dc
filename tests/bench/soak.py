"""A day of live streaming in minutes: does anything grow, drift, slow down or get lost?

    python tests/bench/soak.py CLIP… [--hours 24] [--frames 2] [--seen 0.25]
    python tests/bench/soak.py CLIP… --real-time --minutes 10 --frames 16 --seen 1

The clips are played in turn through the live path (hand-over buffers, both timelines, cutter, networks,
decoder, log files), by two simulated devices (support/soaking.py): their clocks differ by 80 ppm, blocks of
sound are up to 5 ms late. Time is the program's own processor time, and jumps ahead whenever there is
nothing to do: so latencies are those of a machine that has nothing else to do, whatever else runs here.
With --real-time it is the machine's clock. `--seen` is the share of each minute in which the camera is
there: it is lost and found again every minute, and looking is what costs most. Exits with 1 when a bound is
missed:

    memory      at most 1 MB an hour, by least squares after the first ten minutes
                (in less than an hour: 1 MB after the first third)
    threads, descriptors   none more at the end than after ten minutes
    latency     p99 of the last hour within 10 % of the first's (at least 2 ms are allowed), and below a
                second (in less than an hour: the median of the last third against the first's)
    skew        below 20 ms all along, after the first minute
    losses      no answer skipped, nothing dropped, no sound missing
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from avel_live.model.runtime.base import Engine, EngineOptions
from avel_live.model.runtime.select import load_engine
from avel_live.realtime.core.messages import StreamStart
from avel_live.realtime.events import Decoder, DecoderConfig
from avel_live.realtime.sinks.base import About
from avel_live.realtime.sinks.log import LogOptions
from avel_live.realtime.stream.loop import Stream, StreamOptions
from avel_live.realtime.stream.queue import StatusQueue

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.soak_watch import Measured, Watch, verdict
from support.soaking import Material, Simulated, WorkClock, load


def run(
    engine: Engine, clock: WorkClock, material: list[Material], seconds: float, *, frames: int, seen: float
) -> Measured:
    """Stream for so long; what was measured on the way."""
    source = Simulated(clock, material, frames, seen)
    watch = Watch(source.answer)
    reports = StatusQueue()
    with tempfile.TemporaryDirectory() as folder:
        logs = LogOptions(
            jsonl=Path(folder) / "log.jsonl", csv=Path(folder) / "events.csv", rotate_mb=1, keep_files=3
        )
        log = logs.build(About("soak", True, reports, clock))
        assert log is not None
        source.open()
        info = engine.info
        start = StreamStart("soak", info.profile, info.backend, info.precision, source.info, info.labels, 1.0)
        stream = Stream(
            source,
            engine,
            Decoder(DecoderConfig(labels=info.labels)),
            start,
            clock,
            StreamOptions(frames_per_segment=frames, duration_s=seconds),
            reports=reports,
        )
        source.stream = stream
        try:
            stream.run(log, watch)
        finally:
            log.close()
    return watch.found


def main() -> None:
    """Parse, run, print, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--minutes", type=float, help="instead of --hours")
    parser.add_argument("--frames", type=int, default=2, choices=(2, 4, 8, 16), help="pictures a second")
    parser.add_argument("--seen", type=float, default=0.25, help="share of each minute with a camera")
    parser.add_argument("--real-time", action="store_true", help="by the machine's clock")
    given = parser.parse_args()
    clock = WorkClock(real=given.real_time)
    material = load(given.clips, clock, given.frames)
    engine = load_engine(EngineOptions(backend="onnxruntime", precision="fp32", threads=1))
    engine.warm_up()
    seconds = given.minutes * 60 if given.minutes else given.hours * 3600
    began = time.monotonic()
    found = run(engine, clock, material, seconds, frames=given.frames, seen=given.seen)
    engine.close()
    spent = f"{time.monotonic() - began:.0f} s, {time.process_time():.0f} s of processor time"
    print(f"{seconds / 3600:g} stream-hours in {spent}; {given.frames} pictures a second, one thread")
    rows = verdict(found)
    for what, figure, good in rows:
        print(f"{'ok  ' if good else 'MISS'}  {what:<16} {figure}")
    sys.exit(0 if all(good for *_, good in rows) else 1)


if __name__ == "__main__":
    main()
