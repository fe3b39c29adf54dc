"""From examples to what the senses make of their seconds: each recording is cut as a live stream is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ....model.level import level_dbfs
from ....model.runtime.base import EngineOptions
from ....model.sound import SAMPLE_RATE
from ....model.teach.lesson import Seconds
from ....model.teach.seconds import Sensation, sense
from ....model.teach.senses import SENSES, Floats, Sense, Senses
from ....model.teach.variations import variations
from ...config.schema import Config
from ...core.clock import NS_PER_S, ManualClock
from ...core.errors import SourceError
from ...core.messages import Segment
from .examples import Example
from .material import Material

FRAMES: Final = 4
"""Pictures a second that are decoded, as a live stream does."""
SILENT_DBFS: Final = -65.0
PAUSE_DB: Final = 25.0
"""So much quieter than its loudest second, a second of an example is a pause."""
PER_EXAMPLE_S: Final = 12
"""Seconds of an example that are looked at: of a longer one, the loudest."""
VARIED: Final = 80
"""Up to so many seconds get variations of each; more are varied enough by themselves."""
REST_S: Final = 60
"""Seconds of background taken around the stretches of a recording."""
OWN_S: Final = 900
_AWAY_S: Final = 1.0
_SHARE: Final = 0.5
"""Of a second that a stretch must cover for it to count."""

Tell = Callable[[str], None]


@dataclass
class Gathered:
    """Seconds as they are collected; becomes a `lesson.Seconds`."""

    made: list[Sensation] = field(default_factory=list)
    of: list[int] = field(default_factory=list)
    copy: list[bool] = field(default_factory=list)

    def add(self, second: Sensation, of: int, *, copy: bool = False) -> None:
        """One more."""
        self.made.append(second)
        self.of.append(of)
        self.copy.append(copy)

    def seconds(self) -> Seconds:
        """All of them."""
        arrays: dict[Sense, NDArray[np.float32]] = {}
        has: dict[Sense, NDArray[np.bool_]] = {}
        for one in SENSES:
            each = [second.of(one) for second in self.made]
            width = next((made.embedding.shape[1] for made in each if made is not None), 0)
            missing = np.zeros(width, np.float32)
            has[one] = np.array([made is not None for made in each], bool)
            rows = [missing if made is None else made.embedding[0] for made in each]
            arrays[one] = np.stack(rows) if rows else np.zeros((0, 0), np.float32)
        return Seconds(arrays, has, np.array(self.of, np.int64), np.array(self.copy, bool))


def senses_of(config: Config, profile: str | None = None) -> Senses:
    """The eye and the ear that the configuration names."""
    return Senses(
        EngineOptions(
            profile=profile or config.profile,
            audio_weights=config.audio_weights,
            visual_weights=config.visual_weights,
        )
    )


def segments_of(path: Path, start_s: float = 0.0, duration_s: float | None = None) -> Iterator[Segment]:
    """A recording from some instant on, a second at a time.

    Raises:
        SourceError: not a recording, or damaged.

    """
    from ...sources.replay import Replay, ReplayOptions
    from ...stream.segments import segments

    options = ReplayOptions(speed=None, start_s=start_s, duration_s=duration_s, frames=FRAMES)
    source = Replay(path, ManualClock(), options)
    source.open()
    yield from (segment for segment in segments(source) if not segment.partial or segment.sound)


def given(segment: Segment) -> tuple[NDArray[np.uint8] | None, Floats | None]:
    """What a segment has to see, and to hear."""
    return segment.frames if segment.video else None, segment.audio if segment.sound else None


def sensed(senses: Senses, segment: Segment, used: tuple[Sense, ...] = SENSES) -> Sensation:
    """What the senses make of a segment."""
    return sense(senses, *given(segment), used)


def varied(
    senses: Senses,
    frames: NDArray[np.uint8] | None,
    samples: Floats | None,
    used: tuple[Sense, ...],
    rng: np.random.Generator,
) -> Iterator[Sensation]:
    """What the senses make of variations of a second; see `seconds.sense` for the arguments."""
    shown = np.zeros((1, 224, 224, 3), np.uint8) if frames is None else frames
    heard = np.zeros(SAMPLE_RATE, np.float32) if samples is None else samples
    for views, sounds in variations(shown, heard, rng):
        yield sense(senses, None if frames is None else views, None if samples is None else sounds, used)


def gather(
    examples: Sequence[Example],
    senses: Senses,
    used: tuple[Sense, ...],
    tell: Tell,
    *,
    around: bool = True,
    keeping: Material | None = None,
) -> tuple[Seconds, Seconds]:
    """The examples' seconds, and the background around the stretches (none of it unless `around`).

    Every stretch is cut twice, half a second apart: live, an event begins anywhere in a second. `keeping` is
    given what is looked at.

    Raises:
        SourceError: a recording that can't be read, or in which there is nothing for the senses in use.

    """
    taken: list[tuple[int, Segment]] = []
    for number, example in enumerate(examples):
        tell(f"looking at {example.name}")
        found = _seconds_of(example)
        if not found:
            raise SourceError(
                f"{example.name}: no second of it can be used; is it shorter than half a second?"
            )
        _usable(example, found, used)
        taken += [(number, segment) for segment in (loud(found) if "audio" in used else found)]
    rng = np.random.default_rng(0)
    into = Gathered()
    for number, segment in taken:
        into.add(sensed(senses, segment, used), number)
        if keeping is not None:
            keeping.example(number, segment)
        if len(taken) <= VARIED:
            for made in varied(senses, *given(segment), used, rng):
                into.add(made, number, copy=True)
    own = Gathered()
    by_file: dict[Path, list[tuple[float, float]]] = defaultdict(list)
    for example in examples:
        if around and example.span is not None:
            by_file[example.file].append(example.span)
    for path, spans in by_file.items():
        for segment in _around(path, spans):
            own.add(sensed(senses, segment, used), 0)
            if keeping is not None:
                keeping.background(segment)
    return into.seconds(), own.seconds()


def background(
    paths: Sequence[Path],
    senses: Senses,
    used: tuple[Sense, ...],
    tell: Tell,
    keeping: Material | None = None,
) -> Seconds:
    """Recordings in which the event does not happen: at most a quarter of an hour, evenly from all."""
    into = Gathered()
    each = max(30, OWN_S // max(1, len(paths)))
    for path in paths:
        tell(f"looking at the background, {path.name}")
        for segment in segments_of(path, duration_s=each):
            into.add(sensed(senses, segment, used), 0)
            if keeping is not None:
                keeping.background(segment)
            if len(into.of) >= OWN_S:
                return into.seconds()
    return into.seconds()


def joined(*parts: Seconds) -> Seconds:
    """Several as one; parts of none are left out."""
    some = [part for part in parts if len(part)] or [parts[0]]
    widths = {one: max(part.arrays[one].shape[1] for part in some) for one in SENSES}

    def wide(values: NDArray[np.float32], width: int) -> NDArray[np.float32]:
        return values if values.shape[1] == width else np.zeros((len(values), width), np.float32)

    return Seconds(
        {one: np.concatenate([wide(part.arrays[one], widths[one]) for part in some]) for one in SENSES},
        {one: np.concatenate([part.has[one] for part in some]) for one in SENSES},
        np.concatenate([part.of for part in some]),
        np.concatenate([part.copy for part in some]),
    )


def _seconds_of(example: Example) -> list[Segment]:
    if example.span is None:
        found = list(segments_of(example.file, duration_s=600.0))
        found += list(segments_of(example.file, 0.5, 600.0)) if len(found) > 1 else []
    else:
        first, last = example.span
        found = list(_covered(example.file, first, first, last))
        if first >= 0.5:
            found += list(_covered(example.file, first - 0.5, first, last))
    if len(found) > PER_EXAMPLE_S:
        loudest = sorted(range(len(found)), key=lambda k: -level_dbfs(found[k].audio))[:PER_EXAMPLE_S]
        found = [found[k] for k in sorted(loudest)]
    return found


def _covered(path: Path, start_s: float, first: float, last: float) -> Iterator[Segment]:
    """The seconds from `start_s` on that a stretch covers by half, or covers as much as it can."""
    least = min(_SHARE, last - first) - 1e-6
    for segment in segments_of(path, start_s, max(1.0, last - start_s)):
        begin = start_s + segment.start_ns / NS_PER_S
        if min(last, begin + 1) - max(first, begin) >= least:
            yield segment


def _around(path: Path, spans: Sequence[tuple[float, float]]) -> Iterator[Segment]:
    count = 0
    from_s = max(0.0, min(first for first, _ in spans) - REST_S)
    for segment in segments_of(path, from_s, 10 * REST_S):
        begin = from_s + segment.start_ns / NS_PER_S
        if all(begin >= last + _AWAY_S or begin + 1 <= first - _AWAY_S for first, last in spans):
            yield segment
            count += 1
            if count >= REST_S:
                return


def loud(found: Sequence[Segment]) -> list[Segment]:
    """Those in which something can be heard: where a clip pauses, its event does not happen."""
    levels = [level_dbfs(segment.audio) if segment.sound else -np.inf for segment in found]
    least = max(SILENT_DBFS, max(levels) - PAUSE_DB)
    return [segment for segment, level in zip(found, levels, strict=True) if level >= least]


def _usable(example: Example, found: Sequence[Segment], used: tuple[Sense, ...]) -> None:
    """Refuse an example that has nothing for a sense in use.

    Raises:
        SourceError: which, and what to do.

    """
    heard = [s for s in found if s.sound and level_dbfs(s.audio) > SILENT_DBFS]
    if "audio" in used and not heard:
        raise SourceError(f"{example.name}: silent; leave it out, or teach what is seen alone with --seen")
    dark = [s for s in found if s.video and float(s.frames.mean()) > 4.0]
    if "visual" in used and not dark:
        what = "no picture" if not any(s.video for s in found) else "all dark"
        raise SourceError(f"{example.name}: {what}; leave it out, or teach what is heard alone with --heard")
