"""A sink that thinks in records of schema 1 rather than in messages."""

from __future__ import annotations

from ..messages import HopRecord, Status, StreamEnd, StreamStart
from .records import Record, end_records, event_record, hop_records, start_record, status_record


class RecordSink:
    """Turns what the pipeline says into records; subclasses implement `write` and `close`."""

    events_only = False
    """Set by sinks that want `event` records alone: nothing else is then built for them."""

    def __init__(self) -> None:
        self.labels: tuple[str, ...] = ()

    def write(self, record: Record) -> None:
        """One record, in order; must not wait."""
        raise NotImplementedError

    def close(self) -> None:
        """Flush and release; safe to call twice."""
        raise NotImplementedError

    def start(self, start: StreamStart) -> None:
        """See `Sink.start`."""
        self.labels = start.labels
        if not self.events_only:
            self.write(start_record(start))

    def hop(self, record: HopRecord) -> None:
        """See `Sink.hop`."""
        if self.events_only:
            for event in record.events:
                self.write(event_record(event, self.labels))
            return
        for line in hop_records(record, self.labels):
            self.write(line)

    def status(self, status: Status) -> None:
        """See `Sink.status`."""
        if not self.events_only:
            self.write(status_record(status))

    def end(self, end: StreamEnd) -> None:
        """See `Sink.end`."""
        if self.events_only:
            for event in end.last_events:
                self.write(event_record(event, self.labels))
            return
        for line in end_records(end, self.labels):
            self.write(line)
