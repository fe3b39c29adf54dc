"""The composition root: a configuration becomes a source, an engine, a decoder, and a stream of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from ..clock import Clock, wall_clock_s
from ..config.schema import NONE, Config
from ..errors import SourceError
from ..messages import StreamStart

if TYPE_CHECKING:
    from ...model.runtime.base import Engine
    from ..events import DecoderConfig
    from ..sinks.base import Sink
    from ..sources.base import Source
    from ..sources.live import LiveOptions
    from .calibration import Applied


def open_source(config: Config, clock: Clock) -> Source:
    """The source that the configuration asks for; not opened yet."""
    if not config.is_live:
        from ..sources.replay import Replay, ReplayOptions

        return Replay(
            demo_path() if config.demo else Path(config.file or ""),
            clock,
            ReplayOptions(
                speed=None if config.fast else config.speed,
                start_s=config.start_s,
                duration_s=config.duration_s,
                loop=config.loop,
                video=config.camera != NONE,
                audio=config.mic != NONE,
                originals=config.record.dir is not None,
            ),
        )
    from .calibration import camera_delay_ms

    return open_live(config, clock, camera_delay_ms(config))


def demo_path() -> Path:
    """The clip in the package."""
    path = Path(str(files(__package__.rpartition(".")[0]) / "data" / "demo.mp4"))
    if not path.is_file():
        raise SourceError(
            f"the demo clip is missing from the installation ({path}); install the package again"
        )
    return path


def make_engine(config: Config, progress: Callable[[str], None] | None = None) -> Engine:
    """The networks, warmed up; `progress` is told what a slow start is busy with."""
    from ...model.runtime.base import EngineOptions
    from ...model.runtime.select import load_engine

    engine = load_engine(
        EngineOptions(
            profile=config.profile,
            backend=config.backend,
            precision=config.precision,
            checkpoint=config.checkpoint,
            audio_weights=config.audio_weights,
            visual_weights=config.visual_weights,
            threads=config.threads,
            progress=progress,
        )
    )
    engine.warm_up()
    return engine


def decoder_config(config: Config, labels: tuple[str, ...]) -> DecoderConfig:
    """The decoder's numbers: its defaults, overridden by what was set."""
    from ..events import DecoderConfig, class_set

    given = {
        "enter": config.enter,
        "leave": config.leave,
        "min_duration_s": config.min_event_s,
        "brief": config.brief,
        "hold_s": config.hold_s,
        "cool_down_s": config.cooldown_s,
        "classes": class_set(config.classes, labels) if config.classes else None,
        "ignore": class_set(config.ignore, labels) if config.ignore else None,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    return DecoderConfig(settle=config.settle, num_classes=len(labels), **chosen)  # type: ignore[arg-type]


def make_sinks(config: Config) -> list[Sink]:
    """Every consumer of results that the configuration asks for."""
    sinks: list[Sink] = []
    if config.json_:
        from ..sinks.stdout import JsonLines

        sinks.append(JsonLines(sys.stdout))
    else:
        from ..ui import make_screen

        sinks.append(make_screen(no_ui=config.no_ui))
    return sinks


def stream_start(config: Config, source: Source, engine: Engine, applied: Applied) -> StreamStart:
    """What every record of the stream is to be read with."""
    info = engine.info
    return StreamStart(
        version=version("avel-live"),
        profile=info.profile,
        backend=info.backend,
        precision=info.precision,
        source=source.info,
        labels=info.labels,
        hop_s=config.hop_s,
        settle=config.settle,
        device=info.device,
        note="; ".join(note for note in (info.note, applied.note) if note),
        calibration=applied.name,
        wall_clock=wall_clock_s() if config.is_live else None,
    )


def live_options(config: Config, camera_delay_ms: float = 0.0) -> LiveOptions:
    """What the configuration says about devices.

    `camera_delay_ms` comes from a calibration; `--sync-offset`, a shift of the camera's time, overrides it.
    """
    from ..sources.capture import CameraOptions
    from ..sources.live import LiveOptions
    from ..sources.microphone import MicOptions

    camera = microphone = None
    if config.camera != NONE:
        size: tuple[int, int] | None = None
        if config.size is not None:
            width, height = config.size.split("x")
            size = (int(width), int(height))
        camera = CameraOptions(config.camera, size, config.fps, keep_original=config.record.dir is not None)
    if config.mic != NONE:
        microphone = MicOptions(config.mic, config.channel)
    if config.sync_offset_ms is not None:
        camera_delay_ms = -config.sync_offset_ms
    return LiveOptions(camera, microphone, camera_delay_ms)


def open_live(config: Config, clock: Clock, camera_delay_ms: float = 0.0) -> Source:
    """The source that `--url`, or `--camera` and `--mic`, ask for; not opened yet."""
    if config.url is not None:
        from ..sources.network import NetworkOptions, NetworkSource

        options = NetworkOptions(
            config.url,
            video=config.camera != NONE,
            audio=config.mic != NONE,
            keep_original=config.record.dir is not None,
        )
        return NetworkSource(options, clock)
    from ..sources.live import LiveSource

    return LiveSource(live_options(config, camera_delay_ms), clock)
