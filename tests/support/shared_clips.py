"""The real recordings beside the checkout."""

from __future__ import annotations

import csv
from pathlib import Path

from .shared import DATA


def listed(folder: Path) -> list[Path]:
    """The recordings of a folder with MANIFEST.tsv."""
    with (folder / "MANIFEST.tsv").open() as file:
        return [folder / row["file"] for row in csv.DictReader(file, delimiter="\t")]


def clips(every: int = 1) -> list[Path]:
    """Every `every`-th of the labelled recordings; none where they are absent."""
    folder = DATA / "clips"
    return listed(folder)[::every] if (folder / "MANIFEST.tsv").is_file() else []
