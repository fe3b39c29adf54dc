"""One recording through the live path, as fast as the machine can, into findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..config.schema import Config
from ..core.clock import NS_PER_S, SystemClock
from ..core.messages import Status
from ..session.open import open_stream
from ..sources.replay import Replay, ReplayOptions
from ..stream.budget import delivered_frames
from .findings import Collector, Findings

if TYPE_CHECKING:
    from ...model.runtime.base import Engine


class StoppedError(Exception):
    """The user wants to stop; what was found so far is not kept."""


def analyse(
    path: Path, config: Config, engine: Engine, tell: Callable[[float], None], asked: Callable[[], bool]
) -> Findings:
    """What is in a recording.

    Args:
        path: the recording.
        config: networks and events; sources and outputs in it are not looked at.
        engine: warmed up, made with `config`.
        tell: called with the seconds done so far.
        asked: whether to stop.

    Raises:
        SourceError: not a recording, or damaged before its first second.
        StoppedError: `asked` said so.

    """
    clock = SystemClock()
    options = ReplayOptions(
        speed=None,
        video_track=config.video_track,
        audio_track=config.audio_track,
        frames=delivered_frames(config.most_frames),
        hwaccel=config.hwaccel,
    )
    source = Replay(path, clock, options)
    source.open()
    collector = Collector()
    # As fast as it goes, an answer a second: whatever the configuration says of live streams.
    plain = replace(config, file=path, url=None, demo=False, camera="0", mic="default", fast=True, hop_s=1.0)
    with open_stream(replace(plain, duration_s=None), source, engine, clock) as stream:
        collector.start(stream.start)
        for update in stream.updates():
            if isinstance(update, Status):
                collector.status(update)
                continue
            collector.hop(update)
            tell(update.segment.end_ns / NS_PER_S)
            if asked():
                raise StoppedError
        assert stream.end is not None
        collector.end(stream.end)
    return collector.findings()
