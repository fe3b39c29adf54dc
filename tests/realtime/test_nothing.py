"""An open world is mostly none of the 28: twenty minutes of it, at the thresholds that ship."""

from __future__ import annotations

import pytest
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.select import load_engine
from avel_live.realtime.core.clock import ManualClock
from avel_live.realtime.events import Decoder
from avel_live.realtime.stream.loop import Stream, StreamOptions
from support.loop import Collector, a_start
from support.nothing import Nothing, NothingSource
from support.shared import DATA, needs_data

YAMNET = DATA / "teacher" / "yamnet_spectra_in.tflite"


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("profile", ["lite", "lite-yamnet"])
def test_twenty_minutes_of_nothing_hold_at_most_one_event(profile: str) -> None:
    weights = YAMNET if profile == "lite-yamnet" else None
    engine = load_engine(EngineOptions(profile=profile, audio_weights=weights, threads=1))
    source, sink = NothingSource(Nothing(DATA)), Collector()
    options = StreamOptions(sparing=True)
    Stream(source, engine, Decoder(), a_start(source), ManualClock(), options).run(sink)  # type: ignore[arg-type]
    assert sink.ends[0].seconds == 1200
    events = [event for hop in sink.hops for event in hop.events if event.kind == "start"]
    said = [
        f"{engine.info.labels[e.label]} at {e.start_s:.0f} s ({source.nothing.kind_at(e.start_s)})"
        for e in events
    ]
    print(f"{profile}: {len(said)} events in {len(sink.hops)} s; {'; '.join(said)}")
    assert len(said) <= 1, said
