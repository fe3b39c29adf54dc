"""An evaluation on the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.table import Table

from ....model.labels import short_name
from ....model.training.report import headline, percent
from ...ui.console import Console

if TYPE_CHECKING:
    from ....model.training.evaluate import Evaluation, StreamingTable
    from ....model.training.scores import FieldScores


def print_summary(result: Evaluation, console: Console | None = None) -> None:
    """The headline figures; the video-level oracle stands beside the accuracy."""
    console = console or Console()
    m = result.metrics
    table = Table(title=f"{result.split}: {m.videos} videos, {m.seconds} seconds", title_justify="left")
    table.add_column("measure")
    table.add_column("%", justify="right")
    for index, (name, value) in enumerate(headline(result)):
        table.add_row(name, value, style="dim" if index == 1 else "bold" if index == 0 else "")
    console.print(table)


def _classes(result: Evaluation) -> Table:
    table = Table(title="Classes", title_justify="left")
    table.add_column("class")
    for name in ("precision", "recall", "F1", "seconds"):
        table.add_column(name, justify="right")
    table.add_column("taken for")
    m = result.metrics
    for k, (label, score) in enumerate(zip(result.labels, m.classes, strict=True)):
        if not score.support:
            continue
        wrong = m.confusion[k].copy()
        wrong[k] = 0
        worst = int(wrong.argmax())
        taken = f"{short_name(result.labels[worst])} ({wrong[worst]})" if wrong[worst] else ""
        table.add_row(
            short_name(label),
            percent(score.precision),
            percent(score.recall),
            percent(score.f1),
            str(score.support),
            taken,
        )
    return table


def _waiting(s: StreamingTable) -> Table:
    table = Table(title="What waiting buys: seconds of future an answer waited for", title_justify="left")
    # Eleven columns in a terminal of 80.
    table.padding = 0
    table.add_column("latency, s", no_wrap=True)
    for wait in range(len(s.by_latency)):
        table.add_column(str(wait), justify="right")
    table.add_row("accuracy", *map(percent, s.by_latency), style="bold")
    table.add_row("bg. recall", *map(percent, s.background_recall))
    table.add_section()
    for past, row in enumerate(s.by_past):
        cells = [percent(x) if n else "" for x, n in zip(row, s.counts[past], strict=True)]
        table.add_row(f"past {past} s", *cells, style="dim")
    table.caption = "Lower part: exactly so many seconds of past, and of future."
    table.caption_justify = "left"
    return table


def _fields(result: Evaluation) -> Table:
    """What sound event detection and localization in video report; at once beside it, where it was asked."""
    table = Table(title="As the fields score it, %", title_justify="left")
    table.add_column("")
    both = [("with all of the video", result.scores)]
    both += [("at once, no future", result.online)] if result.online is not None else []
    for name, _ in both:
        table.add_column(name, justify="right")
    rows: tuple[tuple[str, Callable[[FieldScores], float]], ...] = (
        ("segments of 1 s: F", lambda s: s.segment.overall.f1),
        ("its mean over classes", lambda s: s.segment.macro_f1),
        ("error rate", lambda s: s.segment.overall.error_rate),
        ("events, collar 200 ms: F", lambda s: s.event.overall.f1),
        ("its mean over classes", lambda s: s.event.macro_f1),
        ("error rate", lambda s: s.event.overall.error_rate),
        ("mAP at tIoU 0.5", lambda s: s.mean_ap[0.5]),
        ("mean of mAP at 0.1 … 0.9", lambda s: s.average_map),
    )
    for name, value in rows:
        table.add_row(name, *(percent(value(scores)) for _, scores in both))
    for name, figure in (result.psds or {}).items():
        table.add_row(name.upper(), percent(figure))
    return table


def print_evaluation(result: Evaluation, console: Console | None = None) -> None:
    """Everything."""
    console = console or Console()
    print_summary(result, console)
    if result.streaming is not None:
        console.print(_waiting(result.streaming))
    console.print(_fields(result))
    console.print(_classes(result))
