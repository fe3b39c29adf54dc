"""`avel-live`: open the source, load the networks, run until the end or Ctrl-C, say how it went."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

from ...config.flags import with_flags
from ...config.load import Loaded
from ...core.clock import SystemClock
from ...core.errors import SourceError
from .idle import refuse_idle
from .signals import Signals

if TYPE_CHECKING:
    from ...sinks.base import Sink


def run(loaded: Loaded) -> None:
    """The main job."""
    managed(lambda signals, opened: _stream(loaded, signals, opened))


def managed(job: Callable[[Signals, list[Closeable]], None]) -> None:
    """Do a job that signals end, and close what it opened, whatever happens."""
    signals = Signals()
    opened: list[Closeable] = []
    try:
        job(signals, opened)
    except BrokenPipeError:
        # The reader of our output went away while the networks were loaded: nowhere to say anything.
        nobody_reads()
    finally:
        # In the order of their opening: the screen says how it went before slow outputs are flushed.
        with ExitStack() as stack:
            for part in reversed(opened):
                stack.callback(part.close)
        signals.leave()
    if any(getattr(part, "stuck", False) for part in opened):
        os._exit(0)  # a thread still waits for the terminal, and the interpreter would wait for it


def nobody_reads() -> None:
    """What is printed from now on goes nowhere; otherwise the interpreter would complain as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Closeable(Protocol):
    """Something that has to be closed, whatever happens."""

    def close(self) -> None:
        """Release it."""


def _stream(loaded: Loaded, signals: Signals, opened: list[Closeable]) -> None:
    # Only here: `--help` needs none of it.
    from ...session.open import make_engine, restarting
    from ...session.outputs import make_outputs, make_screen_for
    from ...session.sources import make_source
    from ...session.wired import wired
    from ...sinks.switchboard import Switchboard
    from ...stream.missing import what_is_missing
    from ...stream.queue import StatusQueue
    from .service import Service

    refuse_idle(loaded)
    config = loaded.config
    clock, reports = SystemClock(), StatusQueue()
    source = make_source(config, clock)
    opened.append(source)
    if not config.is_live:
        source.open()

    def gone() -> None:
        signals.reader_gone()
        nobody_reads()

    # First: it says that the networks are being loaded.
    screen = make_screen_for(config, clock, stop=signals.stop, gone=gone)
    opened.append(screen)
    outputs = make_outputs(config, reports, clock, stop=signals.stop)
    switchboard = Switchboard(outputs, reports)
    opened.append(switchboard)
    loaded_engine = make_engine(config, None if config.json else _teller([screen, switchboard]))
    engine = restarting(loaded_engine, config, reports, clock)
    opened.append(engine)
    if config.is_live:
        # Only now: whatever devices deliver while the networks load would be late already.
        source.open()
    stream, reloader = wired(
        loaded,
        source,
        engine,
        outputs,
        switchboard,
        clock,
        reports,
        heartbeat=lambda: service.beat(),
        stop=signals.stop,
    )
    service = Service(clock, reloader, reports)
    signals.on_stop(stream.stop)
    signals.on_reload(service.ask)
    end = stream.run(screen, switchboard)
    service.stopping()
    if config.strict and (lost := end.totals.lost):
        raise SourceError(f"--strict: {source.info.name}: {what_is_missing(lost)}")


def _teller(sinks: list[Sink]) -> Callable[[str], None]:
    """Passes on what loading is busy with."""

    def tell(text: str) -> None:
        for sink in sinks:
            from ...core.messages import Status

            sink.status(Status("networks", "loading", text, 0))

    return tell


live = with_flags(
    run,
    """Name what is both seen and heard, every second, from a camera and a microphone or a recording.

    With no source given the first camera and the default microphone are used. Try `avel-live --demo`.
    """,
    leave_out=("follow",),
)
