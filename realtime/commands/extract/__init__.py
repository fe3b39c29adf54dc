"""`avel extract`: videos to feature files in AVE's layout, for training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ....model.profiles import PROFILES, get_profile
from ...core.errors import UsageError


def extract(
    inputs: Annotated[list[Path], typer.Argument(help="Videos, folders of them, or AVE's zip file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the features; run again to go on.")],
    profile: Annotated[str, typer.Option(help=f"Whose networks: {', '.join(PROFILES)}.")] = "paper",
    annotations: Annotated[
        Path | None, typer.Option(help="AVE's Annotations.txt: one row for each of its lines.")
    ] = None,
    visual_weights: Annotated[Path | None, typer.Option(help="Weight file; fetched if not given.")] = None,
    audio_weights: Annotated[Path | None, typer.Option(help="Weight file; fetched if not given.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes; each holds its own networks.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each worker.")] = 1,
    retry: Annotated[bool, typer.Option("--retry", help="Try broken videos again.")] = False,
) -> None:
    """Turn videos into feature files in AVE's layout; goes on where a killed run stopped."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from ...ui.console import Console
    from . import run as extraction
    from .jobs import MAX_WINDOWS

    get_profile(profile)
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: is a file; give a folder")
    options = extraction.Options(profile, visual_weights, audio_weights, workers, threads)
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("extracting"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[last]}"),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=None, last="")

        def show(result: extraction.Result, done: int, total: int) -> None:
            if result.error:
                console.print(f"[red]broken[/] row {result.row}: {result.error}", highlight=False)
            bar.update(task, completed=done, total=total, last=f"row {result.row}")

        summary = extraction.extract(
            inputs,
            out,
            options,
            annotations=annotations,
            retry=retry,
            on_row=show,
            say=lambda line: console.print(line, markup=False, highlight=False),
        )
    said = f"{summary.rows} rows in {out}"
    if summary.before:
        said += f", {summary.before} of them from before"
    if summary.broken:
        said += f"; {len(summary.broken)} videos are broken, see {out / 'broken.csv'}"
    if summary.incomplete:
        said += f"; {summary.incomplete} rows lost more than 1 % of a track, see {out / 'index.csv'}"
    print(f"{said} (videos longer than {MAX_WINDOWS * 10 // 60} minutes are cut there)", file=sys.stderr)
