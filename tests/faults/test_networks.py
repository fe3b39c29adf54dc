"""The networks fail in the middle of a stream: a raising backend, no memory, a lost GPU, no numbers.

There is no GPU here to lose: what is tested is what the program does when the runtime behind it raises as
runtimes do. The loop, the decoder and the sinks are the real ones.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from avel_live.model.errors import BackendError
from avel_live.realtime.core.clock import ManualClock
from avel_live.realtime.core.messages import EndOfStream
from avel_live.realtime.events import Decoder
from avel_live.realtime.stream.loop import Stream
from avel_live.realtime.stream.queue import StatusQueue
from avel_live.realtime.stream.restarting import LIMIT, WITHIN_S, RestartingEngine
from support.loop import NS, Collector, ScriptedSource, ToyEngine, a_start, steady

SECONDS = 8


class Failing(ToyEngine):
    """Raises at these calls of one network, counted over all engines of a test."""

    def __init__(self, network: str, error: Callable[[], Exception], at: set[int], calls: list[int]) -> None:
        super().__init__()
        self.closed = False
        honest = getattr(self, network)

        def call(*inputs: object) -> object:
            calls.append(len(calls))
            if calls[-1] in at:
                raise error()
            return honest(*inputs)

        setattr(self, network, call)

    def close(self) -> None:
        self.closed = True


def play(engine: object, reports: StatusQueue) -> Collector:
    source, sink = ScriptedSource(steady(SECONDS), live=False, end=EndOfStream(SECONDS * NS)), Collector()
    Stream(source, engine, Decoder(), a_start(source), ManualClock(), reports=reports).run(sink)  # type: ignore[arg-type]
    return sink


FAILURES = {
    "backend raises": lambda: RuntimeError("CUDNN_STATUS_EXECUTION_FAILED\nlong trace"),
    "out of memory": lambda: MemoryError(),
    "GPU lost": lambda: RuntimeError("CUDA error: device-side unspecified launch failure"),
}


@pytest.mark.parametrize("network", ["visual", "audio", "head"])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_runtime_is_opened_again_and_no_second_is_lost(network: str, failure: str) -> None:
    calls: list[int] = []
    opened: list[Failing] = []

    def another() -> Failing:
        opened.append(Failing(network, FAILURES[failure], {3}, calls))
        return opened[-1]

    reports = StatusQueue()
    got = play(RestartingEngine(another(), another, reports, ManualClock()), reports)  # type: ignore[arg-type]
    undisturbed = play(ToyEngine(), StatusQueue())
    assert [hop.segment.index for hop in got.hops] == list(range(SECONDS))
    for one, other in zip(got.hops, undisturbed.hops, strict=True):
        np.testing.assert_array_equal(one.scores.logits, other.scores.logits)
    assert [engine.closed for engine in opened] == [True, False]
    said = [(s.device, s.state) for s in got.statuses]
    assert said == [("networks", "recovering"), ("networks", "running")]
    assert "\n" not in got.statuses[0].reason


def test_an_answer_that_is_no_number_is_a_failure() -> None:
    class Overflowing(ToyEngine):
        def head(self, *inputs: np.ndarray):  # type: ignore[override]
            out = super().head(*inputs)
            out.logits[-1, 0] = np.nan
            return out

    reports = StatusQueue()
    got = play(RestartingEngine(Overflowing(), ToyEngine, reports, ManualClock()), reports)
    assert all(np.isfinite(hop.scores.logits).all() for hop in got.hops)
    assert "no number" in got.statuses[0].reason


def test_a_runtime_that_keeps_failing_is_an_error_after_growing_pauses() -> None:
    clock, calls = ManualClock(), list[int]()

    def another() -> Failing:
        return Failing("audio", FAILURES["GPU lost"], set(range(1000)), calls)

    engine = RestartingEngine(another(), another, lambda *_: None, clock)  # type: ignore[arg-type]
    with pytest.raises(BackendError, match=r"CUDA error.*4 failures within 60 minutes.*--backend"):
        engine.audio(np.zeros(16_000, np.float32))
    assert len(calls) == LIMIT + 1
    assert clock.now_ns() == 3 * NS  # at once, after one second, after two more


def test_a_failure_now_and_then_is_no_reason_to_stop() -> None:
    clock, calls = ManualClock(), list[int]()

    def another() -> Failing:
        return Failing("audio", FAILURES["backend raises"], set(range(0, 40, 2)), calls)

    engine = RestartingEngine(another(), another, lambda *_: None, clock)  # type: ignore[arg-type]
    for _ in range(20):
        engine.audio(np.zeros(16_000, np.float32))
        clock.advance(WITHIN_S / LIMIT)
    assert len(calls) == 40


def test_a_runtime_that_can_not_be_opened_again_is_tried_as_often() -> None:
    clock, tries = ManualClock(), list[int]()

    def gone() -> ToyEngine:
        tries.append(1)
        raise BackendError("no CUDA device")

    engine = RestartingEngine(Failing("audio", FAILURES["GPU lost"], {0}, []), gone, lambda *_: None, clock)  # type: ignore[arg-type]
    with pytest.raises(BackendError, match="no CUDA device"):
        engine.audio(np.zeros(16_000, np.float32))
    assert len(tries) == LIMIT
    engine.close()
