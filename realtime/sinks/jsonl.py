"""`--log FILE`: every record of schema 1 in a file, a line each."""

from __future__ import annotations

from .records import JsonSink, Record, to_line
from .rotating import RotatingFile


class JsonlFile(JsonSink):
    """Appends the records to a `RotatingFile`; each file of a rotated log opens with the `start` record."""

    def __init__(self, file: RotatingFile) -> None:
        super().__init__()
        self._file = file

    def write(self, record: Record) -> None:
        """One line; events, the start and the end are made durable (see `fsync`)."""
        line = to_line(record)
        if record["type"] == "start":
            self._file.begin(line)
        else:
            self._file.write(line, important=record["type"] in ("event", "end"))

    def close(self) -> None:
        """Flush and close; safe to call twice."""
        self._file.close()
