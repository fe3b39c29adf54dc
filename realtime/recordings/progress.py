"""How far a batch of recordings is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.text import file_name, one_line
from ..sources.opening import open_container
from .batch import Job


class BatchProgress:
    """A bar over all recordings, in seconds of recording; plain lines where there is no terminal."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from ..ui.console import Console

        self._jobs, self._lengths = jobs, [length_s(job.source) or 0.0 for job in jobs]
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

    def __enter__(self) -> BatchProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def at(self, number: int, seconds: float) -> None:
        """A worker is `seconds` into a recording."""
        self._at[number] = min(seconds, self._lengths[number] or seconds)
        self._show(one_line(file_name(self._jobs[number].relative.name)))

    def finished(self, number: int, trouble: str) -> None:
        """A recording is done, or failed with `trouble`."""
        self._finished += 1
        self._at[number] = self._lengths[number]
        name = one_line(self._jobs[number].name)
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


def length_s(path: Path) -> float | None:
    """Seconds, from the header, good enough for a bar; None where it does not say or can't be read."""
    import av

    if not path.is_file():  # a pipe would wait for its writer, and lose its beginning
        return None
    try:
        with open_container(path) as container:
            return container.duration / av.time_base if container.duration else None
    except (av.FFmpegError, OSError, ValueError):
        return None
