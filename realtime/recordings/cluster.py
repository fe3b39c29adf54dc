"""A batch of recordings on Ray: a cluster by its address, or one that lives in this process's machine only.

Every worker loads the networks once and takes one recording after the other. A worker that dies is
replaced and its recording done again: results are written whole or not at all, so nothing is lost or
doubled. The output folder, and the recordings, must be at the same path on every machine.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ...model.errors import first_line
from ..core.errors import UsageError
from .batch import Job
from .one import Plan, localize_one
from .progress import BatchProgress

_ANSWER_S: Final = 5.0
LOCAL: Final = "local"
"""The address that means a Ray of our own on this machine."""


class RayWorker:
    """A worker: the networks, and one recording a call."""

    def __init__(self, plan: Plan) -> None:
        from ..session.open import make_engine

        self._plan = plan
        self._engine = make_engine(plan.config)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """{number, source, relative} → {number, outcome}; the outcome is JSON: a record, or why not."""
        job = Job(Path(os.fsdecode(row["source"])), Path(os.fsdecode(row["relative"])))
        return {
            "number": row["number"],
            "outcome": json.dumps(localize_one(job, self._plan, self._engine)),
        }


def on_ray(
    plan: Plan, jobs: list[Job], workers: int, address: str
) -> Iterator[tuple[Job, dict[str, Any] | str]]:
    """Do the jobs; yields each with its record, or with what went wrong.

    Args:
        plan: see there.
        jobs: recordings.
        workers: how many at a time.
        address: of a cluster (`ray://host:10001`, `auto`), or `LOCAL`.

    Raises:
        UsageError: Ray is not installed, or nothing answers at the address.

    """
    ray = _ray()
    threads = plan.config.threads or (max(1, (os.cpu_count() or 1) // workers) if address == LOCAL else 1)
    plan = replace(plan, out=plan.out.resolve(), config=replace(plan.config, threads=threads))
    _connect(ray, address)
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False  # ours counts recordings
        context.print_on_execution_start = False
        rows = [
            {
                "number": number,
                # Bytes: a name need not be text, and Arrow's texts have to be.
                "source": os.fsencode(job.source.resolve()),
                "relative": os.fsencode(job.relative),
            }
            for number, job in enumerate(jobs)
        ]
        # One block a recording: what a dead worker had begun is the only thing done twice.
        data = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            RayWorker,
            fn_constructor_args=(plan,),
            num_cpus=threads,
            compute=ray.data.ActorPoolStrategy(size=workers),
        )
        with BatchProgress(jobs) as progress:
            for row in data.iter_rows():
                outcome = json.loads(row["outcome"])
                progress.finished(row["number"], outcome if isinstance(outcome, str) else "")
                yield jobs[row["number"]], outcome
    finally:
        ray.shutdown()


def _ray() -> Any:
    # Its own chatter goes to its own log files; set before the import, which reads it.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UsageError("--ray needs Ray: pip install 'avel-live[ray]'") from error
    return ray


def _connect(ray: Any, address: str) -> None:
    quiet: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False, "configure_logging": True}
    if address == LOCAL:
        ray.init(address="local", include_dashboard=False, **quiet)
        return
    try:
        # Ray itself tries for minutes before it says that nothing listens there.
        if place := re.fullmatch(r"(?:ray://)?([^:/]+):(\d+)", address):
            socket.create_connection((place[1], int(place[2])), timeout=_ANSWER_S).close()
        ray.init(address=address, **quiet)
    except (OSError, ValueError, OverflowError) as error:
        raise UsageError(f"--ray {address}: no cluster answers there ({first_line(error)})") from error
