"""Manifests of sounds and photographs: a row for each file, and which of them may be trained on."""

from __future__ import annotations

import csv
from pathlib import Path

from ...errors import ModelFileError


def read_manifest(folder: Path) -> list[dict[str, str]]:
    """The rows of `MANIFEST.tsv`, by column.

    Raises:
        ModelFileError: there is none.

    """
    manifest = folder / "MANIFEST.tsv"
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file, delimiter="\t"))
    except FileNotFoundError as error:
        raise ModelFileError(
            f"{manifest}: no such file; --data must hold audio/ and photos/, each with a MANIFEST.tsv"
        ) from error


def gpl_alone(licence: str) -> bool:
    """Whether a licence, as a manifest words it, leaves nothing but the GPL to choose.

    Whether weights learnt from such files fall under it is open, and ours are Apache-2.0.
    """
    return "GPL" in licence and not any(other in licence for other in ("CC-BY", "Free Art"))
