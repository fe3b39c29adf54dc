"""A whole recording in one call (exported by `avel_live`)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ..config.load import config_from
from ..session.open import make_engine
from .analyse import analyse
from .findings import Findings

if TYPE_CHECKING:
    from ...model.runtime.base import Engine


def localize(
    path: str | Path,
    *,
    profile: str = "lite",
    engine: Engine | None = None,
    progress: Callable[[float], None] = lambda _seconds: None,
) -> Findings:
    """Look through a recording, as fast as the machine can.

    Args:
        path: anything FFmpeg reads.
        profile: which networks; not looked at where an `engine` is given.
        engine: networks that are shared (`avel_live.load_engine`); not closed here.
        progress: told the seconds done so far.

    Returns:
        events and seconds, with waveform and pictures for a page.

    Raises:
        SourceError: not a recording, or damaged before its first second.
        ModelFileError, BackendError: as `avel_live.load_engine`.

    """
    config = config_from({"profile": profile})
    with ExitStack() as stack:
        networks = engine
        if networks is None:
            networks = make_engine(config)
            stack.callback(networks.close)
        return analyse(Path(path), config, networks, progress, lambda: False)
