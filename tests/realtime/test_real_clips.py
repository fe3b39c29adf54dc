"""Real recordings through replay, cutter and loop (they lie beside the checkout; skipped without)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from avel_live.realtime.core.clock import NS_PER_S, ManualClock
from avel_live.realtime.events import Decoder
from avel_live.realtime.sources.replay import Replay, ReplayOptions
from avel_live.realtime.stream.loop import Stream, StreamOptions
from support.loop import Collector, ToyEngine, a_start
from support.shared import needs_data
from support.shared_clips import clips


def play(path: Path, speed: float | None, pictures: int | None = None) -> Collector:
    source = Replay(path, ManualClock(), ReplayOptions(speed=speed))
    source.open()
    sink = Collector()
    options = StreamOptions(frames_per_segment=pictures, by_change=pictures is None, sparing=pictures is None)
    Stream(source, ToyEngine(), Decoder(), a_start(source), ManualClock(), options).run(sink)  # type: ignore[arg-type]
    return sink


@needs_data
@pytest.mark.parametrize(("pictures", "least"), [(None, 1), (16, 5)])
@pytest.mark.parametrize("path", clips(every=12), ids=lambda p: p.stem)
def test_every_second_is_whole_and_speed_changes_nothing(
    path: Path, pictures: int | None, least: int
) -> None:
    fast, paced = (play(path, speed, pictures) for speed in (None, 2.0))
    end = fast.ends[0]
    whole = [r.segment for r in fast.hops if not r.segment.partial]
    assert len(whole) == int(end.seconds + 1e-3)
    assert len(fast.hops) - len(whole) == (end.seconds % 1 >= 0.5)
    for segment in whole[:-1]:
        assert segment.audio_fraction > 0.95
        assert segment.frame_weights.sum() == pytest.approx(1, abs=1e-6)
        assert len(segment.frames) >= least
    assert not fast.statuses
    assert paced.ends[0].seconds == end.seconds
    for a, b in zip(fast.hops, paced.hops, strict=True):
        assert np.array_equal(a.segment.audio, b.segment.audio)
        assert np.array_equal(a.segment.frames, b.segment.frames)
        assert np.array_equal(a.scores.logits, b.scores.logits)
        assert [(x.index, x.label) for x in a.settled] == [(x.index, x.label) for x in b.settled]
    assert fast.hops[0].segment.end_ns <= NS_PER_S
