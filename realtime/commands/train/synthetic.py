"""`avel train synthetic`: the table of generated features, as it grows."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rich.table import Table

from ....model.training.compare import ABLATIONS, BASELINES, Cell, compare
from ....model.training.report import percent
from ....model.training.synthetic import Evidence
from ...core.errors import UsageError
from ...ui.console import Console
from .data import annotated


def table_of(cells: Sequence[Cell]) -> Table:
    """Rows are networks, columns kinds of evidence."""
    kinds = list(dict.fromkeys(c.evidence for c in cells))
    table = Table(title="Test accuracy by the kind of evidence, % (background recall in brackets)")
    table.title_justify = "left"
    table.add_column("")
    for kind in kinds:
        table.add_column(kind, justify="right")
    found = {(c.evidence, c.name): c for c in cells}
    for name in dict.fromkeys(c.name for c in cells):
        row = []
        for kind in kinds:
            cell = found.get((kind, name))
            quiet = (
                ""
                if cell is None or cell.background_recall != cell.background_recall
                else (f" ({100 * cell.background_recall:.0f})")
            )
            row.append("" if cell is None else percent(cell.accuracy) + quiet)
        table.add_row(name, *row, style="bold" if name == "DIIA" else "")
        if name in ("perfect video classifier", list(BASELINES)[-1]):
            table.add_section()
    return table


def print_table(
    annotations: Path | None,
    evidence: list[str] | None,
    seed: int,
    epochs: int | None,
    only: list[str] | None = None,
) -> list[Cell]:
    """Train everything and print the table; progress goes to stderr."""
    known = get_args(Evidence)
    kinds: list[Evidence] = [k for k in known if not evidence or k in evidence]
    if unknown := [k for k in evidence or [] if k not in known]:
        raise UsageError(f"--evidence {unknown[0]}: expected one of {', '.join(known)}")
    rows, splits = annotated(annotations)
    runs = sum(len(BASELINES | ABLATIONS) if k == "joint" else len(BASELINES) for k in kinds)
    console = Console(stderr=True, highlight=False)
    console.print(
        f"{len(rows)} videos of {'AVE' if annotations else 'generated annotations'}, {runs} networks"
    )
    cells: list[Cell] = []
    began = time.process_time()
    with tempfile.TemporaryDirectory(prefix="avel-") as scratch:
        for cell in compare(rows, splits, Path(scratch), evidence=kinds, only=only, seed=seed, epochs=epochs):
            cells.append(cell)
            console.print(
                f"{cell.evidence}: {cell.name} {percent(cell.accuracy)} %, {cell.cpu_s:.0f} CPU-s",
                markup=False,
            )
    Console().print(table_of(cells))
    console.print(f"{(time.process_time() - began) / 60:.1f} CPU-minutes")
    return cells
