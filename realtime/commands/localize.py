"""`avel localize FILE|DIR … -o out/`: look through recordings, and write down what happened when."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..config.flags import with_flags
from ..config.keys import keys
from ..config.load import Loaded
from ..core.errors import OutputError, SourceError, UsageError
from ..core.options import EVENTS, NETWORK
from ..core.text import visible

if TYPE_CHECKING:
    from ..recordings.batch import Job
    from ..recordings.one import Plan

_PANELS = (NETWORK, EVENTS)
_LEFT_OUT = tuple(
    key.path
    for key in keys()
    if key.option.flags
    and key.path not in ("debug", "strict", "video_track", "audio_track")
    and (key.option.panel not in _PANELS or key.path == "hop_s")
)


@dataclass(frozen=True)
class _Own:
    """The options that only this command has."""

    paths: tuple[Path, ...]
    out: Path
    jobs: int | None
    ray: str | None
    embed: bool
    force: bool
    also: tuple[str, ...]


def run(loaded: Loaded, own: _Own) -> None:
    """Find what is to be done, do it in parallel, write the index."""
    from ..recordings.annotations import FORMATS
    from ..recordings.batch import find_jobs, fingerprint, finished, index_row, write_index
    from ..recordings.one import Plan
    from ..recordings.table import write_table

    if unknown := [name for name in own.also if name not in FORMATS]:
        raise UsageError(f"--also {unknown[0]}: expected {', '.join(FORMATS)}")
    try:
        own.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"-o {own.out}: can't be made ({error.strerror})") from error
    if not os.access(own.out, os.W_OK):
        raise OutputError(f"-o {own.out}: can't be written")
    jobs = find_jobs(own.paths, own.out, _say)
    release = version("avel-live")
    settings = fingerprint(loaded.config, release)
    results: dict[Job, dict[str, Any]] = {}
    for job in jobs:
        if not own.force and (record := finished(job, own.out, settings, own.also)) is not None:
            results[job] = record
    todo = [job for job in jobs if job not in results]
    if results:
        _say(f"{len(results)} of {len(jobs)} recordings are done already; --force does them again")
    failures: dict[Job, str] = {}
    if todo:
        wanted = own.jobs or max(1, min(len(todo), (os.cpu_count() or 2) // 2, 4))
        plan = Plan(loaded.config, own.out, settings, own.embed, release, own.also)
        try:
            for job, outcome in _outcomes(plan, todo, min(wanted, len(todo)), own.ray):
                if isinstance(outcome, str):
                    failures[job] = outcome
                else:
                    results[job] = outcome
        except KeyboardInterrupt:
            _say(
                f"stopped; {len(results)} of {len(jobs)} recordings are done, the same command goes on there"
            )
            return
    rows = [index_row(job, results.get(job), failures.get(job, "")) for job in jobs]
    index = write_index(rows, own.out) if len(jobs) > 1 else jobs[0].output(own.out, ".html")
    write_table(jobs, results, failures, own.out)
    events = sum(len(record["events"]) for record in results.values())
    _say(f"{len(results)} recordings, {events} events; open {index}")
    incomplete = {job: record for job, record in results.items() if record.get("lost")}
    for job, record in incomplete.items():
        _say(f"warning: {job.name}: {'; '.join(record['remarks'])}")
    if failures:
        first = next(iter(failures.values()))
        raise SourceError(f"{len(failures)} of {len(jobs)} recordings can't be read; the first: {first}")
    if incomplete and loaded.config.strict:
        raise SourceError(
            f"--strict: {len(incomplete)} of {len(jobs)} recordings lost more than 1 % of a track, see "
            f"{own.out / 'index.csv'}"
        )


def _outcomes(
    plan: Plan, jobs: list[Job], workers: int, ray: str | None
) -> Iterator[tuple[Job, dict[str, Any] | str]]:
    if ray is None:
        from ..recordings.pool import in_processes

        return in_processes(plan, jobs, workers)
    from ..recordings.cluster import on_ray

    return on_ray(plan, jobs, workers, ray)


def _say(text: str) -> None:
    print(visible(text), file=sys.stderr)


def localize(**given: Any) -> None:
    """Look through recordings and write down what was both seen and heard, and when.

    For every recording: a page to open in a browser (player, waveform, clickable timeline), JSON, CSV,
    subtitles (VTT, SRT), an Audacity label track and an ELAN document. Folders get an index. What is done
    already is not done again.
    """
    own = _Own(
        paths=tuple(given.pop("paths")),
        out=given.pop("out"),
        jobs=given.pop("jobs"),
        ray=given.pop("ray"),
        embed=given.pop("embed"),
        force=given.pop("force"),
        also=tuple(given.pop("also") or ()),
    )
    with_flags(lambda loaded: run(loaded, own), "", leave_out=_LEFT_OUT)(**given)


def _own_parameters() -> list[inspect.Parameter]:
    def parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

    return [
        parameter(
            "paths",
            Annotated[list[Path], typer.Argument(metavar="FILE|DIR…", help="recordings, or folders of them")],
        ),
        parameter(
            "out", Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="where results go")]
        ),
        parameter(
            "jobs",
            Annotated[
                int | None,
                typer.Option(
                    "--jobs", min=1, help="recordings at a time (default: half the processors, ≤ 4)"
                ),
            ],
            None,
        ),
        parameter(
            "ray",
            Annotated[
                str | None,
                typer.Option(
                    "--ray",
                    metavar="ADDRESS",
                    help="spread over a Ray cluster (ray://host:10001); `local`: a Ray of its own here",
                ),
            ],
            None,
        ),
        parameter(
            "embed",
            Annotated[bool, typer.Option("--embed", help="put the recording itself into the page")],
            False,
        ),
        parameter(
            "also",
            Annotated[
                list[str] | None,
                typer.Option(
                    "--also",
                    metavar="FORMAT",
                    help="further files: rttm (diarisation tools), desed (sed_eval, sed_scores_eval), "
                    "label-studio (pre-annotations); repeat the flag",
                ),
            ],
            None,
        ),
        parameter(
            "force", Annotated[bool, typer.Option("--force", help="do again what is done already")], False
        ),
    ]


_flags = inspect.signature(with_flags(lambda _loaded: None, "", leave_out=_LEFT_OUT))
localize.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [*_own_parameters(), *_flags.parameters.values()]
)
localize.__annotations__ = {p.name: p.annotation for p in localize.__signature__.parameters.values()}  # type: ignore[attr-defined]
