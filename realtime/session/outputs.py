"""Every output that a configuration asks for, each in threads of its own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Final

from ..config.schema import Config
from ..core.clock import Clock
from ..sinks.base import About, Predecessor, Report, Sink
from ..sinks.lines import LineWriter
from ..sinks.stdout import JsonLines
from ..ui import make_screen
from .pages import page_of

LIVE_WAIT_S: Final = 2.0
"""How long a live stream waits for the reader of standard output: about as long as it may be late anyway."""


def make_outputs(
    config: Config,
    report: Report,
    clock: Clock,
    only: Collection[str] | None = None,
    *,
    stop: threading.Event | None = None,
    replacing: Mapping[str, Predecessor] | None = None,
    several: bool = False,
) -> dict[str, Sink]:
    """Build them, by the name of their group in the configuration.

    Args:
        config: what is asked for.
        report: where the outputs tell their troubles.
        clock: the stream's clock.
        only: just these groups.
        stop: set when the stream is asked to end.
        replacing: in a reload, what they take the place of.
        several: whether the program has other streams, too.

    Raises:
        UsageError: an address, command or budget that makes no sense.
        OutputError: a folder that can't be written, a taken port, a missing package or program.

    """
    name, wait_s = config.stream_name, config.output_wait_s
    about = About(name, config.is_live, report, clock, wait_s=wait_s, stop=stop, several=several)
    about = replace(about, page=page_of(config))
    outputs: dict[str, Sink] = {}
    try:
        for group, options in config.outputs.items():
            if only is None or group in only:
                output = options.build(replace(about, replaces=(replacing or {}).get(group)))
                if output is not None:
                    outputs[group] = output
    except BaseException:
        for output in outputs.values():
            output.close()
        raise
    return outputs


def make_screen_for(
    config: Config,
    clock: Clock,
    *,
    stop: threading.Event | None = None,
    gone: Callable[[], None] | None = None,
) -> Sink:
    """What is written to standard output: JSON lines, or a screen for people.

    Args:
        config: which.
        clock: paces the screen.
        stop: set when the stream is asked to end: nothing waits for a reader any more.
        gone: called once when the reader of standard output is gone (`| head`, a closed terminal); without
            it that is an error.

    """
    wait_s = min(config.output_wait_s, LIVE_WAIT_S) if config.is_live else config.output_wait_s
    lines = LineWriter(sys.stdout, clock, wait_s=wait_s, stop=stop, gone=gone)
    if config.json:
        return JsonLines(lines)
    return make_screen(no_ui=config.no_ui, clock=clock, lines=lines, gone=gone)
