"""`--log FILE`: every record of schema 1 in a file, a line each."""

from __future__ import annotations

from .records import JsonSink, Record, of_stream, to_line
from .rotating import RotatingFile


class JsonlFile(JsonSink):
    """Appends the records to a `RotatingFile`; each file of a rotated log opens with the `start` record.

    Args:
        file: where to.
        name: of the stream, where the program has several: every record then carries it.

    """

    def __init__(self, file: RotatingFile, name: str = "") -> None:
        super().__init__()
        self._file, self._name = file, name
        self._start: Record = {}

    def write(self, record: Record) -> None:
        """One line; events, the start and the end are made durable (see `fsync`)."""
        record = of_stream(record, self._name)
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
