"""`--csv FILE`: one row per event, written when it is over. Retracted events leave no row."""

from __future__ import annotations

import contextlib
import csv
import io
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ..core.states import CONFIGURATION
from ..core.text import one_line
from .base import Sink
from .rotating import RotatingFile

if TYPE_CHECKING:
    from ..core.messages import Event, Hop, Status, StreamEnd, StreamStart

COLUMNS = ("source", "id", "label", "start_s", "end_s", "duration_s", "confidence", "started_at")
"""`started_at` is the wall-clock time (ISO 8601, UTC); empty for recordings. The rest as in JSONL."""


def row(*values: object) -> str:
    """One CSV line without its newline."""
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([one_line(v) if isinstance(v, str) else v for v in values])
    return out.getvalue()


HEADER = row(*COLUMNS)


class CsvFile(Sink):
    """A sink that appends to a `RotatingFile` made with `header=HEADER`."""

    events_only = True

    def __init__(self, file: RotatingFile) -> None:
        self._file = file
        self._start: StreamStart | None = None
        self._zero_s: float | None = None

    def start(self, start: StreamStart) -> None:
        """Remember the names and the time of day."""
        self._start, self._zero_s = start, start.wall_clock

    def hop(self, record: Hop) -> None:
        """Write the events that ended."""
        self._zero_s = self._zero_s if record.wall_clock is None else record.wall_clock
        for event in record.events:
            self._event(event)

    def end(self, end: StreamEnd) -> None:
        """Write the events that ended with the stream."""
        self._zero_s = self._zero_s if end.wall_clock is None else end.wall_clock
        for event in end.last_events:
            self._event(event)

    def status(self, status: Status) -> None:
        """After SIGHUP look whether the file is still there: an event may be long in coming."""
        if status.device == CONFIGURATION:
            with contextlib.suppress(OSError):  # tried again with the next row, and reported then
                self._file.refresh()

    def close(self) -> None:
        """Flush and close; safe to call twice."""
        self._file.close()

    def _event(self, event: Event) -> None:
        start = self._start
        if event.kind != "end" or event.end_s is None or start is None:
            return
        started = ""
        if self._zero_s is not None:
            moment = datetime.fromtimestamp(self._zero_s + event.start_s, timezone.utc)
            started = moment.isoformat(timespec="milliseconds")
        self._file.write(
            row(
                start.source.name,
                event.id,
                event.name,
                f"{event.start_s:.3f}",
                f"{event.end_s:.3f}",
                f"{event.end_s - event.start_s:.3f}",
                f"{event.confidence:.4f}",
                started,
            ),
            important=True,
        )
