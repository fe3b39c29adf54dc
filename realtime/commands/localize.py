"""`avel localize FILE|DIR … -o out/`: look through recordings, and write down what happened when."""

from __future__ import annotations

import inspect
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import OutputError, SourceError
from ..layers import Loaded, keys
from .flags import with_flags

if TYPE_CHECKING:
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Event

    from ..config import Config
    from ..report.batch import Job

_PANELS = ("Network", "Events")
_LEFT_OUT = tuple(
    key.path
    for key in keys()
    if key.flag is not None and key.path != "debug" and (key.flag.panel not in _PANELS or key.path == "hop_s")
)


@dataclass(frozen=True)
class _Plan:
    """What every worker needs to know."""

    config: Config
    out: Path
    settings: str
    embed: bool
    version: str


@dataclass(frozen=True)
class _Own:
    """The options that only this command has."""

    paths: tuple[Path, ...]
    out: Path
    jobs: int | None
    embed: bool
    force: bool


def run(loaded: Loaded, own: _Own) -> None:
    """Find what is to be done, do it in parallel, write the index."""
    from ..report.batch import find_jobs, fingerprint, finished, index_row, write_index

    try:
        own.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"-o {own.out}: can't be made ({error.strerror})") from error
    if not os.access(own.out, os.W_OK):
        raise OutputError(f"-o {own.out}: can't be written")
    jobs = find_jobs(own.paths, own.out)
    release = version("avel-live")
    settings = fingerprint(loaded.config, release)
    results: dict[Job, dict[str, Any]] = {}
    for job in jobs:
        if not own.force and (record := finished(job, own.out, settings)) is not None:
            results[job] = record
    todo = [job for job in jobs if job not in results]
    if results:
        _say(f"{len(results)} of {len(jobs)} recordings are done already; --force does them again")
    failures: dict[Job, str] = {}
    if todo:
        wanted = own.jobs or max(1, min(len(todo), (os.cpu_count() or 2) // 2, 4))
        plan = _Plan(loaded.config, own.out, settings, own.embed, release)
        try:
            for job, outcome in _work(plan, todo, min(wanted, len(todo))):
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
    events = sum(len(record["events"]) for record in results.values())
    _say(f"{len(results)} recordings, {events} events; open {index}")
    if failures:
        first = next(iter(failures.values()))
        raise SourceError(f"{len(failures)} of {len(jobs)} recordings can't be read; the first: {first}")


def _work(plan: _Plan, jobs: list[Job], processes: int) -> Iterator[tuple[Job, dict[str, Any] | str]]:
    """Do the jobs; yields each with its record, or with what went wrong."""
    context = multiprocessing.get_context("spawn")  # forking a process with live threads is not safe
    told: Queue[tuple[int, float]] = context.Queue()
    stop = context.Event()
    lengths = [_length(job.source) for job in jobs]
    threads = plan.config.threads or max(1, (os.cpu_count() or 1) // processes)
    config = plan.config.model_copy(update={"threads": threads})
    plan = _Plan(config, plan.out, plan.settings, plan.embed, plan.version)
    with (
        _Progress(jobs, lengths) as progress,
        ProcessPoolExecutor(processes, context, _begin, (plan, told, stop)) as pool,
    ):
        futures: dict[Future[dict[str, Any] | str | None], int] = {
            pool.submit(_one, number, job): number for number, job in enumerate(jobs)
        }
        left = set(futures)
        try:
            while left:
                done, left = wait(left, timeout=0.1)
                while not told.empty():
                    progress.at(*told.get())
                for future in done:
                    number = futures[future]
                    outcome = future.result()
                    if outcome is None:
                        raise KeyboardInterrupt
                    progress.finished(number, outcome if isinstance(outcome, str) else "")
                    yield jobs[number], outcome
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


class _Progress:
    """A bar over all recordings, in seconds of recording; plain lines where there is no terminal."""

    def __init__(self, jobs: list[Job], lengths: list[float | None]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._jobs, self._lengths = jobs, [length or 0.0 for length in lengths]
        self._at = [0.0] * len(jobs)
        console = Console(stderr=True)
        self._plain = not console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[speed]}"),
            console=console,
            disable=self._plain,
        )
        total = sum(self._lengths)
        self._seconds = self._bar.add_task("loading the networks", total=total or None, speed="")
        self._finished = 0

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def at(self, number: int, seconds: float) -> None:
        """A worker is `seconds` into a recording."""
        self._at[number] = min(seconds, self._lengths[number] or seconds)
        self._show(self._jobs[number].relative.name)

    def finished(self, number: int, trouble: str) -> None:
        """A recording is done, or failed with `trouble`."""
        self._finished += 1
        self._at[number] = self._lengths[number]
        name = self._jobs[number].relative.as_posix()
        if trouble:
            self._bar.console.print(f"{name}: {trouble}", style="red", markup=False, highlight=False)
        elif self._plain:
            self._bar.console.print(
                f"{self._finished} of {len(self._jobs)}: {name}", markup=False, highlight=False
            )
        self._show(name)

    def _show(self, name: str) -> None:
        done = sum(self._at)
        task = self._bar.tasks[0]
        speed = f"{done / task.elapsed:.1f}× real time" if task.elapsed and task.elapsed > 2 else ""
        short = name if len(name) <= 32 else f"{name[:29]}…"
        label = f"{self._finished}/{len(self._jobs)} {short}"
        self._bar.update(self._seconds, completed=done, description=label, speed=speed)


# In the worker processes.


@dataclass
class _Worker:
    plan: _Plan
    told: Queue[tuple[int, float]]
    stop: Event
    engine: Any = None


_worker: _Worker | None = None


def _begin(plan: _Plan, told: Queue[tuple[int, float]], stop: Event) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    _worker = _Worker(plan, told, stop)


def _one(number: int, job: Job) -> dict[str, Any] | str | None:
    """One recording: its record, or what went wrong in words, or None when asked to stop."""
    from ..report.analyse import StoppedError, analyse
    from ..report.batch import write_results
    from .live import make_engine

    worker = _worker
    assert worker is not None
    plan = worker.plan
    if worker.stop.is_set():
        return None
    if worker.engine is None:
        worker.engine = make_engine(plan.config)
    try:
        findings = analyse(
            job.source,
            plan.config,
            worker.engine,
            lambda seconds: worker.told.put((number, seconds)),
            worker.stop.is_set,
        )
        return write_results(findings, job, plan.out, plan.settings, embed=plan.embed, version=plan.version)
    except StoppedError:
        return None
    except SourceError as error:
        return str(error)


def _length(path: Path) -> float | None:
    """Seconds, from the header; None where it does not say or can't be read."""
    import av

    try:
        with av.open(str(path)) as container:
            return container.duration / av.time_base if container.duration else None
    except (av.FFmpegError, OSError):
        return None


def _say(text: str) -> None:
    print(text, file=sys.stderr)


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
        embed=given.pop("embed"),
        force=given.pop("force"),
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
            "embed",
            Annotated[bool, typer.Option("--embed", help="put the recording itself into the page")],
            False,
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
