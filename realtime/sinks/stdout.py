"""`--json`: JSONL on standard output, a line at a time, so that a pipe sees each record at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from .base import Sink
from .lines import LineWriter
from .records import Record, end_records, hop_records, of_stream, start_record, status_record, to_line

if TYPE_CHECKING:
    from ..core.messages import Hop, Status, StreamEnd, StreamStart


class JsonLines(Sink):
    """Schema 1 on a text stream; raises what `LineWriter` does.

    Args:
        stream: where to.
        name: of the stream, where there are several: every record then carries it.

    """

    def __init__(self, stream: TextIO | LineWriter, name: str = "") -> None:
        self._lines = stream if isinstance(stream, LineWriter) else LineWriter(stream)
        self._name = name
        self._labels: tuple[str, ...] = ()
        self._early: list[Record] = []
        self._started = False

    def start(self, start: StreamStart) -> None:
        """Write the start; what was said before comes right after it."""
        self._labels = start.labels
        self._started = True
        self._write([start_record(start), *self._early])
        self._early.clear()

    def hop(self, record: Hop) -> None:
        """Write an answer."""
        self._write(hop_records(record, self._labels))

    def status(self, status: Status) -> None:
        """Write a status, or keep it until the start."""
        if self._started:
            self._write([status_record(status)])
        else:
            self._early.append(status_record(status))

    def end(self, end: StreamEnd) -> None:
        """Write the end."""
        self._write(end_records(end, self._labels))

    def close(self) -> None:
        """Say what was lost; safe to call twice."""
        self._lines.close()

    def _write(self, records: Iterable[Record]) -> None:
        for record in records:
            self._lines.write(to_line(of_stream(record, self._name)))
