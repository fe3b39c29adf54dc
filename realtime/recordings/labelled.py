"""Labelled material for calibration: what the live program would have said about it, look by look.

    a folder with MANIFEST.tsv    clips, through the very pipeline that runs live
    features (collect_features)   through the head alone

Either way a `Clip` holds the scores of every hop and the truth of every second.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...calibration import looks
from ...calibration.looks import Looks
from ...calibration.thresholds import Stream
from ...model.labels import label_index
from ...model.spans import of_labels
from ..config.schema import NONE, Config, Frames
from ..core.clock import NS_PER_S, Clock
from ..core.errors import SourceError, UsageError
from ..core.messages import Hop, Scores
from ..events import Decoder, DecoderConfig
from ..session.calibration import ActiveCalibration
from ..session.open import open_stream
from ..sources.base import Source
from ..sources.suffixes import recordings_in
from ..stream.window import Calibrate
from .witnesses import content, origin, witnesses

if TYPE_CHECKING:
    from ...model.runtime.base import Engine

HALF = 0.5

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Clip:
    """`scores` of every hop; `targets` [S], one class per second, −1 where unknown."""

    name: str
    scores: tuple[Scores, ...]
    targets: NDArray[np.int64]
    origin: str = ""
    """The recording that it is an excerpt of, where that is known."""


def hops(
    source: Source,
    engine: Engine,
    clock: Clock,
    *,
    duration_s: float | None = None,
    frames: Frames = "auto",
) -> Iterator[Hop]:
    """Every hop of an open source, through the very stream that runs live; confidences are raw."""
    config = Config(calibration=NONE, taught=(NONE,), duration_s=duration_s, frames=frames)
    with open_stream(config, source, engine, clock, active=ActiveCalibration()) as stream:
        yield from stream


def recording(path: Path, engine: Engine, clock: Clock, frames: Frames = "auto") -> tuple[Scores, ...]:
    """The scores of a whole file."""
    from ..sources.replay import Replay, ReplayOptions
    from ..stream.budget import delivered_frames

    most = delivered_frames(Config(frames=frames).most_frames)
    source = Replay(path, clock, ReplayOptions(speed=None, frames=most))
    source.open()
    return tuple(hop.scores for hop in hops(source, engine, clock, frames=frames))


def is_manifest(folder: Path) -> bool:
    """Whether this is a folder of labelled clips."""
    return (folder / "MANIFEST.tsv").is_file()


def read_manifest(folder: Path, labels: Sequence[str]) -> list[tuple[Path, NDArray[np.int64]]]:
    """Clips and the truth of their seconds; see `_manifest`."""
    return [(path, targets) for path, targets, _ in _manifest(folder, labels)]


def _manifest(folder: Path, labels: Sequence[str]) -> list[tuple[Path, NDArray[np.int64], str]]:
    """Clips, the truth of their seconds, and the recording each is of (`witnesses.origin`).

    Columns used: `file`, `class` (a class name, or `background`), `segments_audible_and_visible` (indices
    separated by commas; every other second is background), `duration_s`.

    Raises:
        UsageError: a column is missing, or a row makes no sense; says which.

    """
    path = folder / "MANIFEST.tsv"
    background = len(labels) - 1
    found = []
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file, delimiter="\t"), start=2):
            try:
                duration_s = float(row["duration_s"])
                label = label_index(row["class"], labels)
                text = row["segments_audible_and_visible"].strip()
                on = [int(part) for part in text.split(",")] if text else []
                name = folder / row["file"]
            except (KeyError, TypeError, ValueError) as error:
                raise UsageError(f"{path}, line {number}: {error}") from None
            # A remainder of half a second or more is a second of its own, as in the pipeline.
            seconds = int(duration_s + HALF)
            targets = np.full(seconds, background, np.int64)
            targets[[k for k in on if 0 <= k < seconds]] = label
            found.append((name, targets, origin(row, Path(row["file"]))))
    if not found:
        raise UsageError(f"{path}: no clips")
    return found


def manifest_clips(
    folder: Path,
    engine: Engine,
    clock: Clock,
    progress: Progress | None = None,
    frames: Frames = "auto",
) -> Iterator[Clip]:
    """Every clip of a folder with MANIFEST.tsv."""
    rows = _manifest(folder, engine.info.labels)
    for k, (path, targets, of) in enumerate(rows):
        if progress is not None:
            progress(k, len(rows))
        yield Clip(str(path.relative_to(folder)), recording(path, engine, clock, frames), targets, of)


def media_files(path: Path) -> list[Path]:
    """A recording, or all of a folder.

    Raises:
        SourceError: there is none.

    """
    if path.is_file():
        return [path]
    files = sorted(recordings_in(path)[0]) if path.is_dir() else []
    if not files:
        raise SourceError(f"{path}: no recording there; give a file or a folder of recordings")
    return files


def groups_of(clips: Sequence[Clip]) -> list[int]:
    """Which witness each clip is; see `witnesses`."""
    return witnesses((f"origin {clip.origin}" if clip.origin else "", content(clip.scores)) for clip in clips)


def distinct(clips: Sequence[Clip]) -> list[Clip]:
    """Each content once, under its first name."""
    found: dict[str, Clip] = {}
    for clip in clips:
        found.setdefault(content(clip.scores), clip)
    return list(found.values())


def looks_of(clips: Sequence[Clip]) -> Looks:
    """Every look at every labelled second, grouped by witness."""
    return Looks.gather(
        looks.of_window(s.logits, s.first_index, clip.targets, group)
        for group, clip in zip(groups_of(clips), clips, strict=True)
        for s in clip.scores
    )


def settled(scores: Sequence[Scores], calibrate: Calibrate, decoder: DecoderConfig) -> NDArray[np.float32]:
    """Fused posteriors [S, C] of all seconds, as the decoder settles them."""
    running = Decoder(decoder)
    rows = []
    for s in scores:
        step = running.push(replace(s, probabilities=calibrate(s.logits, len(s.logits))))
        rows += [x.probabilities for x in step.settled]
    rows += [x.probabilities for x in running.finish().settled]
    return np.stack(rows) if rows else np.zeros((0, decoder.num_classes), np.float32)


def stream_of(clip: Clip, calibrate: Calibrate, decoder: DecoderConfig) -> Stream:
    """Settled posteriors with the true events, for threshold calibration."""
    posteriors = settled(clip.scores, calibrate, decoder)
    truth = of_labels(clip.targets[: len(posteriors)], decoder.background, decoder.segment_s)
    return Stream(posteriors, tuple(truth))


def seconds_of(t_ns: int) -> float:
    """Nanoseconds as seconds."""
    return t_ns / NS_PER_S
