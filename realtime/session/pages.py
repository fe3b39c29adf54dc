"""The page in the browser (`--web`), for one stream or for a box of several."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..config.schema import Config
from ..core.clock import Clock
from ..core.errors import OutputError
from ..sinks.base import About, Sink
from ..sinks.memory import MemoryOptions
from ..sinks.web import WebOptions

if TYPE_CHECKING:
    from ..memory import Memory
    from ..web.box import Box
    from ..web.server import Page


def page_of(config: Config) -> Callable[[WebOptions, About], Sink]:
    """What makes the page of one stream."""

    def make(options: WebOptions, about: About) -> Sink:
        with_extra()
        from ..web.server import PageSink

        folders = () if config.clips.dir is None else (config.clips.dir,)
        return PageSink(options, about, remembered(config.memory), folders)

    return make


def page_of_box(
    options: WebOptions, box: Box, memory: Path | None, folders: Callable[[], tuple[Path, ...]], clock: Clock
) -> Page:
    """The page of several streams, from now on.

    Args:
        options: where, and who may.
        box: what it shows.
        memory: the file that all of them write, made where there is none; None = nothing is remembered.
        folders: says where clips may lie; nothing else is ever sent.
        clock: the one clock.

    Raises:
        UsageError, OutputError: as `web.server.Page`; the memory can't be opened; the extra is missing.

    """
    with_extra()
    from ..memory import Memory, MemoryFileError, Writer
    from ..web.server import Page

    if memory is not None:
        try:
            Writer(memory).close()
        except MemoryFileError as error:
            raise OutputError(f"memory: {error}") from error
    known = None if memory is None else Memory(memory)
    return Page(options, box, known, folders, clock)


def remembered(options: MemoryOptions) -> Memory | None:
    """The memory that a stream writes; None where it writes none."""
    if not options.wanted:
        return None
    from ..memory import Memory

    return Memory(options.file)


def with_extra() -> None:
    """See that the extra is there.

    Raises:
        OutputError: a package of it is missing.

    """
    try:
        import argon2  # noqa: F401
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise OutputError(
            f"web: the package {error.name} is missing; `pip install 'avel-live[web]'`"
        ) from error
