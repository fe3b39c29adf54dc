"""An open world is mostly none of the 28: twenty minutes and two hours of it, at the thresholds that ship."""

from __future__ import annotations

import pytest
from avel_live.model.runtime.base import Engine, EngineOptions
from avel_live.model.runtime.select import load_engine
from avel_live.realtime.core.clock import ManualClock
from avel_live.realtime.events import Decoder
from avel_live.realtime.stream.loop import Stream, StreamOptions
from support.loop import Collector, a_start
from support.nothing import Nothing, NothingSource
from support.shared import DATA, needs_data

YAMNET = DATA / "teacher" / "yamnet_spectra_in.tflite"


def engine_of(profile: str) -> Engine:
    weights = None if profile == "lite" else YAMNET
    return load_engine(EngineOptions(profile=profile, audio_weights=weights, threads=1))


def said_of_nothing(engine: Engine, seed: int) -> list[str]:
    """Every event that begins in twenty minutes of nothing: what, when, in which kind of nothing."""
    source, sink = NothingSource(Nothing(DATA, seed)), Collector()
    options = StreamOptions(sparing=True)
    Stream(source, engine, Decoder(), a_start(source), ManualClock(), options).run(sink)  # type: ignore[arg-type]
    assert sink.ends[0].seconds == 1200
    events = [event for hop in sink.hops for event in hop.events if event.kind == "start"]
    return [
        f"{engine.info.labels[e.label]} at {e.start_s:.0f} s ({source.nothing.kind_at(e.start_s)})"
        for e in events
    ]


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("profile", ["lite", "lite-yamnet", "full"])
def test_twenty_minutes_of_nothing_hold_at_most_one_event(profile: str) -> None:
    said = said_of_nothing(engine_of(profile), 0)
    print(f"{profile}: {len(said)} events in 1200 s; {'; '.join(said)}")
    assert len(said) <= 1, said


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize(("profile", "most"), [("lite", 2), ("lite-yamnet", 2)])
def test_two_hours_of_nothing_hold_few_events(profile: str, most: int) -> None:
    """Before the eye doubted what it is sure of otherwise, a zebra beside clattering plates was a horse."""
    engine = engine_of(profile)
    said = []
    for seed in range(6):
        said += [f"seed {seed}: {event}" for event in said_of_nothing(engine, seed)]
    print(f"{profile}: {len(said)} events in 7200 s; {'; '.join(said)}")
    assert len(said) <= most, said
