"""`avel-live`: open the source, load the networks, run until the end or Ctrl-C, say how it went."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from ...clock import Clock, SystemClock, wall_clock_s
from ...config.flags import with_flags
from ...config.load import Loaded
from ...config.schema import NONE, Config
from ...errors import SourceError
from ...messages import Status, StreamStart
from .signals import Signals

if TYPE_CHECKING:
    from ....model.runtime.base import Engine
    from ...events import DecoderConfig
    from ...session.calibration import Applied
    from ...sinks.base import Sink
    from ...sources.base import Source


def open_source(config: Config, clock: Clock) -> Source:
    """The source that the configuration asks for; not opened yet."""
    if not config.is_live:
        from ...sources.replay import Replay, ReplayOptions

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
    from ...session.calibration import camera_delay_ms
    from ...sources.live import open_live

    return open_live(config, clock, camera_delay_ms(config))


def demo_path() -> Path:
    """The clip in the package."""
    path = Path(str(files(__package__.rpartition(".commands")[0]) / "data" / "demo.mp4"))
    if not path.is_file():
        raise SourceError(
            f"the demo clip is missing from the installation ({path}); install the package again"
        )
    return path


def make_engine(config: Config, progress: Callable[[str], None] | None = None) -> Engine:
    """The networks, warmed up; `progress` is told what a slow start is busy with."""
    from ....model.runtime.base import EngineOptions
    from ....model.runtime.select import load_engine

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
    from ...events import DecoderConfig, class_set

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
        from ...sinks.stdout import JsonLines

        sinks.append(JsonLines(sys.stdout))
    else:
        from ...ui import make_screen

        sinks.append(make_screen(no_ui=config.no_ui))
    return sinks


def run(loaded: Loaded) -> None:
    """The main job."""
    from ...events import Decoder
    from ...session.calibration import apply_calibration, under_flags
    from ...session.outputs import make_outputs
    from ...sinks.files import log_sinks
    from ...sinks.switchboard import Switchboard
    from ...stream.loop import Pipeline, PipelineOptions
    from ...stream.reports import Reports
    from ...stream.restarting import RevivedEngine
    from .reload import Reloader
    from .service import Service

    config = loaded.config
    signals = Signals()
    clock = SystemClock()
    reports = Reports()
    source = open_source(config, clock)
    sinks: list[Sink] = []
    engine: Engine | None = None
    try:
        if not config.is_live:
            source.open()
        sinks = make_sinks(config)  # first: the screen says that the networks are being loaded
        sinks += log_sinks(config.log, reports, live=config.is_live)
        outputs = make_outputs(config, reports, clock)
        switchboard = Switchboard(list(outputs.values()))
        sinks.append(switchboard)
        engine = RevivedEngine(
            make_engine(config, None if config.json_ else _teller(sinks)),
            lambda: make_engine(config),
            reports,
            clock,
        )
        if config.is_live:
            # Only now: whatever devices deliver while the networks load would be late already.
            source.open()
        applied = apply_calibration(config, engine.info, source.info)
        labels = engine.info.labels

        def decoding(given: Config) -> DecoderConfig:
            return under_flags(given, decoder_config(given, labels), applied.rules)

        decoder = Decoder(decoding(config))
        reloader = Reloader(loaded, outputs, switchboard, decoder, decoding, reports, clock)
        service = Service(clock, reloader, reports)
        pipeline = Pipeline(
            source,
            engine,
            decoder,
            sinks,
            clock,
            PipelineOptions(
                hop_s=config.hop_s,
                frames=None if config.frames == "auto" else int(config.frames),
                duration_s=config.duration_s,
                paced=config.is_live or not config.fast,
            ),
            calibrate=applied.calibrate,
            reports=reports,
            heartbeat=service.beat,
        )
        signals.on_stop(pipeline.stop)
        service.listen()
        pipeline.run(_start(config, source, engine, applied))
        service.stopping()
    except BrokenPipeError:
        # The reader of our output went away (`| head`): nothing to say, and nowhere to say it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        source.close()
        for sink in sinks:
            sink.close()
        if engine is not None:
            engine.close()
        signals.leave()


def _teller(sinks: list[Sink]) -> Callable[[str], None]:
    """Passes on what loading is busy with."""

    def tell(text: str) -> None:
        for sink in sinks:
            sink.status(Status("networks", "loading", text, 0))

    return tell


def _start(config: Config, source: Source, engine: Engine, applied: Applied) -> StreamStart:
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


live = with_flags(
    run,
    """Name what is both seen and heard, every second, from a camera and a microphone or a recording.

    With no source given the first camera and the default microphone are used. Try `avel-live --demo`.
    """,
)
