"""Videos to feature files: the same reader, cutter and networks as the live path, so features agree.

Output folder, in AVE's layout (`model/training/ave.py` reads it):

    visual_feature.h5  audio_feature.h5   data set `avadataset`, a row of ten segments each
    masks.h5                              which segments have a picture, which a sound
    index.csv                             row, file, first_s, seconds, and how many of each track were lost
    features.json                         profile and weights: features of two kinds never mix
    broken.csv                            what could not be read, and why
    journal.jsonl                         what is done; a killed run goes on from here

The feature files are laid out in full at once, so that writing a row never changes their structure: a run
that is killed at any instant leaves files that open. A row counts as done when the journal says so, which
happens after its features have reached the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from ....model.profiles import WINDOW
from ...core.errors import OutputError
from .jobs import Job, find_jobs
from .store import FeatureStore
from .worker import Networks, Options, Result, extract_row, start_worker, work

__all__ = ["FeatureStore", "Job", "Options", "Result", "Summary", "extract", "extract_row", "find_jobs"]


@dataclass(frozen=True)
class Summary:
    """How an extraction went."""

    rows: int
    before: int
    """Rows that were done already."""
    broken: dict[str, str]
    incomplete: int = 0
    """Rows that lost more than a hundredth of a track."""


def extract(
    inputs: Sequence[Path],
    out: Path,
    options: Options,
    *,
    annotations: Path | None = None,
    retry: bool = False,
    on_row: Callable[[Result, int, int], None] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Summary:
    """Extract whatever is not done yet.

    Args:
        inputs: videos, folders, or AVE's zip file.
        out: the output folder; run again with the same to go on.
        options: profile, weights, workers.
        annotations: AVE's `Annotations.txt`, where rows must follow it.
        retry: try broken videos again.
        on_row: told of each finished row, with rows done and rows in all.
        say: told what was passed over.

    Raises:
        SourceError, OutputError, UsageError, ModelFileError: nothing can be done at all. A broken video
            never raises; it is listed.

    """
    jobs = find_jobs(inputs, annotations, say)
    store = FeatureStore(out, jobs, options)
    try:
        before = {row for row, e in store.done.items() if not (retry and "error" in e)}
        todo = [job for job in jobs if job.row not in before]
        finished = len(jobs) - len(todo)
        for result in _results(todo, options):
            store.put(result)
            finished += 1
            if on_row is not None:
                on_row(result, finished, len(jobs))
    finally:
        store.close()
    broken = {
        job.name: store.done[job.row]["error"] for job in jobs if "error" in store.done.get(job.row, {})
    }
    incomplete = sum(max(e.get("lost_s", (0.0,))) > WINDOW / 100 for e in store.done.values())
    return Summary(len(jobs), len(jobs) - len(todo), broken, incomplete)


def _results(jobs: Sequence[Job], options: Options) -> Iterator[Result]:
    """Results as they come; never more than two rows per worker are held."""
    if not jobs:
        return
    if options.workers <= 1:
        networks = Networks(options)
        for job in jobs:
            yield extract_row(job, networks)
        return
    import multiprocessing

    # Spawned, not forked: torch's and FFmpeg's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.workers, context, start_worker, (options,)) as pool:
        waiting = iter(jobs)
        running: set[Future[Result]] = set()
        for job in waiting:
            running.add(pool.submit(work, job))
            if len(running) >= 2 * options.workers:
                break
        while running:
            ready, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ready:
                try:
                    yield future.result()
                except BrokenProcessPool as error:
                    raise OutputError(
                        "a worker was killed (out of memory?); run the same command again to go on, "
                        "with fewer --workers"
                    ) from error
                if (following := next(waiting, None)) is not None:
                    running.add(pool.submit(work, following))
