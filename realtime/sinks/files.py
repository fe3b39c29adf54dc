"""The log files that a configuration asks for, each in a thread of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .csv import HEADER, CsvFile
from .jsonl import JsonlFile
from .rotating import RotatingFile, Rotation
from .runner import Report, SinkRunner

if TYPE_CHECKING:
    from ..config.schema import LogOptions
    from .base import Sink


def log_sinks(options: LogOptions, report: Report, *, live: bool) -> list[Sink]:
    """`--log` and `--csv`. A live stream never waits for the disk; a recording does, and loses no line.

    Raises:
        OutputError: a file can't be written.

    """
    rotation = Rotation(options.rotate_mb, options.rotate_days, options.keep_files)
    sinks: list[Sink] = []
    if options.jsonl is not None:
        file = RotatingFile(options.jsonl, "log", report, rotation=rotation, fsync=options.fsync)
        sinks.append(SinkRunner("log", JsonlFile(file), report, lossless=not live))
    if options.csv is not None:
        file = RotatingFile(options.csv, "csv", report, rotation=rotation, fsync=options.fsync, header=HEADER)
        sinks.append(SinkRunner("csv", CsvFile(file), report, lossless=not live))
    return sinks
