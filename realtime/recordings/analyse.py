"""One recording through the live path, as fast as the machine can, into findings."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from ..clock import SystemClock
from ..messages import HopRecord, Status, StreamEnd, StreamStart
from .findings import Collector, Findings

if TYPE_CHECKING:
    from ...model.runtime.base import Engine
    from ..config.schema import Config


class StoppedError(Exception):
    """The user wants to stop; what was found so far is not kept."""


class _Watcher:
    """Tells how far the pass is, and ends it when asked to."""

    def __init__(self, tell: Callable[[float], None], asked: Callable[[], bool]) -> None:
        self._tell, self._asked = tell, asked
        self.stop: Callable[[], None] | None = None
        self.stopped = False

    def start(self, start: StreamStart) -> None:
        """Nothing to tell yet."""

    def hop(self, record: HopRecord) -> None:
        """Tell the seconds done."""
        self._tell(record.segment.end_ns / 1e9)
        if self._asked() and self.stop is not None:
            self.stopped = True
            self.stop()

    def status(self, status: Status) -> None:
        """Not for a progress bar."""

    def end(self, end: StreamEnd) -> None:
        """All of it is done."""
        self._tell(end.seconds)

    def close(self) -> None:
        """Nothing is open."""


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
    from ..events import Decoder
    from ..session.calibration import apply_calibration, under_flags
    from ..session.open import decoder_config
    from ..sources.replay import Replay, ReplayOptions
    from ..stream.loop import Pipeline, PipelineOptions

    clock = SystemClock()
    source = Replay(path, clock, ReplayOptions(speed=None))
    source.open()
    try:
        applied = apply_calibration(config, engine.info, source.info)
        collector, watcher = Collector(), _Watcher(tell, asked)
        pipeline = Pipeline(
            source,
            engine,
            Decoder(under_flags(config, decoder_config(config, engine.info.labels), applied.rules)),
            [collector, watcher],
            clock,
            PipelineOptions(frames=None if config.frames == "auto" else int(config.frames), paced=False),
            calibrate=applied.calibrate,
        )
        watcher.stop = pipeline.stop
        pipeline.run(
            StreamStart(
                version=version("avel-live"),
                profile=engine.info.profile,
                backend=engine.info.backend,
                precision=engine.info.precision,
                source=source.info,
                labels=engine.info.labels,
                hop_s=1.0,
                settle=config.settle,
                device=engine.info.device,
                note=applied.note,
                calibration=applied.name,
            )
        )
    finally:
        source.close()
    if watcher.stopped:
        raise StoppedError
    return collector.findings()
