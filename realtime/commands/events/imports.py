"""Results of `avel localize` on their way into the memory."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from ...core.errors import UsageError
from ...core.text import file_name
from ...memory import EventRow, Run, Writer
from ...memory.times import zone_name

_LARGEST: Final = 512 * 1024 * 1024


def found_in(paths: Iterable[Path]) -> list[Path]:
    """The results among files and folders, in order.

    Raises:
        UsageError: there are none, or a file is not there.

    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(one for one in path.rglob("*.json") if one.is_file())
        elif path.is_file():
            files.append(path)
        else:
            raise UsageError(f"{path}: no such file or folder; give what `avel localize -o` wrote")
    if not files:
        raise UsageError("no JSON there; give the folder that `avel localize -o` wrote")
    return files


def remember(path: Path, results: Path, stream: str | None, began_us: int | None) -> int:
    """Remember the events of one recording; how many.

    Args:
        path: the memory; made where there is none.
        results: JSON of `avel localize`.
        stream: as events of this stream; None takes the recording's name.
        began_us: when the recording began; None takes its file's time, less its length.

    Raises:
        UsageError: it is no such JSON.
        MemoryFileError: the memory can't be written.

    """
    try:
        run, rows = _read(results, stream, began_us)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{file_name(results)}: not the JSON of `avel localize` ({error})") from error
    writer = Writer(path)
    try:
        return writer.replace(run, rows)
    finally:
        writer.close()


def _read(results: Path, stream: str | None, began_us: int | None) -> tuple[Run, list[EventRow]]:
    if results.stat().st_size > _LARGEST:
        raise ValueError("too large")
    record: dict[str, Any] = json.loads(results.read_text("utf-8"))
    if record["schema"] != 1:
        raise ValueError(f"schema {record['schema']}")
    name = str(record["input"]["name"])
    if began_us is None:
        began_us = int(record["input"]["mtime_ns"]) // 1000 - round(float(record["seconds"]) * 1e6)
    run = Run(
        stream=stream or name,
        started_us=began_us,
        source=name,
        model=f"{record['profile']} {record['backend']} {record['precision']}",
        calibration=str(record["calibration"] or ""),
        version=str(record["version"]),
        zone=zone_name(),
    )
    rows = [
        EventRow(
            number=int(event["id"]),
            label=str(event["label"]),
            start_us=began_us + round(float(event["start_s"]) * 1e6),
            end_us=began_us + round(float(event["end_s"]) * 1e6),
            confidence=float(event["confidence"]),
        )
        for event in record["events"]
    ]
    return run, rows
