"""`avel train`: on AVE, on own videos, on generated features; and the bundled model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError
from .train_lite import train_lite

if TYPE_CHECKING:
    from ...model.diia_config import DIIAConfig
    from ...model.training.data import DataSet
    from ...model.training.loop import EpochReport, TrainConfig

app = typer.Typer(no_args_is_help=True, help="Train the network: on AVE, on own videos, or the lite model.")
app.command("lite")(train_lite)

BASELINES = {"diia": "audio-visual", "audio": "audio", "visual": "visual", "concat": "concat"}

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for checkpoints and the log.")]
Epochs = Annotated[int, typer.Option(min=1, help="Epochs at most.")]
BatchSize = Annotated[int, typer.Option("--batch", min=1, help="Windows per step.")]
Lr = Annotated[float, typer.Option(help="Adam's learning rate; halved at epochs 10, 20, 30.")]
Patience = Annotated[int, typer.Option(min=1, help="Stop after so many epochs without a better val.")]
Seed = Annotated[int, typer.Option(help="Of everything random.")]
Model = Annotated[str, typer.Option(help="diia, or a baseline: audio, visual, concat.")]
Without = Annotated[
    list[str] | None, typer.Option(help="Ablation: gate, intra, inter, or guided; may be repeated.")
]
Width = Annotated[int, typer.Option(help="d: common width of both modalities.")]
Depth = Annotated[int, typer.Option(min=1, help="How often the DIIA block is repeated.")]
Causal = Annotated[bool, typer.Option("--causal", help="A second sees only itself and earlier ones.")]
Streaming = Annotated[
    bool, typer.Option("--streaming", help="Train on half-empty windows, stalls and changes of scene.")
]
Weak = Annotated[bool, typer.Option("--weak", help="Learn from video labels only (MIL).")]
Pooling = Annotated[str, typer.Option(help="With --weak: mean, max or lse.")]
ClipNorm = Annotated[float | None, typer.Option(help="Largest norm of the gradient.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where a killed run stopped.")]
Board = Annotated[bool, typer.Option("--tensorboard", help="Write a TensorBoard log too.")]


def _configs(
    data: DataSet,
    *,
    model: str,
    without: list[str] | None,
    width: int,
    depth: int,
    causal: bool,
    streaming: bool,
    pooling: str,
    **train: Any,
) -> tuple[DIIAConfig, TrainConfig]:
    from ...model.diia_config import DIIAConfig
    from ...model.training.loop import TrainConfig
    from ...model.training.streaming import StreamingOptions

    if model not in BASELINES:
        raise UsageError(f"--model {model}: expected one of {', '.join(BASELINES)}")
    parts = without or []
    if unknown := [p for p in parts if p not in ("gate", "intra", "inter", "guided")]:
        raise UsageError(f"--without {unknown[0]}: expected gate, intra, inter or guided")
    if pooling not in ("mean", "max", "lse"):
        raise UsageError(f"--pooling {pooling}: expected mean, max or lse")
    try:
        network = DIIAConfig(
            visual_dim=data.visual_dim,
            audio_dim=data.audio_dim,
            grid=data.grid,
            classes=len(data.labels),
            width=width,
            ffn=4 * width,
            depth=depth,
            causal=causal,
            modalities=BASELINES[model],  # type: ignore[arg-type]
            **dict.fromkeys(parts, False),
        )
        how = TrainConfig(
            streaming=StreamingOptions() if streaming else None,
            pooling=pooling,  # type: ignore[arg-type]
            **train,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    return network, how


def _board(folder: Path) -> Callable[[EpochReport], None]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("--tensorboard needs the package tensorboard: pip install tensorboard") from error
    writer = SummaryWriter(str(folder))

    def write(report: EpochReport) -> None:
        for name in ("lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy"):
            writer.add_scalar(name, getattr(report, name), report.epoch)
        writer.flush()

    return write


def run(
    data: DataSet,
    out: Path,
    *,
    resume: bool,
    tensorboard: bool,
    notes: list[str] | None = None,
    **settings: Any,
) -> Path:
    """Train with a progress bar and a line per epoch on stderr; the best checkpoint's path."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from ...model.training.loop import Trainer

    network, how = _configs(data, **settings)
    trainer = Trainer(network, data, how, out)
    board = _board(out) if tensorboard else None
    console = Console(stderr=True, highlight=False)
    for note in notes or []:
        console.print(f"note: {note}", markup=False)
    count = sum(p.numel() for p in trainer.model.parameters())
    console.print(
        f"{count:,} parameters on {trainer.device}, profile {data.profile}, into {out}", markup=False
    )
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("training", total=how.epochs)

        def step(epoch: int, done: int, steps: int) -> None:
            bar.update(
                task, completed=epoch + done / (steps + 1), description=f"epoch {epoch} {done}/{steps}"
            )

        def report(r: EpochReport) -> None:
            bar.update(task, completed=r.epoch + 1)
            star = " *" if r.best else ""
            console.print(
                f"epoch {r.epoch:3}  lr {r.lr:.2e}  train loss {r.train_loss:.4f}  "
                f"accuracy {100 * r.train_accuracy:.2f}  val {100 * r.val_accuracy:.2f}{star}"
            )
            if board is not None:
                board(r)

        result = trainer.fit(resume=resume, on_epoch=report, on_step=step)
    why = "validation stopped improving" if result.stopped_early else "all epochs done"
    print(
        f"{why}: best epoch {result.best_epoch}, val {100 * result.best_accuracy:.2f} %, {result.checkpoint}",
        file=sys.stderr,
    )
    return result.checkpoint


@app.command()
def ave(
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
    epochs: Epochs = 60,
    batch: BatchSize = 128,
    lr: Lr = 7e-4,
    patience: Patience = 20,
    seed: Seed = 0,
    model: Model = "diia",
    without: Without = None,
    width: Width = 256,
    depth: Depth = 1,
    causal: Causal = False,
    streaming: Streaming = False,
    weak: Weak = False,
    pooling: Pooling = "mean",
    clip_norm: ClipNorm = None,
    resume: Resume = False,
    tensorboard: Board = False,
) -> None:
    """Train on AVE's features with the paper's settings; picks the checkpoint on val, then tests it.

    The folder holds visual_feature.h5, audio_feature.h5, Annotations.txt and the three *_order.h5 files.
    """
    from ...model.training.ave import AveData

    notes: list[str] = []
    data: DataSet
    if synthetic is not None:
        data = generated(synthetic, annotations, splits, seed)
    elif folder is None:
        raise UsageError("give the folder of AVE's features, or --synthetic joint to train on generated ones")
    else:
        real = AveData(folder, annotations=annotations, splits=splits, noisy=weak, profile=profile)
        notes, data = real.notes(), real
    best = run(
        data,
        out,
        resume=resume,
        tensorboard=tensorboard,
        notes=notes,
        epochs=epochs,
        batch=batch,
        lr=lr,
        patience=patience,
        seed=seed,
        model=model,
        without=without,
        width=width,
        depth=depth,
        causal=causal,
        streaming=streaming,
        weak=weak,
        pooling=pooling,
        clip_norm=clip_norm,
    )
    _test(best, data)


@app.command()
def folder(
    features: Annotated[Path, typer.Argument(help="Folder made by `avel extract`.")],
    labels: Annotated[Path, typer.Argument(help="CSV: file,start,end,label[,split].")],
    classes: Annotated[Path | None, typer.Option(help="Class names, one a line; else the CSV's.")] = None,
    out: Out = Path("runs/folder"),
    epochs: Epochs = 60,
    batch: BatchSize = 128,
    lr: Lr = 7e-4,
    patience: Patience = 20,
    seed: Seed = 0,
    model: Model = "diia",
    without: Without = None,
    width: Width = 256,
    depth: Depth = 1,
    causal: Causal = False,
    streaming: Streaming = False,
    weak: Weak = False,
    pooling: Pooling = "mean",
    clip_norm: ClipNorm = None,
    resume: Resume = False,
    tensorboard: Board = False,
) -> None:
    """Train on your own videos: features from `avel extract`, labels from a CSV file."""
    from ...model.training.folder import FolderData, read_classes

    data = FolderData(features, labels, read_classes(classes) if classes else None)
    best = run(
        data,
        out,
        resume=resume,
        tensorboard=tensorboard,
        notes=data.notes(),
        epochs=epochs,
        batch=batch,
        lr=lr,
        patience=patience,
        seed=seed,
        model=model,
        without=without,
        width=width,
        depth=depth,
        causal=causal,
        streaming=streaming,
        weak=weak,
        pooling=pooling,
        clip_norm=clip_norm,
    )
    _test(best, data)


@app.command()
def synthetic(
    annotations: Annotated[
        Path | None, typer.Option(help="Folder with AVE's Annotations.txt and splits.")
    ] = None,
    evidence: Annotated[list[str] | None, typer.Option(help="audio, visual or joint; else all.")] = None,
    seed: Seed = 0,
    epochs: Annotated[int | None, typer.Option(min=1, help="Fewer or more epochs.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Networks by name; else all.")] = None,
) -> None:
    """Print the table: DIIA, its baselines and ablations against the best possible, on generated features."""
    from .synthetic_table import print_table

    print_table(annotations, evidence, seed, epochs, only)


def generated(kind: str, annotations: Path | None, splits: Path | None, seed: int) -> DataSet:
    """A generated data set on AVE's annotations, where they are given, or on generated ones."""
    from ...model.training.synthetic import EVIDENCE, SyntheticSpec, synthetic_data

    if kind not in EVIDENCE:
        raise UsageError(f"--synthetic {kind}: expected one of {', '.join(EVIDENCE)}")
    rows, parts = annotated(annotations.parent if annotations else splits)
    return synthetic_data(SyntheticSpec(evidence=kind, seed=seed), rows, parts)


def annotated(folder: Path | None) -> tuple[Any, Any]:
    """AVE's annotations and splits from a folder, or generated ones."""
    from ...model.training.annotations import generate, read_annotations, read_splits

    if folder is None:
        return generate()
    rows = read_annotations(folder / "Annotations.txt")
    return rows, read_splits(folder, rows)


def _test(checkpoint: Path, data: DataSet) -> None:
    """The test split's headline, at once."""
    from ...model.checkpoint import load_checkpoint
    from ...model.training.evaluate import evaluate
    from .evaluate_view import print_summary

    if not len(data.splits["test"]):
        print("the test split is empty; nothing more to say", file=sys.stderr)
        return
    network, _ = load_checkpoint(checkpoint)
    print_summary(evaluate(network, data, streaming=False))
