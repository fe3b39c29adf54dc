"""`import avel_live`: what people build on, used from outside the package as they would."""

from __future__ import annotations

import ast
import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import avel_live
import numpy as np
import pytest
from support.media import make_clip
from support.mjpeg import MjpegServer
from support.pulse import Beeper, PulseServer
from support.rtsp import RtspServer

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "realtime" / "data" / "demo.mp4"


@pytest.fixture(scope="module")
def engine() -> Iterator[avel_live.Engine]:
    made = avel_live.load_engine(backend="torch", precision="fp32", threads=1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(
        tmp_path_factory.mktemp("media") / "clip.mkv", seconds=12.0, fps=16, size=(224, 224), rate=16_000
    )


# The surface -------------------------------------------------------------------------------------------


def test_the_names_are_sorted_complete_and_there() -> None:
    assert avel_live.__all__ == sorted(avel_live.__all__)
    assert dir(avel_live) == avel_live.__all__
    for name in avel_live.__all__:
        assert getattr(avel_live, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        _ = avel_live.opne


def test_what_types_see_is_what_there_is() -> None:
    tree = ast.parse((ROOT / "realtime" / "api" / "__init__.py").read_text())
    typed = {a.asname for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names if a.asname}
    assert typed == set(avel_live.__all__) - {"__version__"}
    said = avel_live.__doc__ or ""
    assert not [name for name in ("open", "Localizer", "Sink", "Source", "aevents") if name not in said]


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sys, avel_live; print([m for m in ('torch', 'cv2', 'av', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_errors_are_the_builtins_they_resemble() -> None:
    children = {avel_live.UsageError: ValueError, avel_live.SourceError: OSError}
    children |= {avel_live.OutputError: OSError, avel_live.BackendError: RuntimeError}
    for error, builtin in {**children, avel_live.ModelFileError: ValueError}.items():
        assert issubclass(error, avel_live.AvelError)
        assert issubclass(error, builtin)


# The six lines -----------------------------------------------------------------------------------------


def test_the_six_lines_on_the_demo(engine: avel_live.Engine) -> None:
    ended = []
    with avel_live.open("demo", engine=engine) as stream:
        for event in stream.events():
            if event.kind == "end":
                ended.append((event.name, event.start_s, event.end_s))  # noqa: PERF401 - as in the README
    assert ended == [("Bark", 3.0, 9.0), ("Clock", 14.0, 20.0)]
    with avel_live.open(DEMO, engine=engine) as again:
        assert [(e.name, e.start_s, e.end_s) for e in again.events(final=True)] == ended


def test_a_recording_at_once(engine: avel_live.Engine) -> None:
    done: list[float] = []
    found = avel_live.localize(DEMO, engine=engine, progress=done.append)
    assert [(e.label, e.start_s, e.end_s) for e in found.events] == [("Bark", 3, 9), ("Clock", 14, 20)]
    assert done == sorted(done)
    assert done[-1] == 24.0


def first_hops(stream: avel_live.Stream, count: int) -> list[avel_live.Hop]:
    hops = []
    with stream:
        for hop in stream:
            hops.append(hop)
            if len(hops) == count:
                stream.stop()
    return hops


def test_a_network_camera_beside_a_microphone(pulse: PulseServer, engine: avel_live.Engine) -> None:
    assert avel_live.microphones()
    with MjpegServer() as camera, Beeper(pulse):
        hops = first_hops(avel_live.open(f"camera:{camera.url}", engine=engine), 4)
    assert [hop.segment.index for hop in hops[:4]] == [0, 1, 2, 3]
    assert all(hop.segment.video and hop.segment.sound for hop in hops[1:])
    assert not [
        t.name for t in threading.enumerate() if t.name.startswith(("camera", "microphone", "reader"))
    ]


def test_a_network_stream(engine: avel_live.Engine) -> None:
    with RtspServer() as server:
        stream = avel_live.open(server.url, engine=engine)
        assert stream.start.source.live
        hops = first_hops(stream, 4)
    assert all(hop.segment.video and hop.segment.sound for hop in hops[1:])


# A stream ----------------------------------------------------------------------------------------------


def test_iterating_equals_json(clip: Path) -> None:
    """The hops, seconds and events of the library are those that the program writes."""
    timing = ("latency_ms", "skipped", "dropped")
    code = "from avel_live.realtime.commands import live_main; live_main()"
    command = [sys.executable, "-c", code, "--file", str(clip), "--fast", "--json", "--backend", "torch"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    written = [json.loads(line) for line in done.stdout.splitlines()]
    from avel_live.realtime.sinks.records import end_records, hop_records

    with avel_live.open(clip, backend="torch") as stream:
        hops = list(stream)
        assert stream.end is not None
        ours = [r for hop in hops for r in hop_records(hop, stream.start.labels)]
        ours += end_records(stream.end, stream.start.labels)
    theirs = [r for r in written if r["type"] not in ("start", "status")]
    for record in (*ours, *theirs):
        for name in (*timing, "real_time_factor"):
            record.pop(name, None)
    assert json.loads(json.dumps(ours)) == theirs


def test_every_second_is_settled_once(clip: Path, engine: avel_live.Engine) -> None:
    with avel_live.open(clip, engine=engine) as stream:
        seconds = list(stream.seconds())
    assert [s.index for s in seconds] == list(range(12))
    assert all(s.name == stream.start.labels[s.label] for s in seconds)


def test_a_stream_is_read_once_and_closes_early(clip: Path, engine: avel_live.Engine) -> None:
    closed = threading.Event()

    class Watched(avel_live.Source):
        """Delivers pictures for ever, until it is closed."""

        info = avel_live.SourceInfo("watched", "file", video="made up")

        def open(self) -> None:
            self._n = 0

        def read(self, timeout_s: float) -> avel_live.TimedFrame:
            self._n += 1
            return avel_live.timed_frame(self._n * 62_500_000, np.full((8, 8, 3), self._n % 251, np.uint8))

        def close(self) -> None:
            closed.set()

    stream = avel_live.open(Watched(), engine=engine)
    with stream:
        for hop in stream:
            if hop.hop == 2:
                break
    assert closed.is_set()
    assert not [t for t in threading.enumerate() if t.name == "reader"]
    with pytest.raises(avel_live.UsageError, match="read once"):
        next(iter(stream))


def test_stop_from_another_thread(engine: avel_live.Engine) -> None:
    with avel_live.open("demo", engine=engine, speed=1.0) as stream:
        threading.Timer(1.5, stream.stop).start()
        hops = list(stream)
        assert stream.end is not None
        assert stream.end.reason == "stopped"
        assert len(hops) < 24


def test_asyncio(engine: avel_live.Engine) -> None:
    async def listen() -> tuple[list[str], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        with avel_live.open("demo", engine=engine) as stream:
            names = [event.name async for event in stream.aevents(final=True)]
        ticking.cancel()
        return names, ticks

    names, ticks = asyncio.run(listen())
    assert names == ["Bark", "Clock"]
    assert ticks > 10, "the event loop went on while the networks computed"


def test_asyncio_can_be_cancelled(engine: avel_live.Engine) -> None:
    async def listen() -> None:
        with avel_live.open("demo", engine=engine, speed=1.0) as stream:
            async for _ in stream.aevents(final=True):
                raise AssertionError("the demo's first event ends after nine seconds")

    async def impatient() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(listen(), 1.0)

    asyncio.run(impatient())
    assert not [t for t in threading.enumerate() if t.name == "reader"]


def test_a_configuration_as_a_mapping_and_as_a_file(tmp_path: Path) -> None:
    settings = {"demo": True, "fast": True, "duration_s": 3, "backend": "torch", "clips": {"pre_s": 1}}
    with avel_live.from_config(settings) as stream:
        assert len(list(stream)) == 3
    (tmp_path / "mine.toml").write_text('demo = true\nfast = true\nduration_s = 2\nbackend = "torch"\n')
    with avel_live.from_config(tmp_path / "mine.toml") as stream:
        assert len(list(stream)) == 2
    with pytest.raises(avel_live.UsageError, match="did you mean speed"):
        avel_live.from_config({"sped": 2})


def test_what_can_not_be_opened_is_said() -> None:
    with pytest.raises(avel_live.SourceError, match="no such file"):
        avel_live.open("nowhere.mp4")
    with pytest.raises(avel_live.UsageError, match="hop_s"):
        avel_live.open("demo", hop_s=0.3)


# Things of one's own -----------------------------------------------------------------------------------


def test_a_sink_from_outside(clip: Path, engine: avel_live.Engine) -> None:
    class Counter(avel_live.Sink):
        """Overrides what it wants to hear of."""

        def __init__(self) -> None:
            self.hops = self.samples = 0
            self.reason = ""

        def hop(self, record: avel_live.Hop) -> None:
            self.hops += 1

        def media(self, item: avel_live.TimedFrame | avel_live.TimedAudio) -> None:
            self.samples += len(item.samples) if isinstance(item, avel_live.TimedAudio) else 0

        def end(self, end: avel_live.StreamEnd) -> None:
            self.reason = end.reason

    counter = Counter()
    with avel_live.open(clip, engine=engine) as stream:
        end = stream.run(counter, avel_live.Sink())
    assert (counter.hops, counter.samples, counter.reason) == (12, 12 * 16_000, "end of file")
    assert end.hops == 12


def test_what_a_sink_raises_reaches_the_caller(clip: Path, engine: avel_live.Engine) -> None:
    class Broken(avel_live.Sink):
        def hop(self, record: avel_live.Hop) -> None:
            raise KeyError("mine")

    stream = avel_live.open(clip, engine=engine)
    with pytest.raises(KeyError, match="mine"):
        stream.run(Broken())
    assert not [t for t in threading.enumerate() if t.name == "reader"]


class Beat(avel_live.Source):
    """A source in twenty lines: noise and grey pictures, for three seconds."""

    def __init__(self) -> None:
        self.info = avel_live.SourceInfo("beat", "beat", video="grey", audio="noise")
        frames = [avel_live.timed_frame(k * 62_500_000, np.full((9, 16, 3), k, np.uint8)) for k in range(48)]
        noise = np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32)
        blocks = [avel_live.TimedAudio(p, noise[p : p + 1000]) for p in range(0, 48_000, 1000)]
        self._items: list[object] = [item for pair in zip(frames, blocks, strict=True) for item in pair]
        self._items.append(avel_live.EndOfStream(3_000_000_000, "end of beat"))

    def open(self) -> None: ...

    def read(self, timeout_s: float) -> object:
        return self._items.pop(0) if len(self._items) > 1 else self._items[0]

    def close(self) -> None: ...


def test_a_source_from_outside(engine: avel_live.Engine) -> None:
    with avel_live.open(Beat(), engine=engine) as stream:
        assert [hop.segment.video and hop.segment.sound for hop in stream] == [True] * 3
    with avel_live.open(lambda clock: Beat(), engine=engine) as stream:
        assert len(list(stream)) == 3


def test_a_source_by_its_scheme(engine: avel_live.Engine) -> None:
    """One line of registration, and addresses of that kind are opened everywhere."""
    avel_live.register_source("beat", lambda config, clock: Beat())
    with avel_live.open("beat://loud", engine=engine) as stream:
        assert stream.start.source.name == "beat"
        assert len(list(stream)) == 3
    with pytest.raises(ValueError, match="registered already"):
        avel_live.register_source("beat", lambda config, clock: Beat())
    with pytest.raises(ValueError, match="letters"):
        avel_live.register_source("be at", lambda config, clock: Beat())


# Pushing -----------------------------------------------------------------------------------------------


class Taken(avel_live.Sink):
    """Keeps what arrived, as somebody's own capture would have it."""

    def __init__(self) -> None:
        self.frames: list[avel_live.TimedFrame] = []
        self.sound = np.zeros(0, np.float32)
        self.hops: list[avel_live.Hop] = []

    def media(self, item: avel_live.TimedFrame | avel_live.TimedAudio) -> None:
        if isinstance(item, avel_live.TimedFrame):
            self.frames.append(item)
        else:
            self.sound = np.concatenate((self.sound, item.samples))

    def hop(self, record: avel_live.Hop) -> None:
        self.hops.append(record)


def test_pushing_equals_the_stream_bit_for_bit(clip: Path, engine: avel_live.Engine) -> None:
    taken = Taken()
    with avel_live.open(clip, engine=engine) as stream:
        end = stream.run(taken)
    localizer = avel_live.Localizer(engine)
    events = []
    for hop in taken.hops:
        second = hop.segment.index
        frames = [f for f in taken.frames if f.t_ns // 1_000_000_000 == second]
        pushed = localizer.push(
            [f.image for f in frames],
            taken.sound[second * 16_000 : (second + 1) * 16_000],
            times_s=[f.t_ns / 1e9 - second for f in frames],
        )
        np.testing.assert_array_equal(pushed.scores.logits, hop.scores.logits)
        np.testing.assert_array_equal(pushed.scores.attention, hop.scores.attention)
        np.testing.assert_array_equal(pushed.segment.frame_weights, hop.segment.frame_weights)
        assert (pushed.label, pushed.confidence) == (hop.label, hop.confidence)
        assert pushed.events == hop.events
        assert [s.index for s in pushed.settled] == [s.index for s in hop.settled]
        events += pushed.events
    assert tuple(localizer.finish()) == end.last_events
    assert [s.index for s in localizer.last_settled] == [s.index for s in end.last_settled]
    assert localizer.labels == stream.start.labels


def test_any_size_rate_and_channels_may_be_pushed(engine: avel_live.Engine) -> None:
    localizer = avel_live.Localizer(engine)
    make = np.random.default_rng(0)
    tone = np.sin(2 * np.pi * 440 * np.arange(3 * 48_000) / 48_000).astype(np.float32)
    for second in range(3):
        part = tone[second * 48_000 : (second + 1) * 48_000]
        frames = make.integers(0, 256, (25, 72, 128, 3), np.uint8)
        hop = localizer.push(frames, np.stack([part, part], axis=1), rate=48_000)
        assert len(hop.segment.frames) == 4
        assert hop.segment.sound
        expected = np.sin(2 * np.pi * 440 * (second + np.arange(15_600) / 16_000))
        np.testing.assert_allclose(hop.segment.audio[:15_600], expected, atol=0.02)
    blind = localizer.push(None, (tone[:16_000] * 32767).astype(np.int16), rate=16_000)
    assert (blind.segment.video, blind.segment.sound) == (False, True)
    localizer.skip(2)
    deaf = localizer.push(frames[:3], None)
    assert (deaf.segment.index, deaf.segment.video, deaf.segment.sound) == (6, True, False)
    assert deaf.scores.valid.tolist() == [True] * 4 + [False] * 2 + [True]


@pytest.mark.parametrize(
    ("frames", "audio", "more", "words"),
    [
        (np.zeros((2, 8, 8), np.uint8), None, {}, r"\[H, W, 3\] uint8 RGB"),
        (np.zeros((2, 8, 8, 3), np.float32), None, {}, "got float32"),
        (None, np.zeros(16_001, np.float32), {}, "at most 16000 samples"),
        (None, np.zeros((3, 4, 5), np.float32), {}, r"\[n, channels\]"),
        (None, np.zeros(9, np.float32), {"rate": 10}, "1000 or more"),
        (np.zeros((2, 8, 8, 3), np.uint8), None, {"times_s": [0.5, 0.2]}, "rising instants"),
        (np.zeros((2, 8, 8, 3), np.uint8), None, {"times_s": [0.5]}, "2 rising instants"),
    ],
)
def test_what_can_not_be_pushed_is_said(
    engine: avel_live.Engine, frames: object, audio: object, more: dict[str, object], words: str
) -> None:
    localizer = avel_live.Localizer(engine)
    with pytest.raises(avel_live.UsageError, match=words):
        localizer.push(frames, audio, **more)  # type: ignore[arg-type]
    localizer.finish()
    with pytest.raises(avel_live.UsageError, match="finished"):
        localizer.push(None, None)
