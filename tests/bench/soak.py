"""A day of live streaming in minutes: does anything grow, drift, slow down or get lost?

    python tests/bench/soak.py CLIP… [--hours 24] [--frames 2] [--seen 0.25]
    python tests/bench/soak.py CLIP… --real-time --minutes 10 --frames 16 --seen 1

The clips are played in turn through the live path (hand-over buffers, both timelines, cutter, networks,
decoder, log files), by two simulated devices whose clocks differ by `PPM` and whose blocks arrive up to
`JITTER_MS` late. Time is the program's own processor time, and jumps ahead whenever there is nothing to do:
so latencies are those of a machine that has nothing else to do, whatever else runs here. With --real-time
it is the machine's clock. `--seen` is the share of each minute in which the camera is there: it is lost and
found again every minute, and looking is what costs most. Exits with 1 when a bound is missed:

    memory      at most 1 MB an hour, by least squares after the first ten minutes
    threads, descriptors   none more at the end than after ten minutes
    latency     p99 of the last hour within 10 % of the first's (at least 2 ms are allowed)
    skew        below 20 ms all along, after the first minute
    losses      no answer skipped, nothing dropped, no sound missing
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from avel_live.model.runtime.base import Engine, EngineOptions
from avel_live.model.runtime.select import load_engine
from avel_live.realtime.clock import NS_PER_S
from avel_live.realtime.config import LogOptions
from avel_live.realtime.events import Decoder, DecoderConfig
from avel_live.realtime.messages import (
    SAMPLE_RATE,
    AudioBlock,
    EndOfStream,
    HopRecord,
    Status,
    StreamEnd,
    StreamStart,
    TimedAudio,
    TimedFrame,
    VideoFrame,
)
from avel_live.realtime.pipeline import Pipeline, PipelineOptions
from avel_live.realtime.reports import Reports
from avel_live.realtime.sinks.base import Sink
from avel_live.realtime.sinks.files import log_sinks
from avel_live.realtime.sources.base import Item
from avel_live.realtime.sources.capture import CameraOptions
from avel_live.realtime.sources.live import LiveOptions, LiveSource
from avel_live.realtime.sources.microphone import MicOptions
from avel_live.realtime.sources.replay import Replay, ReplayOptions

PPM = 80.0
JITTER_MS = 5.0
_BLOCK = 1600
_SETTLED_S = 600.0


class WorkClock:
    """Processor time of this process plus what was jumped over; or the machine's clock, never jumping."""

    def __init__(self, *, real: bool) -> None:
        self._real = real
        self._jumped_ns = 0

    def now_ns(self) -> int:
        return time.monotonic_ns() if self._real else time.process_time_ns() + self._jumped_ns

    def wait_until(self, t_ns: int, wake: threading.Event | None = None) -> bool:
        """A nap: only `skip_to` moves this clock ahead."""
        return (wake or threading.Event()).wait(0.05)

    def skip_to(self, t_ns: int) -> None:
        """Be at `t_ns` at least: sleep there, or jump."""
        left = t_ns - self.now_ns()
        if left > 0 and self._real:
            time.sleep(left / NS_PER_S)
        elif left > 0:
            self._jumped_ns += left


@dataclass(frozen=True)
class Material:
    """Pictures [N, 224, 224, 3] and sound [n] of a clip."""

    pictures: list[np.ndarray]
    sound: np.ndarray


def load(paths: list[Path], clock: WorkClock, fps: int) -> list[Material]:
    """`fps` pictures a second of each clip, and its sound, at most 20 s of each."""
    out = []
    for path in paths:
        source = Replay(path, clock, ReplayOptions(speed=None, duration_s=20))
        source.open()
        pictures: list[np.ndarray] = []
        sound = np.zeros(20 * SAMPLE_RATE, np.float32)
        end = 0
        while not isinstance(item := source.read(1.0), EndOfStream):
            if isinstance(item, TimedFrame) and item.t_ns * fps >= len(pictures) * NS_PER_S:
                pictures.append(item.image)
            elif isinstance(item, TimedAudio):
                end = item.position + len(item.samples)
                sound[item.position : end] = item.samples
        source.close()
        if pictures and end >= SAMPLE_RATE:
            out.append(Material(pictures, sound[: end // _BLOCK * _BLOCK]))
    if not out:
        sys.exit("none of these clips has both picture and sound")
    return out


class _Device:
    """What `LiveSource` wants of a device; it delivers through `Simulated`, not by a thread."""

    class _Health:
        state = "running"

    health = _Health()
    granted = opened = None

    def start(self) -> None: ...
    def watch(self) -> None: ...
    def close(self) -> None: ...


class Simulated:
    """A live source whose devices are played from memory; a `Source`, and a sink that hears of answers."""

    def __init__(self, clock: WorkClock, material: list[Material], fps: int, seen: float) -> None:
        self._clock, self._fps, self._seen = clock, fps, seen
        options = LiveOptions(CameraOptions("soak"), MicOptions("soak"))
        self._inner = LiveSource(options, clock, _Device(), _Device())  # type: ignore[arg-type]
        self._material = material
        self._answered = threading.Semaphore(0)
        self._closed = 0
        self.pipeline: Pipeline | None = None

    def open(self) -> None:
        self._inner.open()
        self.info = self._inner.info
        self._begun = self._clock.now_ns()
        self._events = self._play()
        self._next = next(self._events)

    def read(self, timeout_s: float) -> Item | None:
        """The next item; when there is none and every segment closed so far is answered, time goes on."""
        item = self._inner.read(0.0)
        if item is not None:
            return item
        assert self.pipeline is not None
        closed = self.pipeline._cutter.closed_to_ns // NS_PER_S
        while self._closed < closed:
            if not self._answered.acquire(timeout=300):
                raise TimeoutError(f"no answer to second {self._closed} within 300 s")
            self._closed += 1
        t_ns, event = self._next
        self._clock.skip_to(t_ns)
        if isinstance(event, VideoFrame):
            self._inner.take_frame(event)
        else:
            self._inner.take_block(event)
        self._next = next(self._events)
        return self._inner.read(0.0)

    def _play(self) -> Iterator[tuple[int, VideoFrame | AudioBlock]]:
        """(instant of arrival, what arrives), in order, for ever."""
        late = np.random.default_rng(0)
        picture = sample = 0
        block_ns = round(_BLOCK / SAMPLE_RATE * NS_PER_S * (1 + PPM * 1e-6))
        for clip in itertools.cycle(self._material):
            for first in range(0, len(clip.sound), _BLOCK):
                end_ns = self._begun + (sample // _BLOCK + 1) * block_ns
                while (t_ns := self._begun + picture * NS_PER_S // self._fps) < end_ns:
                    if (picture // self._fps) % 60 < 60 * self._seen:
                        yield t_ns, VideoFrame(t_ns, clip.pictures[picture % len(clip.pictures)])
                    picture += 1
                arrival = end_ns + round(late.uniform(0, JITTER_MS) * 1e6)
                yield arrival, AudioBlock(arrival, sample, SAMPLE_RATE, clip.sound[first : first + _BLOCK])
                sample += _BLOCK

    def stream_now_ns(self) -> int | None:
        return self._inner.stream_now_ns()

    @property
    def skew_ms(self) -> float | None:
        return self._inner.skew_ms

    @property
    def drift_ppm(self) -> float | None:
        return self._inner.drift_ppm

    @property
    def dropped(self) -> int:
        return self._inner.dropped

    def close(self) -> None:
        self._inner.close()

    def answer(self) -> None:
        """The newest second was answered."""
        self._answered.release()


@dataclass
class Watch:
    """A sink that measures at every answer."""

    source: Simulated
    latency_ms: list[tuple[float, float]] = field(default_factory=list)
    """(stream second, latency) of the seconds that were seen."""
    samples: list[tuple[float, float, int, int]] = field(default_factory=list)
    """(stream second, resident MB, descriptors, threads), once a stream minute."""
    worst_skew_ms: float = 0.0
    deaf: int = 0
    skipped: int = 0
    ended: StreamEnd | None = None

    def start(self, start: StreamStart) -> None: ...
    def status(self, status: Status) -> None: ...
    def close(self) -> None: ...

    def end(self, end: StreamEnd) -> None:
        self.ended = end

    def hop(self, record: HopRecord) -> None:
        second = record.segment.end_ns / NS_PER_S
        if record.segment.video:
            self.latency_ms.append((second, record.latency_ms))
        if second > 60:
            self.worst_skew_ms = max(self.worst_skew_ms, abs(record.skew_ms or 0.0))
            self.deaf += not record.segment.sound or record.segment.audio_dropped > 0
        if record.segment.index % 60 == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            resident = pages * os.sysconf("SC_PAGESIZE") / 1e6
            descriptors = len(os.listdir("/proc/self/fd"))
            self.samples.append((second, resident, descriptors, threading.active_count()))
            if record.segment.index % 3600 == 0:
                print(
                    f"{second / 3600:5.1f} h  {resident:6.1f} MB  {descriptors} descriptors  "
                    f"{threading.active_count()} threads",
                    flush=True,
                )
        for _ in range(record.skipped - self.skipped + 1):
            self.source.answer()
        self.skipped = record.skipped


def run(
    engine: Engine, clock: WorkClock, material: list[Material], seconds: float, *, frames: int, seen: float
) -> Watch:
    """Stream for so long; what was measured on the way."""
    source = Simulated(clock, material, frames, seen)
    watch = Watch(source)
    reports = Reports()
    with tempfile.TemporaryDirectory() as folder:
        logs = LogOptions(
            jsonl=Path(folder) / "log.jsonl", csv=Path(folder) / "events.csv", rotate_mb=1, keep_files=3
        )
        sinks: list[Sink] = [*log_sinks(logs, reports, live=True), watch]
        source.open()
        pipeline = Pipeline(
            source,
            engine,
            Decoder(DecoderConfig(num_classes=len(engine.info.labels))),
            sinks,
            clock,
            PipelineOptions(frames=frames, duration_s=seconds),
            reports=reports,
        )
        source.pipeline = pipeline
        info = engine.info
        try:
            pipeline.run(
                StreamStart("soak", info.profile, info.backend, info.precision, source.info, info.labels, 1.0)
            )
        finally:
            for sink in sinks:
                sink.close()
    return watch


def verdict(watch: Watch) -> list[tuple[str, str, bool]]:
    """(what, figure, within its bound) for everything that is bounded."""
    end = watch.ended
    assert end is not None
    table = np.array([s for s in watch.samples if s[0] >= min(_SETTLED_S, end.seconds / 3)])
    hours = table[:, 0] / 3600
    slope = float(np.polyfit(hours, table[:, 1], 1)[0]) if len(table) > 2 else 0.0
    span = min(3600.0, end.seconds / 3)
    second, latency = np.array(watch.latency_ms).T
    first = float(np.percentile(latency[second < span], 99))
    last = float(np.percentile(latency[second > end.seconds - span], 99))
    fds, threads = (int(table[-1, k] - table[0, k]) for k in (2, 3))
    return [
        ("memory", f"{slope:+.2f} MB/h ({table[0, 1]:.0f} → {table[-1, 1]:.0f} MB)", slope <= 1.0),
        ("descriptors", f"{fds:+d} ({int(table[-1, 2])})", fds <= 0),
        ("threads", f"{threads:+d} ({int(table[-1, 3])})", threads <= 0),
        ("latency p99", f"{first:.1f} → {last:.1f} ms", last <= max(1.1 * first, first + 2)),
        ("skew, worst", f"{watch.worst_skew_ms:.1f} ms", watch.worst_skew_ms < 20),
        ("answers skipped", str(end.skipped), end.skipped == 0),
        ("items dropped", str(end.dropped), end.dropped == 0),
        ("seconds unheard", str(watch.deaf), watch.deaf == 0),
        ("answers", f"{end.hops} in {end.seconds:.0f} s", abs(end.hops - end.seconds) <= 1),
    ]


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
    watch = run(engine, clock, material, seconds, frames=given.frames, seen=given.seen)
    engine.close()
    spent = f"{time.monotonic() - began:.0f} s, {time.process_time():.0f} s of processor time"
    print(f"{seconds / 3600:g} stream-hours in {spent}; {given.frames} pictures a second, one thread")
    rows = verdict(watch)
    for what, figure, good in rows:
        print(f"{'ok  ' if good else 'MISS'}  {what:<16} {figure}")
    sys.exit(0 if all(good for *_, good in rows) else 1)


if __name__ == "__main__":
    main()
