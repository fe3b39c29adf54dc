"""`avel calibrate sync`: the offset between this camera and this microphone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ....calibration.contents import DeviceFile
from ....calibration.files import device_path
from ....calibration.onsets import FrameActivity, claps, flashes, frame_activity, onset_strength, sound_onsets
from ....calibration.sync import SyncEstimate, WeakEvidenceError, match
from ...config.schema import NONE, Config
from ...core.clock import Clock, SystemClock
from ...core.errors import UsageError
from ...core.messages import SAMPLE_RATE, EndOfStream, TimedAudio, TimedFrame
from ...recordings.labelled import seconds_of
from ...session.calibration import devices_of
from ...ui.console import Console
from .store import drawn, now, saved

if TYPE_CHECKING:
    from ...sources.base import Source


def calibrate_sync(
    config: Config, seconds: float, max_offset_s: float, plot: Path | None, *, dry_run: bool
) -> None:
    """`avel calibrate sync`."""
    console = Console(stderr=True)
    if config.is_live and (config.url is not None or NONE in (config.camera, config.mic)):
        raise UsageError("sync: an offset is between a camera and a microphone; give --camera and --mic")
    source, live = _uncorrected(config, SystemClock())
    source.open()
    try:
        if live:
            console.print("[bold]clap five times, unevenly, hands in the middle of the picture[/]")
        samples, start_s, activity = _watch(source, seconds if live else None)
    finally:
        source.close()
    heard = sound_onsets(samples, SAMPLE_RATE, start_s)
    found: SyncEstimate | None = None
    try:
        if len(activity.times_s) < 8:
            raise WeakEvidenceError(
                f"sync: only {len(activity.times_s)} pictures came; is the camera covered or lost?"
            )
        frame_s = float(np.median(np.diff(activity.times_s)))
        found = match(heard, [flashes(activity), claps(activity)], frame_s, max_offset_s)
    finally:
        if plot is not None:
            drawn(plot, lambda path: _sync(path, samples, start_s, activity, found, source.info.name))
            console.print(f"drawn: {plot}")
    from .views import sync_view

    Console().print(sync_view(found))
    devices = devices_of(source.info)
    if devices is None:
        console.print("a recording has one clock: nothing stored (give --camera and --mic for devices)")
    elif dry_run:
        console.print("nothing stored (--dry-run)")
    else:
        path = device_path(devices)
        saved(path, DeviceFile.of(found, devices, now()))
        console.print(f"stored for {devices}: {path}")


def _sync(
    path: Path,
    samples: NDArray[np.float32],
    start_s: float,
    activity: FrameActivity,
    found: SyncEstimate | None,
    name: str,
) -> None:
    from ....calibration.plots import sync_png

    times, flux = onset_strength(samples, SAMPLE_RATE)
    sync_png(
        path,
        (times + start_s, np.maximum(0.0, flux)),
        (activity.times_s, activity.motion),
        None if found is None else found.offset_ms,
        title=name,
    )


def _uncorrected(config: Config, clock: Clock) -> tuple[Source, bool]:
    """The source as it is, with no offset taken off, and every picture of it."""
    if not config.is_live:
        from ...session.sources import demo_path
        from ...sources.replay import Replay, ReplayOptions

        path = demo_path() if config.demo else Path(config.file or "")
        return Replay(path, clock, ReplayOptions(speed=None, originals=True)), False
    from ...session.sources import live_options, network
    from ...sources.live import LiveSource

    if config.url is not None:
        return network(config, clock), True
    return LiveSource(live_options(replace(config, sync_offset_ms=None)), clock), True


def _watch(source: Source, seconds: float | None) -> tuple[NDArray[np.float32], float, FrameActivity]:
    """Sound [n], its first instant, and the activity of the pictures, of so many seconds."""
    blocks: list[TimedAudio] = []

    def frames() -> Iterator[tuple[float, NDArray[np.uint8]]]:
        now = 0.0
        while seconds is None or now < seconds:
            item = source.read(0.2)
            present_ns = source.stream_now_ns()
            if seconds is not None and present_ns is not None and seconds_of(present_ns) > seconds + 1:
                return  # nothing comes any more; what came is judged
            if isinstance(item, EndOfStream):
                return
            if isinstance(item, TimedFrame):
                now = max(now, seconds_of(item.t_ns))
                yield seconds_of(item.t_ns), item.image
            elif isinstance(item, TimedAudio):
                now = max(now, item.position / SAMPLE_RATE)
                blocks.append(item)

    activity = frame_activity(frames())
    if not blocks:
        return np.zeros(0, np.float32), 0.0, activity
    first = blocks[0].position
    last = blocks[-1]
    samples = np.zeros(last.position + len(last.samples) - first, np.float32)
    for block in blocks:
        samples[block.position - first : block.position - first + len(block.samples)] = block.samples
    return samples, first / SAMPLE_RATE, activity
