"""`avel calibrate thresholds`: when an event begins and ends, class by class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....calibration.contents import Thresholds
from ....calibration.thresholds import Stream, choose, precision_recall
from ...config.schema import Config
from ...core.clock import SystemClock
from ...core.errors import AvelError, UsageError
from ...core.messages import SourceInfo
from ...events.config import DecoderConfig
from ...recordings.labelled import Clip, distinct, media_files, recording, stream_of
from ...session.calibration import apply_calibration
from ...ui.console import Console
from .decoding import decode_with
from .material import Fit, engine_of, labelled
from .store import drawn, per_hour_of, store


def calibrate_thresholds(config: Config, fit: Fit, background: list[Path], budget: str | None) -> None:
    """`avel calibrate thresholds`."""
    per_hour = None if budget is None else per_hour_of(budget)
    console = Console(stderr=True)
    info, clips = labelled(config, fit, console)
    calibrate = apply_calibration(config, info, SourceInfo("", "file"), bundled=False).calibrate
    decoder = DecoderConfig(settle=config.settle, labels=info.labels)
    clips = distinct(clips)
    parts, empty = list[tuple[NDArray[np.int64], Stream]](), list[Stream]()
    for clip in clips:
        whole = stream_of(clip, calibrate, decoder)
        some = _parts(clip, whole)
        parts += some
        # Labelled clips without an event serve twice: against false events, and as background footage.
        empty += [stream for _, stream in some if stream is whole and not whole.truth]
    streams = [stream for _, stream in parts]
    files = [file for path in background for file in media_files(path)]
    heard: list[Clip] = []
    if files:
        with engine_of(config, console) as engine, console.status("") as status:
            for file in files:
                status.update(f"background: {file.name}")
                clip = Clip(file.name, recording(file, engine, SystemClock()), np.zeros(0, np.int64))
                heard.append(clip)
        # Footage that is there twice vouches for no more hours than once.
        empty += [stream_of(clip, calibrate, decoder) for clip in distinct([*clips, *heard])[len(clips) :]]
    try:
        with console.status("choosing thresholds"):
            chosen = choose(
                streams,
                len(info.labels) - 1,
                decode_with(decoder),
                background=empty,
                max_per_hour=per_hour,
            )
    except AvelError:
        raise
    except ValueError as error:
        raise UsageError(f"{fit.name}: {error}") from error
    events = [sum(e.label == c for s in streams for e in s.truth) for c in range(len(info.labels) - 1)]
    from .views import thresholds_view

    Console().print(thresholds_view(chosen, info.labels, events))
    if fit.plot is not None:
        curves, marks = {}, {}
        for c, name in enumerate(info.labels[:-1]):
            if events[c]:
                curves[name] = precision_recall(
                    (s.posteriors[:, c], _seconds_on(targets, len(s.posteriors), c)) for targets, s in parts
                )
                marks[name] = float(chosen.rules.enter[c])
        drawn(fit.plot, lambda path: _precision_recall(path, curves, marks, fit.title))
        console.print(f"drawn: {fit.plot}")
    facts: dict[str, Any] = {"event_f1": chosen.tally.f1, "max_false_alarms_per_hour": per_hour}
    if chosen.false_alarms is not None:
        facts["false_alarms"] = chosen.false_alarms.count
        facts["background_hours"] = chosen.false_alarms.hours
    made = Thresholds.of(chosen.rules, info.labels, **facts)
    store(info, fit.output, console, fit.dry_run, thresholds=made)


def _precision_recall(path: Path, curves: Any, marks: dict[str, float], data: str) -> None:
    from ....calibration.plots import precision_recall_png

    precision_recall_png(path, curves, marks, title=f"settled answers on {data}; the dot is the threshold")


def _parts(clip: Clip, stream: Stream) -> list[tuple[NDArray[np.int64], Stream]]:
    """The runs of a clip's seconds of which something is known, each as a stream with its targets."""
    known = clip.targets[: len(stream.posteriors)] >= 0
    if known.all():
        return [(clip.targets, stream)]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
    found = []
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        truth = [s._replace(start_s=s.start_s - first, end_s=s.end_s - first) for s in stream.truth]
        inside = tuple(s for s in truth if 0 <= s.start_s < last - first)
        found.append((clip.targets[first:last], Stream(stream.posteriors[first:last], inside)))
    return found


def _seconds_on(targets: NDArray[np.int64], count: int, label: int) -> NDArray[np.bool_]:
    on = np.zeros(count, np.bool_)
    known = min(count, len(targets))
    on[:known] = targets[:known] == label
    return on
