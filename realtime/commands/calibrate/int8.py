"""`avel calibrate int8`: seconds from clips or devices to quantised graphs and what they cost."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from ....calibration.int8 import Int8Result, Int8Settings, calibrate
from ....calibration.int8.install import install
from ....calibration.int8.report import thinned
from ....calibration.int8.samples import Second
from ....model.checkpoint import read_info
from ....model.profiles import get_profile
from ....model.runtime.base import EngineOptions
from ....model.runtime.int8_graphs import TARGETS, Target, shipped_folder
from ....model.runtime.networks import head_path
from ...config.schema import Config
from ...core.clock import NS_PER_S, Clock, SystemClock
from ...core.errors import UsageError
from ...recordings.labelled import is_manifest, media_files, read_manifest
from ...stream.segments import segments
from ...ui.console import Console
from .store import write

_WORST_SHOWN = 8


@dataclass(frozen=True)
class Int8Job:
    """What the command line asks for.

    Attributes:
        clips: recordings or folders of them (MANIFEST.tsv gives labels); empty = the configured devices.
        data: training data as `avel train lite` reads it, instead of clips.
        minutes: how long to watch live devices.
        output: folder to install into; None = the user's data folder.
        report: also write the report here, as JSON.
        ship: install into the package itself, for machines with VNNI.
        dry_run: report only.

    """

    clips: Sequence[Path]
    data: Path | None
    minutes: float
    output: Path | None
    report: Path | None
    ship: bool
    dry_run: bool


def calibrate_int8(config: Config, job: Int8Job, settings: Int8Settings) -> None:
    """Calibrate, report, install."""
    import json

    console = Console(stderr=True)
    profile = get_profile(config.profile)
    options = EngineOptions(
        profile=profile.name,
        checkpoint=config.checkpoint,
        audio_weights=config.audio_weights,
        visual_weights=config.visual_weights,
        threads=config.threads,
    )
    clock = SystemClock()
    labels = read_info(head_path(profile, config.checkpoint)).labels
    streams: Iterable[Iterable[Second]]
    if job.data is not None:
        from .int8_scenes import from_training_data

        streams = from_training_data(job.data, labels, settings.seed)
    elif job.clips:
        streams = from_files(job.clips, clock, labels)
    else:
        streams = [from_devices(config, job, clock)]
    with (
        tempfile.TemporaryDirectory(prefix="avel-int8-") as work,
        console.status("reading the material") as status,
    ):
        result = calibrate(options, streams, settings, status.update, Path(work))
        status.stop()
        Console().print(account(result))
        if job.report:
            write(job.report, json.dumps(result.to_dict(), indent=1))
        if not job.dry_run:
            folder = shipped_folder(profile) if job.ship else job.output
            targets: tuple[Target, ...] = ("cpu",) if job.ship else TARGETS
            installed = install(result, settings.agreement, folder, targets)
            console.print(f"installed: {installed}", highlight=False)


def from_files(clips: Sequence[Path], clock: Clock, labels: Sequence[str]) -> Iterator[Iterable[Second]]:
    """The seconds of every recording, with labels where a MANIFEST.tsv has them.

    Args:
        clips: recordings, or folders of them.
        clock: of the replay.
        labels: class names of the head, background last.

    Raises:
        UsageError: a path does not exist.

    """
    for path in clips:
        if not path.exists():
            raise UsageError(f"no such file or folder: {path}")
        if path.is_dir() and is_manifest(path):
            for clip, targets in read_manifest(path, labels):
                yield _labelled(clip, targets, clock)
        else:
            for clip in media_files(path):
                yield _labelled(clip, None, clock)


def _labelled(clip: Path, targets: Any, clock: Clock) -> Iterator[Second]:
    from ...sources.replay import Replay, ReplayOptions

    source = Replay(clip, clock, ReplayOptions(speed=None))
    source.open()
    for segment in segments(source):
        label = None if targets is None or segment.index >= len(targets) else int(targets[segment.index])
        if segment.video:
            yield Second(segment.frames, segment.audio, label)


def from_devices(config: Config, job: Int8Job, clock: Clock) -> Iterator[Second]:
    """What the configured camera and microphone deliver for some minutes."""
    from ...session.sources import make_source

    source = make_source(config, clock)
    source.open()
    for segment in segments(source):
        if segment.video:
            yield Second(thinned(segment.frames, 4).copy(), segment.audio)
        if segment.end_ns >= job.minutes * 60 * NS_PER_S:
            source.close()
            return


def account(result: Int8Result) -> Table:
    """What it cost, for people."""
    table = Table(
        f"{result.profile.name} INT8", *result.costs, box=None, pad_edge=False, title_justify="left"
    )

    def row(title: str, values: Iterable[str]) -> None:
        table.add_row(title, *values)

    costs = list(result.costs.values())
    row("labels equal to float32's", (f"{c.agreement:.1%} of {c.seconds} s" for c in costs))
    row("the same, provisional labels", (f"{c.agreement_newest:.1%}" for c in costs))
    row("probabilities, mean difference", (f"{c.probability_error:.4f}" for c in costs))
    row("visual features, relative error", (f"{c.feature_error:.3f}" for c in costs))
    row("visual features, cosine", (f"{c.cosine:.4f}" for c in costs))
    if costs[0].accuracy_float is not None:
        row(
            "right labels, float32 → INT8", (f"{c.accuracy_float:.1%} → {c.accuracy_int8:.1%}" for c in costs)
        )
    details = result.details
    row("ranges by", [f"{result.method} ({_pairs(details['methods'])})"])
    row("layers left in float32", [", ".join(result.kept) or "none"])
    worst = list(costs[0].layers.items())[:_WORST_SHOWN]
    row("layers that cost most", [_pairs(dict(worst))])
    times = details["ms_per_8_frames"]
    row("8 frames on this machine", [f"{times['fp32']:.0f} ms → {times['int8']:.0f} ms"])
    if details["seven_bits"]:
        row("weights", ["7 bits: this CPU has no VNNI, 8 would saturate"])
    return table


def _pairs(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {np.round(value, 3)}" for name, value in values.items())
