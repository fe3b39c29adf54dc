"""One recording, start to finish: the same step alone, in a pool of processes, and on a cluster."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..core.errors import AvelError, OutputError, SourceError
from ..core.text import one_line
from .analyse import StoppedError, analyse
from .batch import Job, write_results

if TYPE_CHECKING:
    from ...model.runtime.base import Engine
    from ..config.schema import Config

_OF_THE_NAME: Final = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)
"""A file that can't be made because of what it would be called: the next one may well be."""


@dataclass(frozen=True)
class Plan:
    """What every worker needs to know.

    Attributes:
        config: networks and events.
        out: the output folder.
        settings: `batch.fingerprint` of the configuration.
        embed: put the recording itself into the page.
        version: of avel-live.
        also: further formats to write, of `annotations.FORMATS`.

    """

    config: Config
    out: Path
    settings: str
    embed: bool
    version: str
    also: tuple[str, ...] = ()


def localize_one(
    job: Job,
    plan: Plan,
    engine: Engine,
    tell: Callable[[float], None] = lambda _seconds: None,
    asked: Callable[[], bool] = lambda: False,
) -> dict[str, Any] | str:
    """Analyse a recording and write its results.

    Args:
        job: the recording.
        plan: see there.
        engine: warmed up, made with the plan's configuration.
        tell: told the seconds done now and then.
        asked: whether to stop.

    Returns:
        its record, or in words why it can't be read.

    Raises:
        StoppedError: asked to stop.
        OutputError: results can't be written.

    """
    try:
        findings = analyse(job.source, plan.config, engine, tell, asked)
        return write_results(
            findings,
            job,
            plan.out,
            plan.settings,
            embed=plan.embed,
            version=plan.version,
            also=plan.also,
        )
    except SourceError as error:
        return str(error)
    except OutputError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _OF_THE_NAME:
            return str(error)
        raise
    except (AvelError, StoppedError):
        raise
    except Exception as error:  # whatever is odd about one recording must not cost the others
        return f"{type(error).__name__}: {one_line(str(error))}"
