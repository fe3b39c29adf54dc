"""Generated features, on AVE's annotations or on generated ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...core.errors import UsageError

if TYPE_CHECKING:
    from ....model.training.annotations import Annotation, Splits
    from ....model.training.data import DataSet


def generated(kind: str, annotations: Path | None, splits: Path | None, seed: int) -> DataSet:
    """A generated data set on AVE's annotations, where they are given, or on generated ones."""
    from ....model.training.synthetic import EVIDENCE, SyntheticSpec, synthetic_data

    if kind not in EVIDENCE:
        raise UsageError(f"--synthetic {kind}: expected one of {', '.join(EVIDENCE)}")
    rows, parts = annotated(annotations.parent if annotations else splits)
    return synthetic_data(SyntheticSpec(evidence=kind, seed=seed), rows, parts)


def annotated(folder: Path | None) -> tuple[tuple[Annotation, ...], Splits]:
    """AVE's annotations and splits from a folder, or generated ones."""
    from ....model.training.annotations import generate, read_annotations, read_splits

    if folder is None:
        return generate()
    rows = read_annotations(folder / "Annotations.txt")
    return rows, read_splits(folder, rows)
