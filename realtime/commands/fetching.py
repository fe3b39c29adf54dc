"""A bar on standard error while public weights are being fetched, where somebody is looking."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...model.downloads import Progress, PublicFile

if TYPE_CHECKING:
    from ..ui.console import Console


@contextmanager
def bar(item: PublicFile, console: Console | None = None) -> Iterator[Progress]:
    """What `downloads.watched` wants.

    Args:
        item: what is being fetched.
        console: where to draw; standard error if not given.

    """
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from ..ui.console import Console

    console = console or Console(stderr=True)
    columns = (
        TextColumn("fetching {task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, disable=not console.is_terminal) as drawn:
        task = drawn.add_task(item.what, total=None)
        yield lambda done, total: drawn.update(task, completed=done, total=total)
