"""A stream with its outputs, and the reload that changes both: `avel-live` runs one, `avel serve` several."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ..config.load import Loaded
from ..core.clock import Clock
from ..sinks.base import Sink
from ..sinks.switchboard import Switchboard
from ..sources.base import Source
from .calibration import apply_calibration
from .open import decoding, open_stream
from .reload import Reloader
from .taught import classes_of

if TYPE_CHECKING:
    from ...model.runtime.base import Engine
    from ..stream.budget import SharedBudget
    from ..stream.loop import Stream
    from ..stream.queue import StatusQueue


class Wired(NamedTuple):
    """A stream, not begun yet, and what changes it while it runs."""

    stream: Stream
    reload: Reloader


def wired(
    loaded: Loaded,
    source: Source,
    engine: Engine,
    outputs: Mapping[str, Sink],
    switchboard: Switchboard,
    clock: Clock,
    reports: StatusQueue,
    *,
    heartbeat: Callable[[], None],
    stop: threading.Event,
    shared: SharedBudget | None = None,
) -> Wired:
    """Put them together.

    Args:
        loaded: what it runs by.
        source: open already.
        engine: warm.
        outputs: what `make_outputs` built, by name.
        switchboard: where they are plugged in.
        clock: the one clock.
        reports: what outputs and networks have to say.
        heartbeat: called several times a second; a reload belongs in there.
        stop: set when the stream is asked to end.
        shared: the budget of all streams that share the engine; None = this one is alone.

    Raises:
        ModelFileError: the calibration asked for, or a taught class, is missing, damaged, or made for
            something else.
        UsageError: a class that these networks do not know.

    """
    config = loaded.config
    classes = classes_of(config, engine)
    active = apply_calibration(config, engine.info, source.info)
    stream = open_stream(
        config,
        source,
        engine,
        clock,
        active=active,
        classes=classes,
        decoder=decoding(config, classes.labels, active, classes.count),
        reports=reports,
        heartbeat=heartbeat,
        shared=shared,
    )
    reload = Reloader(
        loaded,
        outputs,
        switchboard,
        stream.decoder,
        lambda given: decoding(given, classes.labels, active, classes.count),
        reports,
        clock,
        stop,
        several=shared is not None,
    )
    return Wired(stream, reload)
