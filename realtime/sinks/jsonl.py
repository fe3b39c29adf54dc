"""`--log FILE`: every record of schema 1 in a file, a line each."""

from __future__ import annotations

from .records import JsonSink, Record, to_line
from .rotating import RotatingFile


class JsonlFile(JsonSink):
    """Appends the records to a `RotatingFile`; each file of a rotated log opens with the `start` record."""

    def __init__(self, file: RotatingFile) -> None:
        super().__init__()
        self._file = file
        self._start: Record = {}

    def write(self, record: Record) -> None:
        """One line; events, the start and the end are made durable (see `fsync`)."""
        line = to_line(record)
        if record["type"] == "start":
            self._start = record
            self._file.begin(line)
        else:
            if record["type"] == "status" and "wall_clock" in record:
                # The files that follow are read with the time of day that is known now.
                self._start = {**self._start, "wall_clock": record["wall_clock"]}
                self._file.head(to_line(self._start))
            self._file.write(line, important=record["type"] in ("event", "end"))

    def close(self) -> None:
        """Flush and close; safe to call twice."""
        self._file.close()
