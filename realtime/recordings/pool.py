"""A batch of recordings in a pool of processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .batch import Job
from .one import Plan, localize_one
from .progress import BatchProgress

if TYPE_CHECKING:
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Event


def in_processes(plan: Plan, jobs: list[Job], processes: int) -> Iterator[tuple[Job, dict[str, Any] | str]]:
    """Do the jobs; yields each with its record, or with what went wrong.

    Raises:
        KeyboardInterrupt: asked to stop; what is finished stays.

    """
    context = multiprocessing.get_context("spawn")  # forking a process with live threads is not safe
    told: Queue[tuple[int, float]] = context.Queue()
    stop = context.Event()
    threads = plan.config.threads or max(1, (os.cpu_count() or 1) // processes)
    plan = replace(plan, config=replace(plan.config, threads=threads))
    with (
        BatchProgress(jobs) as progress,
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


@dataclass
class _Worker:
    plan: Plan
    told: Queue[tuple[int, float]]
    stop: Event
    engine: Any = None


_worker: _Worker | None = None


def _begin(plan: Plan, told: Queue[tuple[int, float]], stop: Event) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    _worker = _Worker(plan, told, stop)


def _one(number: int, job: Job) -> dict[str, Any] | str | None:
    """One recording: its record, or what went wrong in words, or None when asked to stop."""
    from ..session.open import make_engine
    from .analyse import StoppedError

    worker = _worker
    assert worker is not None
    if worker.stop.is_set():
        return None
    if worker.engine is None:
        worker.engine = make_engine(worker.plan.config)
    try:
        return localize_one(
            job,
            worker.plan,
            worker.engine,
            lambda seconds: worker.told.put((number, seconds)),
            worker.stop.is_set,
        )
    except StoppedError:
        return None
