"""`--json`: JSONL on standard output, a line at a time, so that a pipe sees each record at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from ..errors import OutputError
from ..messages import HopRecord, Status, StreamEnd, StreamStart
from .records import Record, end_records, hop_records, start_record, status_record, to_line


class JsonLines:
    """Schema 1 on a text stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._labels: tuple[str, ...] = ()
        self._early: list[Record] = []
        self._started = False

    def start(self, start: StreamStart) -> None:
        """See `Sink.start`; what was said before comes right after it."""
        self._labels = start.labels
        self._started = True
        self._write([start_record(start), *self._early])
        self._early.clear()

    def hop(self, record: HopRecord) -> None:
        """See `Sink.hop`."""
        self._write(hop_records(record, self._labels))

    def status(self, status: Status) -> None:
        """See `Sink.status`."""
        if self._started:
            self._write([status_record(status)])
        else:
            self._early.append(status_record(status))

    def end(self, end: StreamEnd) -> None:
        """See `Sink.end`."""
        self._write(end_records(end, self._labels))

    def close(self) -> None:
        """Nothing is held back."""

    def _write(self, records: Iterable[Record]) -> None:
        try:
            for record in records:
                self._stream.write(to_line(record) + "\n")
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"standard output: {error.strerror or error}; is the disk full?") from error
