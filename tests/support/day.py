"""A day of a live stream in minutes, with everything that an unattended box meets; nothing sleeps.

Networks are a toy's; the loop, the decoder, outputs, broker, files, reload and rotation are the real ones.
"""

from __future__ import annotations

import json
import os
import resource
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from avel_live.realtime.commands.live.service import Service
from avel_live.realtime.config.load import load_config
from avel_live.realtime.core.clock import NS_PER_S, ManualClock
from avel_live.realtime.core.messages import Hop, SourceInfo, Status, StreamEnd, TimedAudio, TimedFrame
from avel_live.realtime.events import Decoder, DecoderConfig
from avel_live.realtime.session.open import decoder_config
from avel_live.realtime.session.outputs import make_outputs
from avel_live.realtime.session.reload import Reloader
from avel_live.realtime.sinks.base import Sink
from avel_live.realtime.sinks.metrics import MetricsSink
from avel_live.realtime.sinks.mqtt.sink import MqttSink
from avel_live.realtime.sinks.switchboard import Switchboard
from avel_live.realtime.sinks.thread import SinkThread
from avel_live.realtime.sources.base import Source
from avel_live.realtime.stream.loop import Stream, StreamOptions
from avel_live.realtime.stream.queue import StatusQueue

from support.loop import ToyEngine, a_start
from support.peers import Mosquitto

HOUR_S = 3600
WALL_S = 1_800_000_000.0
_RATE = 16_000


class WallTime:
    """Stands in for `time` in `realtime.core.clock`: the time of day is the stream's, plus steps."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.step_s = 0.0

    def time(self) -> float:
        return WALL_S + self._clock.now_ns() / NS_PER_S + self.step_s

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class DaySource(Source):
    """A camera of two pictures a second, and a microphone; every minute twenty seconds are loud.

    Args:
        clock: goes on with what is delivered.
        seconds: how long it lasts; then it says nothing more.
        at: called at the beginning of every second, on the reading thread.

    """

    def __init__(self, clock: ManualClock, seconds: int, at: Callable[[int], None]) -> None:
        self.info = SourceInfo("day", "live", "toy", "toy", live=True)
        self._clock, self._seconds, self._at = clock, seconds, at
        self._answered = threading.Semaphore(0)
        self._seen = 0
        self.stream: Stream | None = None
        self._items = self._play()
        self.over = threading.Event()

    def open(self) -> None: ...

    def read(self, timeout_s: float) -> TimedFrame | TimedAudio | None:
        item = next(self._items, None)
        if item is None:
            self.over.wait(timeout_s)
        return item

    def stream_now_ns(self) -> int | None:
        return self._clock.now_ns()

    def answer(self) -> None:
        self._answered.release()

    def close(self) -> None:
        self.over.set()

    def _play(self) -> Iterator[TimedFrame | TimedAudio]:
        picture = np.zeros((224, 224, 3), np.uint8)
        rng = np.random.default_rng(0)
        loud = rng.normal(0, 0.8, _RATE).astype(np.float32)
        quiet = rng.normal(0, 0.001, _RATE).astype(np.float32)
        for second in range(self._seconds):
            self._at(second)
            samples = loud if 10 <= second % 60 < 30 else quiet
            for half in range(2):
                t_ns = second * NS_PER_S + half * NS_PER_S // 2
                self._clock.wait_until(t_ns)
                yield TimedFrame(t_ns, picture)
            yield TimedAudio(second * _RATE, samples)
            assert self.stream is not None
            while self._seen < self.stream.closed_to_ns // NS_PER_S:
                if not self._answered.acquire(timeout=120):
                    raise TimeoutError(f"no answer to second {self._seen} within two minutes")
                self._seen += 1


class DayEngine(ToyEngine):
    """Loud is Bark, and nothing else is anything."""

    def head(self, *given: np.ndarray) -> Any:
        out = super().head(*given)
        out.logits[:] = 0
        loud = given[1].mean(axis=1) * given[3] > 0.1
        out.logits[loud, 2] = 6
        out.logits[~loud, -1] = 6
        return out


class Diary(Sink):
    """What the stream said, apart from every output; and what this process took."""

    def __init__(self, answered: Callable[[], None]) -> None:
        self._answered = answered
        self.hops = self.skipped = 0
        self.events: Counter[tuple[str, int]] = Counter()
        self.statuses: list[Status] = []
        self.end_: StreamEnd | None = None
        self.resident: list[tuple[float, float]] = []

    def hop(self, record: Hop) -> None:
        self.hops += 1
        self.events.update((event.kind, event.id) for event in record.events)
        if record.segment.index % 300 == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            hour = record.segment.index / HOUR_S
            self.resident.append((hour, pages * os.sysconf("SC_PAGESIZE") / 1e6))
        for _ in range(record.skipped - self.skipped + 1):
            self._answered()
        self.skipped = record.skipped

    def status(self, status: Status) -> None:
        self.statuses.append(status)

    def end(self, end: StreamEnd) -> None:
        self.events.update((event.kind, event.id) for event in end.last_events)
        self.end_ = end


@dataclass
class Found:
    """What a day left behind."""

    diary: Diary
    reloads: int = 0
    troubles: list[dict[str, str]] = field(default_factory=list)
    """What `/healthz` had to say, once an hour."""

    def said(self, device: str, state: str) -> list[str]:
        return [s.reason for s in self.diary.statuses if (s.device, s.state) == (device, state)]

    @property
    def growth_mb_per_hour(self) -> float:
        """By least squares, after the first eighth."""
        table = np.array(self.diary.resident)
        settled = table[table[:, 0] >= table[-1, 0] / 8]
        return float(np.polyfit(settled[:, 0], settled[:, 1], 1)[0])


def write_config(path: Path, broker: Mosquitto, folder: Path, hour: int, hour_s: int) -> None:
    """Another threshold every hour, other rotation every second one, another broker session every fourth."""
    megabytes = (0.5 + hour // 2 % 2) * hour_s / HOUR_S
    path.write_text(
        f"enter = {0.5 + hour % 2 / 10}\n"
        f'[log]\njsonl = "{folder}/e.jsonl"\ncsv = "{folder}/e.csv"\nrotate_mb = {megabytes}\n'
        'rotate_days = 0.25\nkeep_files = 1000\nfsync = "never"\n'
        f'[mqtt]\nurl = "mqtt://127.0.0.1:{broker.port}"\nclient_id = "day-{hour // 4}"\n'
        "[metrics]\nport = 0\n"
    )


def play(
    seconds: int, hour_s: int, broker: Mosquitto, folder: Path, set_wall: Callable[[Any], None]
) -> Found:
    """Play a day whose hours have `hour_s` seconds.

    Every hour the configuration is read again; every third the broker is killed and started anew; at 5½ and
    17½ the disk is full for five minutes; at 8½ the clock is set an hour ahead, at 15½ an hour back.

    Args:
        seconds: of the stream.
        hour_s: seconds of an hour, for a shorter day.
        broker: running.
        folder: for logs and the configuration.
        set_wall: puts a `WallTime` in the place of the time of day.

    """
    clock, reports = ManualClock(), StatusQueue()
    wall = WallTime(clock)
    set_wall(wall)
    path = folder / "avel.toml"
    write_config(path, broker, folder, 0, hour_s)
    loaded = load_config({}, path=path, environ={})
    full = resource.getrlimit(resource.RLIMIT_FSIZE)
    spare = min(300, hour_s // 6)

    def at(second: int) -> None:
        hour, rest = divmod(second, hour_s)
        if second and rest == 0:
            found.troubles.append(metrics().troubles())
            sent()
            write_config(path, broker, folder, hour, hour_s)
            service.ask()
        if second == seconds - 6:
            sent()
        if hour % 3 == 2 and rest == hour_s // 4:
            broker.kill()
            broker.start()
        if hour in (5, 17) and rest == hour_s // 2:
            drained()
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, full[1]))
        if hour in (5, 17) and rest == hour_s // 2 + spare:
            drained()
            resource.setrlimit(resource.RLIMIT_FSIZE, full)
        if rest == hour_s // 2:
            wall.step_s += {8: 3600.0, 15: -3600.0}.get(hour, 0.0)

    def drained() -> None:
        """Logs are written by threads of their own, in real time: let them come to this second."""
        files = reloader.outputs["log"]
        assert isinstance(files, Switchboard)
        threads = [output for output in files.outputs if isinstance(output, SinkThread)]
        assert len(threads) == 2
        while any(thread.waiting for thread in threads):
            time.sleep(0.005)

    def sent() -> None:
        """A minute of the stream is a second here, and the broker's is not: let it have what it was sent."""
        link = reloader.outputs["mqtt"]
        assert isinstance(link, MqttSink)
        for _ in range(2):
            time.sleep(0.02)
            deadline = time.monotonic() + 60
            while link.counts.pending and time.monotonic() < deadline:
                time.sleep(0.005)

    def metrics() -> MetricsSink:
        output = reloader.outputs["metrics"]
        assert isinstance(output, MetricsSink)
        return output

    source = DaySource(clock, seconds, at)
    engine = DayEngine()
    diary = Diary(source.answer)
    found = Found(diary)
    outputs = make_outputs(loaded.config, reports, clock)
    board = Switchboard(outputs, reports)
    labels = engine.info.labels
    start = a_start(source)
    object.__setattr__(start, "wall_clock", wall.time())
    stream = Stream(
        source,
        engine,  # type: ignore[arg-type]
        Decoder(DecoderConfig(labels=labels)),
        start,
        clock,
        StreamOptions(duration_s=float(seconds - 4), frames_per_segment=2),
        reports=reports,
        heartbeat=lambda: service.beat(),
        wall_s=wall.time,
    )
    source.stream = stream
    reloader = Reloader(
        loaded, outputs, board, stream.decoder, lambda c: decoder_config(c, labels), reports, clock
    )
    service = Service(clock, reloader, reports)
    try:
        stream.run(diary, board)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, full)
        board.close()
    found.reloads = len(found.said("configuration", "reloaded"))
    for status in reports.take(0):
        diary.statuses.append(status)
    return found


def logged(folder: Path) -> list[dict[str, Any]]:
    """Every record of the log, in the order of its files."""
    closed = sorted(folder.glob("e-*.jsonl"), key=_order)
    return [
        json.loads(line) for path in [*closed, folder / "e.jsonl"] for line in path.read_text().splitlines()
    ]


def _order(path: Path) -> tuple[str, int]:
    stamp, _, number = path.stem.removeprefix("e-").partition("_")
    return stamp, int(number or 0)
