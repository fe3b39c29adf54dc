"""Can this machine hold the rate? Measured on the networks themselves, in a few seconds (`avel doctor`).

A live stream begins with four pictures a second and takes fewer while computing eats more than `TOO_MUCH` of
the time (`budget`). Here the same levels are tried on made-up seconds of which every picture is new, so what
is found is where a stream of much change would settle. Capturing and decoding are not in it: they run
beside the networks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ....model.errors import AvelError
from ....model.profiles import WINDOW, get_profile
from ....model.runtime.base import Engine, EngineInfo, EngineOptions
from ....model.runtime.int8_graphs import has_int8
from ....model.runtime.probe import Machine, installed, machine
from ...config.schema import Config
from ...core.clock import NS_PER_S, Clock, cpu_s
from ...core.messages import FRAME_SIZE, SAMPLE_RATE, Segment
from ...stream.budget import LEVELS, TOO_MUCH
from ...stream.features import missing, segment_features
from ...stream.window import Window
from .checks import Check, State

PER_LEVEL_S = 1.5
"""How long each level is watched, in seconds; a slower machine needs one round of it."""
_CROWDED = 0.25
"""Share of the processors taken by other programs above which they are worth a word."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What was measured.

    Attributes:
        loads: (pictures a second, share of the time spent computing) of each level tried, most pictures
            first; the last one is where a live stream settles.
        others: processors that other programs kept busy meanwhile; None where that is not known.

    """

    loads: tuple[tuple[int, float], ...]
    others: float | None = None

    @property
    def frames_per_segment(self) -> int:
        """Pictures a second of a live stream here."""
        return self.loads[-1][0]

    @property
    def load(self) -> float:
        """Share of the time spent computing at that level."""
        return self.loads[-1][1]

    @property
    def holds(self) -> bool:
        """Whether every second is answered before the next one is over."""
        return self.load <= TOO_MUCH

    def crowded(self, cores: int) -> bool:
        """Whether other programs took a share of `cores` processors that is worth a word."""
        return self.others is not None and self.others > _CROWDED * cores


def measure(
    engine: Engine,
    clock: Clock,
    *,
    hop_s: float = 1.0,
    frames: int | None = None,
    level_s: float = PER_LEVEL_S,
) -> Pace:
    """Try the levels from the most pictures down until one leaves room, as a live stream does.

    Args:
        engine: the networks, warmed up.
        clock: to time them by.
        hop_s: seconds between answers; below 1 every second's pictures count for several segments.
        frames: pictures a second if they are fixed; None = as many as the machine holds.
        level_s: how long to watch each level.

    """
    phases = max(1, round(1 / hop_s))
    loads: list[tuple[int, float]] = []
    began_ns, before_s = clock.now_ns(), _busy_s()
    own_s = cpu_s()
    for count in LEVELS if frames is None else (frames,):
        loads.append((count, phases * _seconds(engine, clock, count, level_s)))
        if loads[-1][1] <= TOO_MUCH:
            break
    wall_s, after_s = (clock.now_ns() - began_ns) / NS_PER_S, _busy_s()
    if before_s is None or after_s is None:
        return Pace(tuple(loads))
    return Pace(tuple(loads), max(0.0, (after_s - before_s - (cpu_s() - own_s)) / wall_s))


def _seconds(engine: Engine, clock: Clock, frames: int, level_s: float) -> float:
    """Mean time, in seconds, that one segment and a look at the full window take."""
    make = np.random.default_rng(0)
    segment = Segment(
        0,
        0,
        NS_PER_S,
        make.integers(0, 256, (frames, FRAME_SIZE, FRAME_SIZE, 3), np.uint8),
        np.full(frames, 1 / frames, np.float32),
        make.normal(0, 0.1, SAMPLE_RATE).astype(np.float32),
        audio_fraction=1.0,
        video=True,
        sound=True,
    )
    window = Window(engine)
    window.push(missing(0, engine.profile))  # what lies between is entered as missing: the window is full
    taken: list[float] = []
    while sum(taken) < level_s:
        start_ns = clock.now_ns()
        second = replace(segment, index=WINDOW - 1 + len(taken))
        window.push(segment_features(engine, second))
        window.look(len(taken))
        taken.append((clock.now_ns() - start_ns) / NS_PER_S)
    # The first round finds caches and processors cold; where there is no second, it has to do.
    counted = taken[1:] or taken
    return sum(counted) / len(counted)


def _busy_s() -> float | None:
    """Processor time that all programs together have had since the start, in seconds; Linux only."""
    try:
        first = Path("/proc/stat").read_text().splitlines()[0].split()
        ticks = [int(word) for word in first[1:9]]
    except (OSError, ValueError, IndexError):
        return None
    idle = sum(ticks[3:5])
    return (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK")


def rate(config: Config, engine: Engine, clock: Clock) -> Iterator[Check]:
    """What runs where, whether it holds the rate, and what would help."""
    info = engine.info
    found = f"{info.profile} on {info.backend} {info.precision} ({info.device})"
    yield Check("networks", "ok", f"{found}; {info.note}" if info.note else found)
    fixed = config.most_frames
    pace = measure(engine, clock, hop_s=config.hop_s, frames=fixed)
    many = "picture" if pace.frames_per_segment == 1 else "pictures"
    held = f"{pace.frames_per_segment} {many} a second, computing {pace.load:.0%} of the time"
    tried = ", ".join(f"{frames} would take {load:.0%}" for frames, load in pace.loads[:-1])
    if not pace.holds:
        found = f"not held even with {held}: answers will be skipped"
    else:
        found = f"held with {held}" + (f"; {tried}" if tried else "")
    here = machine()
    if pace.crowded(here.cores):
        found += f"; other programs took {pace.others:.1f} of {here.cores} processors meanwhile"
    full = pace.holds and not tried
    state: State = "ok" if full else "note" if pace.holds else "missing"
    advice = "" if full else "; ".join(helps(config, info, pace, here))
    yield Check("rate", state, found, advice)


def helps(config: Config, info: EngineInfo, pace: Pace, here: Machine) -> Iterator[str]:
    """What would make more pictures possible, surest first."""
    if pace.crowded(here.cores):
        yield "stop what else runs here"
    if here.gpu and info.device.startswith("cpu"):
        yield f"use the GPU ({here.gpu}): pip install 'avel-live[tensorrt]', avel compile --to tensorrt"
    total = os.cpu_count() or here.cores
    if config.threads is not None and config.threads < here.cores and info.device.startswith("cpu"):
        yield f"leave out --threads {config.threads}: {here.cores} processors may be used"
    elif here.cores < total:
        yield f"let it use all processors: it may use {here.cores} of {total}"
    if config.hop_s < 1:
        yield f"--hop 1 computes {round(1 / config.hop_s)} times less than --hop {config.hop_s:g}"
    if config.backend == "auto" and config.precision == "auto":
        options = EngineOptions(
            config.profile, visual_weights=config.visual_weights, audio_weights=config.audio_weights
        )
        if here.fast_int8 and not has_int8(get_profile(config.profile), options):
            yield f"8-bit networks: avel calibrate int8 --profile {config.profile}"
        if here.fast_bf16 and not installed("torch"):
            yield "pip install torch: this processor multiplies bfloat16 itself"
    elif info.device.startswith("cpu"):
        yield "--backend auto --precision auto: it times what there is and takes the quickest"
    if config.profile == "full":
        yield "--profile lite-yamnet: its eye does a little over half the work"
    if config.profile == "paper":
        yield "--profile lite: its networks are far smaller"
    if config.frames != "auto":
        yield f"--frames auto instead of {config.frames}"
    yield "a faster processor or an NVIDIA GPU; `avel bench` shows where the time goes"


def can_not_load(error: AvelError) -> Check:
    """The networks could not be opened at all; the message says what to do."""
    return Check("networks", "missing", str(error))
