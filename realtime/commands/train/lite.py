"""`avel train lite`: the weights that ship in the package, made again from sounds and photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...core.errors import UsageError


def train_lite(
    data: Annotated[
        Path,
        typer.Option(help="Folder with audio/ and photos/ (each with MANIFEST.tsv), teacher/, eye_lite3/."),
    ],
    out: Annotated[Path, typer.Option(help="Where the weight files go.")] = Path("lite-weights"),
    work: Annotated[
        Path, typer.Option(help="Where intermediate results are kept; a killed run goes on from them.")
    ] = Path("lite-work"),
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 7,
) -> None:
    """Train the bundled model: probes, ear and heads. About three and a half hours of one core; resumable."""
    try:
        from ....model.training.lite.run import LiteSettings, train_lite
    except ImportError as error:
        raise UsageError(
            f"avel train lite: {error.name} is missing; pip install 'avel-live[train]'"
        ) from error
    if not data.is_dir():
        raise UsageError(f"--data {data}: no such folder")
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from ...ui.console import Console

    columns = (TextColumn("{task.description:24}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[text]}"), console=Console(stderr=True)) as progress:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, share: float, text: str) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=1.0, text="")
            progress.update(tasks[stage], completed=share, text=text)

        results = train_lite(LiteSettings(data, work, out, seed=seed), report)
    for profile, accuracy in results.items():
        print(f"{profile}: {accuracy:.3f} of the seconds of held-out composed scenes named rightly")
    print(f"weights in {out}; try them with avel-live --checkpoint {out / 'lite_head.safetensors'}")
