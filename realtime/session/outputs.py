"""Every output that a configuration asks for, each in threads of its own."""

from __future__ import annotations

import sys
from collections.abc import Collection

from ..clock import Clock
from ..config.schema import Config
from ..sinks.base import About, Report, Sink
from ..sinks.stdout import JsonLines
from ..ui import make_screen


def make_outputs(
    config: Config, report: Report, clock: Clock, only: Collection[str] | None = None
) -> dict[str, Sink]:
    """Build them, by the name of their group in the configuration.

    Args:
        config: what is asked for.
        report: where the outputs tell their troubles.
        clock: the stream's clock.
        only: just these groups.

    Raises:
        UsageError: an address, command or budget that makes no sense.
        OutputError: a folder that can't be written, a taken port, a missing package or program.

    """
    about = About(config.stream_name, config.is_live, report, clock)
    outputs: dict[str, Sink] = {}
    try:
        for group, options in config.outputs.items():
            if only is None or group in only:
                output = options.build(about)
                if output is not None:
                    outputs[group] = output
    except BaseException:
        for output in outputs.values():
            output.close()
        raise
    return outputs


def make_screen_for(config: Config, clock: Clock) -> Sink:
    """What is written to standard output: JSON lines, or a screen for people."""
    return JsonLines(sys.stdout) if config.json else make_screen(no_ui=config.no_ui, clock=clock)
