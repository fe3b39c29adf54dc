"""A training as a person follows it: notes, a bar with the time left, a line per epoch, the result."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.errors import UsageError
from .options import TrainOptions

if TYPE_CHECKING:
    from ....model.training.data import DataSet
    from ....model.training.loop import EpochReport


def train_and_test(data: DataSet, out: Path, options: TrainOptions, notes: Sequence[str] = ()) -> None:
    """Train, pick the checkpoint on val, and print the figures of the test split."""
    test(train(data, out, options, notes), data)


def train(
    data: DataSet,
    out: Path,
    options: TrainOptions,
    notes: Sequence[str] = (),
) -> Path:
    """Train with a progress bar and a line per epoch on stderr; the best checkpoint's path."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from ....model.training.loop import Trainer
    from ...ui.console import Console

    how = options.training()
    trainer = Trainer(options.network(data), data, how, out)
    board = _board(out) if options.tensorboard else None
    console = Console(stderr=True, highlight=False)
    for note in notes:
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

        result = trainer.fit(resume=options.resume, on_epoch=report, on_step=step)
    why = "validation stopped improving" if result.stopped_early else "all epochs done"
    print(
        f"{why}: best epoch {result.best_epoch}, val {100 * result.best_accuracy:.2f} %, {result.checkpoint}",
        file=sys.stderr,
    )
    return result.checkpoint


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


def test(checkpoint: Path, data: DataSet) -> None:
    """The test split's headline, at once."""
    from ....model.checkpoint import load_checkpoint
    from ....model.training.evaluate import evaluate
    from ..evaluate.view import print_summary

    if not len(data.splits["test"]):
        print("the test split is empty; nothing more to say", file=sys.stderr)
        return
    network, _ = load_checkpoint(checkpoint)
    print_summary(evaluate(network, data, streaming=False))
