"""Where quantised graphs go once they are good enough: replaced as a whole, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ...model.errors import ModelFileError
from ...model.runtime.int8_graphs import CARD, TARGETS, Target, installed_folder
from .result import Int8Result


def install(
    result: Int8Result,
    agreement: float,
    folder: Path | None = None,
    targets: Sequence[Target] = TARGETS,
) -> Path:
    """Put the graphs where `--precision int8` finds them; the folder is replaced as a whole.

    Args:
        result: of `calibrate`.
        agreement: least agreement of labels with float32 that is let through.
        folder: where to; None = the user's data folder.
        targets: whose graphs.

    Raises:
        ModelFileError: a target agrees less than that: nothing is installed.

    """
    for target in targets:
        cost = result.costs[target]
        if not cost.keeps(agreement):
            raise ModelFileError(
                f"INT8 for {target}: {cost.agreement:.1%} of {cost.seconds} seconds keep float32's label, "
                f"at least {agreement:.1%} must; not installed (give more varied clips, "
                "or a lower --agreement)"
            )
    folder = folder or installed_folder(result.profile)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        for paths in result.graphs.values():
            for target in targets:
                shutil.copyfile(paths[target], fresh / paths[target].name)
        (fresh / CARD).write_text(json.dumps(result.to_dict(targets), indent=1) + "\n")
        fresh.chmod(0o755)
        if folder.exists():
            old = folder.with_name(f".{folder.name}.old.{os.getpid()}")
            os.replace(folder, old)
            shutil.rmtree(old, ignore_errors=True)
        os.replace(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder
