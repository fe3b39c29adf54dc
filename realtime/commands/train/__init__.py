"""`avel train`: on AVE, on own videos, on generated features; and the bundled model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...config.typed import make_app
from ...core.errors import UsageError
from .data import generated
from .lite import train_lite
from .options import TrainOptions, with_train_options
from .run import train_and_test

app = make_app(no_args_is_help=True, help="Train the network: on AVE, on own videos, or the lite model.")
app.command("lite")(train_lite)

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for checkpoints and the log.")]


@app.command()
@with_train_options
def ave(
    *,
    folder: Annotated[
        Path | None, typer.Argument(help="AVE's feature files, annotations and splits; see --help.")
    ] = None,
    out: Out = Path("runs/ave"),
    annotations: Annotated[Path | None, typer.Option(help="Annotations.txt, if not in the folder.")] = None,
    splits: Annotated[Path | None, typer.Option(help="Folder of the split files, if elsewhere.")] = None,
    profile: Annotated[str | None, typer.Option(help="Which features these are; paper if unknown.")] = None,
    synthetic: Annotated[
        str | None, typer.Option(help="No files: generated features; joint, audio or visual evidence.")
    ] = None,
    options: TrainOptions,
) -> None:
    """Train on AVE's features with the paper's settings; picks the checkpoint on val, then tests it.

    The folder holds visual_feature.h5, audio_feature.h5, Annotations.txt and the three *_order.h5 files.
    """
    if synthetic is not None:
        train_and_test(generated(synthetic, annotations, splits, options.seed), out, options)
        return
    if folder is None:
        raise UsageError("give the folder of AVE's features, or --synthetic joint to train on generated ones")
    from ....model.training.ave import AveData

    data = AveData(folder, annotations=annotations, splits=splits, noisy=options.weak, profile=profile)
    train_and_test(data, out, options, data.notes())


@app.command()
@with_train_options
def folder(
    *,
    features: Annotated[Path, typer.Argument(help="Folder made by `avel extract`.")],
    labels: Annotated[
        Path,
        typer.Argument(
            help="CSV: file,start,end,label[,split]; or Audacity, ELAN, Label Studio, CVAT, UnAV-100, …"
        ),
    ],
    classes: Annotated[Path | None, typer.Option(help="Class names, one a line; else the labels'.")] = None,
    fps: Annotated[
        float | None, typer.Option(min=0.1, help="Frames a second, of labels that count frames.")
    ] = None,
    out: Out = Path("runs/folder"),
    options: TrainOptions,
) -> None:
    """Train on your own videos: features from `avel extract`, labels from a CSV file or another program's."""
    from ....model.training.folder import FolderData, read_classes

    data = FolderData(features, labels, read_classes(classes) if classes else None, fps=fps)
    train_and_test(data, out, options, data.notes())


@app.command()
def synthetic(
    annotations: Annotated[
        Path | None, typer.Option(help="Folder with AVE's Annotations.txt and splits.")
    ] = None,
    evidence: Annotated[list[str] | None, typer.Option(help="audio, visual or joint; else all.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    epochs: Annotated[int | None, typer.Option(min=1, help="Fewer or more epochs.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Networks by name; else all.")] = None,
) -> None:
    """Print the table: DIIA, its baselines and ablations against the best possible, on generated features."""
    from .synthetic import print_table

    print_table(annotations, evidence, seed, epochs, only)
