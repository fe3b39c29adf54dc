"""`avel-live`: open the source, load the networks, run until the end or Ctrl-C, say how it went."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...clock import SystemClock
from ...config.flags import with_flags
from ...config.load import Loaded
from ...config.schema import Config
from ...messages import Status
from .signals import Signals

if TYPE_CHECKING:
    from ....model.runtime.base import Engine
    from ...events import DecoderConfig
    from ...sinks.base import Sink


def run(loaded: Loaded) -> None:
    """The main job."""
    from ...events import Decoder
    from ...session.calibration import apply_calibration, under_flags
    from ...session.open import decoder_config, make_engine, make_sinks, open_source, stream_start
    from ...session.outputs import log_sinks, make_outputs
    from ...sinks.switchboard import Switchboard
    from ...stream.loop import Pipeline, PipelineOptions
    from ...stream.queue import Reports
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
        pipeline.run(stream_start(config, source, engine, applied))
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


live = with_flags(
    run,
    """Name what is both seen and heard, every second, from a camera and a microphone or a recording.

    With no source given the first camera and the default microphone are used. Try `avel-live --demo`.
    """,
)
