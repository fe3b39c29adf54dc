"""One engine for many streams: nobody waits behind another's backlog, and numbers stay what they are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from avel_live.model.errors import BackendError
from avel_live.model.runtime.base import Engine, EngineOptions, HeadOutput
from avel_live.model.runtime.onnx_engine import OnnxEngine
from avel_live.realtime.core.clock import ManualClock, SystemClock
from avel_live.realtime.core.errors import UsageError
from avel_live.realtime.stream.budget import LEVELS, SharedBudget
from avel_live.realtime.stream.restarting import RestartingEngine
from avel_live.realtime.stream.shared import Lane, SharedEngine
from support.loop import NS, ToyEngine
from support.peers import eventually


def picture(level: int, count: int = 1) -> np.ndarray:
    return np.full((count, 224, 224, 3), level, np.uint8)


class Counting(ToyEngine):
    """Says which pictures came, in which order; may take those of several streams at once."""

    def __init__(self, gate: threading.Event | None = None, most_pictures: int = 1) -> None:
        super().__init__(gate)
        self.lanes, self.most_pictures = 1, most_pictures
        self.order: list[tuple[int, ...]] = []

    def view(self) -> Engine:
        return self  # type: ignore[return-value]

    def visual(self, frames: np.ndarray) -> np.ndarray:
        self.order.append(tuple(int(frame[0, 0, 0]) for frame in frames))
        return super().visual(frames)


class Turnstile:
    """In an event's place: every wait passes one only, when it is told to."""

    def __init__(self) -> None:
        self._passes = threading.Semaphore(0)

    def wait(self, timeout: float | None = None) -> bool:
        return self._passes.acquire(timeout=timeout)

    def let_one_through(self) -> None:
        self._passes.release()


@contextmanager
def shared(engine: object) -> Iterator[SharedEngine]:
    whole = SharedEngine(engine, SystemClock())  # type: ignore[arg-type]
    try:
        yield whole
    finally:
        whole.close()


def asking(lane: Lane, *levels: int) -> threading.Thread:
    thread = threading.Thread(target=lambda: [lane.visual(picture(level)) for level in levels], daemon=True)
    thread.start()
    return thread


def test_a_stream_with_a_backlog_gets_one_call_of_each_round() -> None:
    gate = Turnstile()
    engine = Counting(gate)  # type: ignore[arg-type]
    with shared(engine) as whole:
        threads = [asking(whole.lane(), *[1] * 6)]
        assert engine.begun.wait(10), "the flood is in the engine"
        for level in (2, 3):
            threads.append(asking(whole.lane(), level, level))
            eventually(lambda n=level: len(whole._line) == n - 1, "it waits")  # type: ignore[misc]
        # One call at a time goes through, once everybody who has something left to ask stands in line again.
        for call, waiting in enumerate([2, 2, 2, 2, 2, 1, 0, 0, 0, 0]):
            eventually(
                lambda c=call, n=waiting: len(engine.order) == c + 1 and len(whole._line) == n,  # type: ignore[misc]
                "all stand in line",
            )
            gate.let_one_through()
        for thread in threads:
            thread.join(10)
    assert [level for (level,) in engine.order] == [1, 2, 3, 1, 2, 3, 1, 1, 1, 1]


def test_where_it_helps_the_pictures_of_all_go_together_and_everybody_gets_their_own() -> None:
    gate = threading.Event()
    engine = Counting(gate, most_pictures=16)
    got: dict[int, np.ndarray] = {}
    with shared(engine) as whole:
        first = asking(whole.lane(), 1)
        assert engine.begun.wait(10)
        lanes = {level: whole.lane() for level in (10, 20, 30)}

        def one(level: int) -> None:
            got[level] = lanes[level].visual(picture(level, 6))

        threads = [threading.Thread(target=one, args=(level,)) for level in lanes]
        for count, thread in enumerate(threads, 1):
            thread.start()
            eventually(lambda n=count: len(whole._line) == n, "it waits")  # type: ignore[misc]
        gate.set()
        for thread in [first, *threads]:
            thread.join(10)
        assert whole.most_together == 12
    # Two of six fit in sixteen, the third does not.
    assert engine.order == [(1,), (10,) * 6 + (20,) * 6, (30,) * 6]
    assert {level: float(grid.mean()) for level, grid in got.items()} == {10: 10.0, 20: 20.0, 30: 30.0}
    assert all(len(grid) == 6 for grid in got.values())


def test_an_error_reaches_whoever_asked_and_nobody_else() -> None:
    class Fragile(ToyEngine):
        def audio(self, samples: np.ndarray) -> np.ndarray:
            if samples[0] < 0:
                raise ValueError("too quiet")
            return super().audio(samples)

    with shared(Fragile()) as whole:
        good, bad = whole.lane(), whole.lane()
        with pytest.raises(ValueError, match="too quiet"):
            bad.audio(np.full(16_000, -1, np.float32))
        assert good.audio(np.ones(16_000, np.float32))[0] == 1.0
        assert whole.oldest_ns == 0
    with pytest.raises(UsageError, match="closed"):
        good.visual(picture(1))


def test_a_runtime_that_fails_under_several_streams_is_opened_again_once() -> None:
    together, opened = threading.Barrier(2), []

    class Lost(ToyEngine):
        lanes, most_pictures = 2, 1

        def view(self) -> Engine:
            return self  # type: ignore[return-value]

        def visual(self, frames: np.ndarray) -> np.ndarray:
            together.wait(10)  # both are in it
            raise RuntimeError("CUDA error: device lost")

    def again() -> Engine:
        opened.append(1)
        return ToyEngine()  # type: ignore[return-value]

    said: list[str] = []
    engine = RestartingEngine(
        Lost(),  # type: ignore[arg-type]
        again,
        lambda _device, state, *_: said.append(state),
        ManualClock(),
    )
    with shared(engine) as whole:
        assert whole.lanes == 2
        lanes, got = [whole.lane(), whole.lane()], []
        threads = [
            threading.Thread(target=lambda lane=lane: got.append(lane.visual(picture(7)).mean()))
            for lane in lanes
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert got == [7.0, 7.0]
    assert (len(opened), said) == (1, ["recovering", "running"])


def test_networks_that_fail_for_good_say_so_to_every_stream() -> None:
    class Dead(ToyEngine):
        def audio(self, samples: np.ndarray) -> np.ndarray:
            raise RuntimeError("no device")

    engine = RestartingEngine(Dead(), Dead, lambda *_: None, ManualClock())  # type: ignore[arg-type]
    with shared(engine) as whole:
        for lane in (whole.lane(), whole.lane()):
            with pytest.raises(BackendError, match="4 failures"):
                lane.audio(np.ones(16_000, np.float32))


def test_what_one_stream_shows_is_not_seen_by_another_and_costs_it_no_memory() -> None:
    engine = OnnxEngine(EngineOptions(threads=1))
    alone, rng = OnnxEngine(EngineOptions(threads=1)), np.random.default_rng(0)
    dims, streams, seconds = engine.profile, 12, 13
    visual = rng.normal(size=(streams, seconds, 7, 7, dims.visual.dim)).astype(np.float32)
    audio = rng.normal(size=(streams, seconds, dims.audio.dim)).astype(np.float32)
    there = np.ones(10, np.bool_)
    runs = []
    inner = engine._sessions["segment"]

    class Counted:
        def get_inputs(self) -> object:
            return inner.get_inputs()

        def run(self, names: object, inputs: object) -> object:
            runs.append(1)
            return inner.run(names, inputs)

    engine._sessions["segment"] = Counted()
    with shared(engine) as whole:
        lanes = [whole.lane() for _ in range(streams)]
        for second in range(10, seconds):
            for k, lane in enumerate(lanes):
                rows = slice(second - 10, second)
                out = lane.head(visual[k, rows], audio[k, rows], there, there)
                if k in (0, 11):
                    want: HeadOutput = alone.head(visual[k, rows], audio[k, rows], there, there)
                    assert np.array_equal(out.logits, want.logits)
    alone.close()
    # Ten for each stream's first window, then one a second: twelve streams do not push each other out.
    assert len(runs) == streams * (10 + seconds - 11)


def test_overload_takes_pictures_from_all_alike() -> None:
    busy_ns = 0
    budget = SharedBudget(lambda: busy_ns)
    live = [budget.share(None, live=True) for _ in range(3)]
    asked, recording = budget.share(4, live=True), budget.share(None, live=False)
    told: list[list[int | None]] = []
    for second in range(20):
        busy_ns = round(second * 0.95 * NS)
        now_ns = second * NS
        told.append([one.after_hop(0, now_ns + k) for k, one in enumerate([*live, asked, recording])])
    assert all(one[0] == one[1] == one[2] for one in told), "all of them in the same second"
    assert [one[0] for one in told if one[0] is not None] == [2, 1]
    assert all(one[3:] == [None, None] for one in told), "what was asked for, and recordings, stay"
    assert [one.frames_per_segment for one in (*live, asked, recording)] == [1, 1, 1, 4, LEVELS[0]]
