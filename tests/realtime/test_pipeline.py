"""The loop: what comes out does not depend on speed; a recording loses nothing; a live stream never lags."""

from __future__ import annotations

import io
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from avel_live.model.runtime.base import Engine, EngineOptions
from avel_live.model.runtime.select import load_engine
from avel_live.realtime.core.clock import NS_PER_S, ManualClock
from avel_live.realtime.core.errors import SourceError
from avel_live.realtime.core.messages import (
    ClosedSegment,
    EndOfStream,
    Hop,
    Segment,
    Status,
    TimedAudio,
    TimedFrame,
)
from avel_live.realtime.events import Decoder
from avel_live.realtime.sinks.stdout import JsonLines
from avel_live.realtime.sources.replay import Replay, ReplayOptions
from avel_live.realtime.stream.cutter import Cutter
from avel_live.realtime.stream.features import segment_features
from avel_live.realtime.stream.loop import Stream, StreamOptions
from avel_live.realtime.stream.queue import StatusQueue
from avel_live.realtime.stream.window import Window, softmax
from support.loop import Collector, ScriptedSource, ToyEngine, a_start, steady
from support.media import make_clip

TIMING = ("latency_ms", "real_time_factor", "skipped", "dropped", "wall_clock")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return load_engine(EngineOptions(backend="torch", precision="fp32", threads=1))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12.6 s: more than a window, and a remainder."""
    path = tmp_path_factory.mktemp("media") / "clip.mkv"
    return make_clip(path, seconds=12.6, fps=2, size=(96, 72), rate=16_000, channels="mono")


def replay(path: Path, speed: float | None) -> Replay:
    source = Replay(path, ManualClock(), ReplayOptions(speed=speed))
    source.open()
    return source


def play(source: object, engine: object, **options: object) -> Collector:
    sink = Collector()
    run(source, engine, [sink], **options)
    return sink


def run(source: object, engine: object, sinks: list[object], **options: object) -> None:
    o = StreamOptions(**options)  # type: ignore[arg-type]
    Stream(source, engine, Decoder(), a_start(source, o.hop_s), ManualClock(), o).run(*sinks)  # type: ignore[arg-type]


def segments_of(path: Path) -> list[Segment]:
    """Offline: cut the whole recording first."""
    source = replay(path, None)
    cutter = Cutter(live=False)
    out = []
    while True:
        item = source.read(1)
        if isinstance(item, EndOfStream):
            out += cutter.finish(item.t_ns)
            source.close()
            return [cut.segment for cut in out if isinstance(cut, ClosedSegment)]
        if isinstance(item, TimedFrame | TimedAudio):
            out += cutter.push(item)


class Stopper(Collector):
    """Stops the stream when its source has said all, and nothing is left to be taken."""

    def __init__(self, exhausted: threading.Event) -> None:
        super().__init__()
        self.exhausted = exhausted
        self.stop = lambda: None
        self.watch = threading.Thread(target=self._watch, daemon=True)

    def start(self, start: object) -> None:
        super().start(start)  # type: ignore[arg-type]
        self.watch.start()

    def _watch(self) -> None:
        assert self.exhausted.wait(60)
        seen = -1
        while seen != (seen := len(self.hops)):
            time.sleep(0.7)
        self.stop()


# Recordings ---------------------------------------------------------------------------------------


def test_three_speeds_write_the_same_records(clip: Path, engine: Engine) -> None:
    written = []
    for speed in (None, 4.0, 1.0):
        out = io.StringIO()
        run(replay(clip, speed), engine, [JsonLines(out)])
        records = [json.loads(line) for line in out.getvalue().splitlines()]
        for record in records:
            for name in TIMING:
                record.pop(name, None)
        written.append(records)
    assert written[0] == written[1] == written[2]
    kinds = [r["type"] for r in written[0]]
    assert kinds.count("hop") == kinds.count("segment") == 13
    assert kinds[0] == "start"
    assert kinds[-1] == "end"
    assert [r["index"] for r in written[0] if r["type"] == "segment"] == list(range(13))
    last = [r for r in written[0] if r["type"] == "hop"][-1]["segment"]
    assert last["partial"]
    assert last["end_s"] == pytest.approx(12.6, abs=0.05)


def test_streaming_equals_offline(clip: Path, engine: Engine) -> None:
    """The window that ends at second 10 is what one offline call over ten segments gives."""
    hops = play(replay(clip, None), engine).hops
    features = [segment_features(engine, segment) for segment in segments_of(clip)[:10]]
    logits, attention = engine.head(
        np.stack([f.visual for f in features]),
        np.stack([f.audio for f in features]),
        np.ones(10, bool),
        np.ones(10, bool),
    )
    assert hops[9].scores.first_index == 0
    np.testing.assert_allclose(hops[9].scores.logits, logits, atol=1e-5)
    np.testing.assert_allclose(hops[9].scores.attention, attention, atol=1e-5)
    np.testing.assert_allclose(hops[9].scores.probabilities.sum(axis=1), 1, atol=1e-5)
    assert hops[12].scores.first_index == 3
    assert len(hops[12].scores.logits) == 10


def test_a_masked_window_equals_the_shorter_one(clip: Path, engine: Engine) -> None:
    features = [segment_features(engine, segment) for segment in segments_of(clip)[:3]]
    whole, short = Window(engine), Window(engine)
    from avel_live.realtime.stream.features import missing

    for index in range(7):
        whole.push(missing(index, engine.profile))
    for k, one in enumerate(features):
        whole.push(type(one)(7 + k, one.visual, one.audio, True, True))
        short.push(one)
    a, b = whole.look(0), short.look(0)
    assert a.valid.tolist() == [False] * 7 + [True] * 3
    np.testing.assert_allclose(a.logits[7:], b.logits, atol=1e-4)


def test_features_are_computed_once_and_start_before_the_second_ends() -> None:
    engine = ToyEngine()
    source = ScriptedSource(steady(12.0), live=False, end=EndOfStream(12 * NS_PER_S))
    sink = play(source, engine, frames_per_segment=16, by_change=False)
    assert len(sink.hops) == 12
    assert engine.visual_calls == [4] * 4 * 12
    assert engine.audio_calls == 12
    assert engine.head_calls == [*range(1, 10), 10, 10, 10]


def test_recordings_wait_for_a_slow_machine() -> None:
    gate = threading.Event()
    source = ScriptedSource(steady(30.0), live=False, end=EndOfStream(30 * NS_PER_S))
    threading.Timer(0.3, gate.set).start()
    sink = play(source, ToyEngine(gate))
    assert [r.segment.index for r in sink.hops] == list(range(30))
    assert sink.ends[0].skipped == 0


@pytest.mark.parametrize(
    ("hop_s", "starts"),
    [
        (0.5, [0, 0.5, 1, 1.5, 2, 2.5, 3]),
        (2, [0, 2, 3]),
        (3, [0, 3]),
        (10, [0, 3]),
    ],
)
def test_other_hops(hop_s: float, starts: list[float]) -> None:
    source = ScriptedSource(steady(4.0), live=False, end=EndOfStream(4 * NS_PER_S))
    sink = play(source, ToyEngine(), hop_s=hop_s)
    assert [r.segment.start_ns / NS_PER_S for r in sink.hops] == starts
    assert [r.hop for r in sink.hops] == list(range(len(starts)))
    settled = [s for r in sink.hops for s in r.settled] + list(sink.ends[0].last_settled)
    assert [s.index for s in settled] == [0, 1, 2, 3]
    # Every second of the whole-second windows is in the ring, looked at or not.
    assert max(len(r.scores.logits) for r in sink.hops) == 4


# Live streams -------------------------------------------------------------------------------------


def test_a_late_machine_skips_and_says_so() -> None:
    gate = threading.Event()
    engine = ToyEngine(gate)
    source = ScriptedSource(steady(8.0), live=True, end=EndOfStream(8 * NS_PER_S), hold=[(0.5, engine.begun)])
    threading.Thread(target=lambda: (source.exhausted.wait(60), gate.set()), daemon=True).start()
    sink = play(source, engine, frames_per_segment=16)
    # The other seconds came while the networks were busy with the first: it and the newest are answered.
    assert [r.segment.index for r in sink.hops] == [0, 7]
    assert sink.ends[0].skipped == 6
    valid = sink.hops[-1].scores.valid
    assert valid[-1]
    assert valid.sum() == 2
    assert ("machine", "late") in [(s.device, s.state) for s in sink.statuses]
    assert [s.index for s in sink.ends[0].last_settled][-1] == 7


def test_a_live_stream_ends_after_its_duration() -> None:
    sink = play(ScriptedSource(steady(5.0), live=True), ToyEngine(), duration_s=3.0)
    assert [r.segment.index for r in sink.hops][-1] == 2
    assert sink.ends[0].seconds == 3.0
    assert sink.ends[0].reason == "end of --duration"


def test_a_lost_source_ends_the_stream_properly_and_then_raises() -> None:
    sink = Collector()
    source = ScriptedSource(steady(3.0), live=True, end=EndOfStream(3 * NS_PER_S, "gone", lost=True))
    with pytest.raises(SourceError, match="script: gone"):
        run(source, ToyEngine(), [sink])
    assert len(sink.ends) == 1
    assert source.closed.is_set()


# Owner --------------------------------------------------------------------------------------------


def test_what_the_reader_raises_is_raised_by_its_owner() -> None:
    source = ScriptedSource(steady(1.0), live=False, fail=SourceError("torn"))
    sink = Collector()
    with pytest.raises(SourceError, match="torn"):
        run(source, ToyEngine(), [sink])
    assert source.closed.is_set()
    assert not sink.ends
    assert not [t for t in threading.enumerate() if t.name == "reader"]


def test_stop_ends_at_once_and_flushes() -> None:
    source = ScriptedSource(steady(2.0), live=False)
    sink = Collector()
    stream = Stream(source, ToyEngine(), Decoder(), a_start(source), ManualClock())  # type: ignore[arg-type]
    threading.Thread(target=lambda: (source.exhausted.wait(60), stream.stop()), daemon=True).start()
    end = stream.run(sink)
    assert end.reason == "stopped"
    assert sink.calls[0] == "start"
    assert sink.calls[-1] == "end"
    assert not [t for t in threading.enumerate() if t.name == "reader"]


def test_sinks_hear_the_source_and_each_other() -> None:
    reports = StatusQueue()
    reports("mqtt", "lost", "no route")
    source = ScriptedSource(
        [Status("camera", "stalled", "no picture", 0), *steady(1.0)], live=False, end=EndOfStream(NS_PER_S)
    )
    sink = Collector()
    Stream(source, ToyEngine(), Decoder(), a_start(source), ManualClock(), reports=reports).run(sink)  # type: ignore[arg-type]
    assert {s.device for s in sink.statuses} == {"camera", "mqtt"}


def test_media_sinks_get_every_item() -> None:
    class Recorder(Collector):
        def __init__(self) -> None:
            super().__init__()
            self.items: list[object] = []

        def media(self, item: object) -> None:
            self.items.append(item)

    sink, items = Recorder(), steady(2.0)
    run(ScriptedSource(items, live=False, end=EndOfStream(2 * NS_PER_S)), ToyEngine(), [sink])
    assert len(sink.items) == len(items)


def test_softmax_is_one_over_classes() -> None:
    logits = np.random.default_rng(0).normal(0, 50, (10, 29)).astype(np.float32)
    p = softmax(logits)
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    assert (p.argmax(1) == logits.argmax(1)).all()


def test_a_replay_that_falls_behind_its_speed_says_so_and_loses_nothing() -> None:
    class Late(ScriptedSource):
        """Plays further and further behind, and catches up at the end."""

        def read(self, timeout_s: float) -> object:
            item = super().read(timeout_s)
            if isinstance(item, TimedFrame):
                second = item.t_ns // NS_PER_S
                self.behind_ns = second * 600_000_000 if second < 10 else 0
            return item

    source = Late(steady(13.0), live=False, end=EndOfStream(13 * NS_PER_S))
    sink = play(source, ToyEngine(), frames_per_segment=16)
    assert [r.segment.index for r in sink.hops] == list(range(13))
    assert [(s.state, s.severity) for s in sink.statuses][-1] == ("running", "info")
    late = [s.reason for s in sink.statuses if s.state == "late"]
    assert 2 <= len(late) <= 3  # once, and at every doubling
    assert "--fast" in late[0]
    assert "--frames" in late[0]


def test_a_recording_in_real_time_knows_how_far_behind_it_is(clip: Path) -> None:
    clock = ManualClock()
    source = Replay(clip, clock, ReplayOptions(speed=1.0))
    source.open()
    assert source.read(1.0) is not None
    assert source.behind_ns == 0
    clock.advance(5.0)  # the reader was busy elsewhere
    assert source.read(1.0) is not None
    assert source.behind_ns > 4 * NS_PER_S
    source.close()


@pytest.mark.parametrize("live", [True, False])
def test_long_hops_look_at_the_last_seconds_when_somebody_stops(live: bool) -> None:
    """As at the end of a file: what was seen and heard since the last answer has one, too."""
    # The present of a live script is as far as it was read: it must not run away.
    answered = {0: threading.Event(), 10: threading.Event()}
    held = list(zip((1.3, 11.3), answered.values(), strict=True)) if live else []
    source = ScriptedSource(steady(16.2), live=live, hold=held)
    sink = Stopper(source.exhausted)
    tell = sink.hop

    def hop(record: Hop) -> None:
        tell(record)
        if record.segment.index in answered:
            answered[record.segment.index].set()

    sink.hop = hop  # type: ignore[method-assign]
    stream = Stream(
        source, ToyEngine(), Decoder(), a_start(source, 10.0), ManualClock(), StreamOptions(hop_s=10.0)
    )
    sink.stop = stream.stop
    stream.run(sink)
    assert [hop.segment.index for hop in sink.hops] == [0, 10, 15]
    (end,) = sink.ends
    settled = [s.index for hop in sink.hops for s in hop.settled] + [s.index for s in end.last_settled]
    assert settled == list(range(16))
    assert end.reason == "stopped"
