"""`avel serve`: all streams of a configuration in one program, until a signal comes."""

from __future__ import annotations

from typing import Final

from ...config.flags import with_flags
from ...config.keys import keys
from ...config.load import Loaded
from ...core.clock import NS_PER_S, SystemClock
from ...core.errors import UsageError
from ...core.options import SOURCE
from ..live import Closeable, managed, nobody_reads
from ..live.signals import Signals

_TURN_NS: Final = NS_PER_S // 4


def run(loaded: Loaded) -> None:
    """The main job."""
    managed(lambda signals, opened: _serve(loaded, signals, opened))


def _serve(loaded: Loaded, signals: Signals, opened: list[Closeable]) -> None:
    # Only here: `--help` needs none of it.
    from ...config.streams import kept_in, streams_of
    from ...serve.alone import Alone
    from ...serve.box import Box, memory_of
    from ...serve.console import Console
    from ...session.pages import page_of_box
    from ..live.service import Service

    config = loaded.config
    streams = streams_of(loaded)
    paged = config.web.listen is not None
    if not (streams or config.follow or paged):
        raise UsageError(
            "there is nothing to serve: write a table [[streams]] with a name and a source for each stream "
            "into avel.toml, add them on the page (--web 8090), or --follow other boxes; avel-live runs one "
            "stream"
        )
    opened.append(Alone(kept_in(config)))
    clock = SystemClock()

    def gone() -> None:
        signals.reader_gone()
        nobody_reads()

    console = Console(json=config.json, clock=clock, stop=signals.stop, gone=gone)
    box = Box(loaded, clock, console, signals.stop, stays=paged)
    opened.append(box)
    box.open()
    if paged:
        page = page_of_box(config.web, box, memory_of(loaded), box.folders, clock)
        opened.append(page)
        empty = "" if streams or config.follow else "; there is no stream yet: add the first one there"
        box.say("web", "running", f"the page is at {page.url}{empty}")
    service = Service(clock, box.reload, box.say)
    signals.on_stop(box.stop)
    signals.on_reload(service.ask)
    while not (box.over or clock.wait_until(clock.now_ns() + _TURN_NS, box.stopped)):
        box.beat()
        if box.working:
            service.beat()
    service.stopping()


_LEFT_OUT: Final = ("name", "strict", "no_ui", *(key.path for key in keys() if key.option.panel == SOURCE))
"""Flags that would be one stream's."""

serve = with_flags(
    run,
    """Run every stream of `[[streams]]` in avel.toml in one program, with one copy of the networks.

    SIGHUP reads the file again: new streams start, missing ones stop, changed ones go on changed, and no
    other is disturbed. Flags hold for all streams. With --web it may start without any: streams are added,
    changed and removed on the page, and kept for the next start.
    """,
    leave_out=_LEFT_OUT,
)
