"""The JSON records of schema 1: what every machine-readable output writes, one object a line.

    start, status*, (hop, segment*, event*)*, segment*, event*, end

Times are seconds from the start of the stream, rounded to a millisecond; probabilities to four decimals.
Two replays of one recording differ only in `latency_ms`, `real_time_factor`, `skipped`, `dropped` and
wall-clock fields. Readers ignore fields they do not know.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ..core.clock import NS_PER_S
from ..core.text import json_safe
from .base import Sink

if TYPE_CHECKING:
    from ..core.messages import Event, Hop, Settled, Status, StreamEnd, StreamStart, TrackTotals

SCHEMA = 1
TOP = 5

Record = dict[str, Any]


def to_line(record: Record) -> str:
    """One line without its newline; never NaN or infinity, which are not JSON, nor a control character."""
    return json_safe(json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(", ", ": ")))


def to_bytes(record: Record) -> bytes:
    """As `to_line`, in UTF-8, for a message; a name that is no text (a file's name may be any bytes) is
    spelled with `?`.
    """
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "replace")


def as_bytes(secret: str) -> bytes:
    """A secret as it was given: bytes of the environment that are no UTF-8 stay what they were."""
    return secret.encode("utf-8", "surrogateescape")


def of_stream(record: Record, stream: str) -> Record:
    """The record with the name of its stream, where several are in one output; unchanged without a name."""
    return {"type": record["type"], "stream": stream, **record} if stream else record


def start_record(start: StreamStart) -> Record:
    """The `start` record."""
    source = start.source
    record: Record = {
        "type": "start",
        "schema": SCHEMA,
        "version": start.version,
        "profile": start.profile,
        "backend": start.backend,
        "precision": start.precision,
        "device": start.device,
        "calibration": start.calibration or None,
        "source": {
            "name": source.name,
            "kind": source.kind,
            "live": source.live,
            "video": source.video or None,
            "audio": source.audio or None,
            "duration_s": None if source.duration_s is None else _seconds(source.duration_s),
        },
        "labels": list(start.labels),
        "window": start.window,
        "segment_s": start.segment_s,
        "hop_s": start.hop_s,
        "settle": start.settle,
    }
    if start.wall_clock is not None:
        record["wall_clock"] = _moment(start.wall_clock)
    return record


def hop_records(record: Hop, labels: tuple[str, ...]) -> Iterator[Record]:
    """The `hop` record, then the seconds it settled and the events it changed."""
    segment = record.segment
    newest = record.scores.probabilities[-1]
    order = (-newest).argsort(kind="stable")[:TOP]
    yield {
        "type": "hop",
        "hop": record.hop,
        "segment": {
            "index": segment.index,
            "start_s": _at(segment.start_ns),
            "end_s": _at(segment.end_ns),
            "frames": len(segment.frames),
            "audio": round(segment.audio_fraction, 3),
            "video": segment.video,
            "sound": segment.sound,
            "partial": segment.partial,
        },
        "label": labels[record.label],
        "confidence": _p(record.confidence),
        "top": [[labels[i], _p(newest[i])] for i in order],
        "ood": round(record.scores.ood, 3),
        "audio_dbfs": round(record.audio_level_dbfs, 1),
        "latency_ms": round(record.latency_ms, 1),
        "skipped": record.skipped,
        "dropped": record.dropped,
        "skew_ms": None if record.skew_ms is None else round(record.skew_ms, 1),
        "drift_ppm": None if record.drift_ppm is None else round(record.drift_ppm, 1),
    }
    for second in record.settled:
        yield segment_record(second, labels)
    for event in record.events:
        yield event_record(event, labels)


def segment_record(settled: Settled, labels: tuple[str, ...]) -> Record:
    """A settled second."""
    return {
        "type": "segment",
        "index": settled.index,
        "start_s": _seconds(settled.start_s),
        "end_s": _seconds(settled.end_s),
        "label": labels[settled.label],
        "confidence": _p(settled.confidence),
        "looks": settled.looks,
    }


def event_record(event: Event, labels: tuple[str, ...]) -> Record:
    """A change in the life of an event."""
    return {
        "type": "event",
        "event": event.kind,
        "id": event.id,
        "label": labels[event.label],
        "start_s": _seconds(event.start_s),
        "end_s": None if event.end_s is None else _seconds(event.end_s),
        "confidence": _p(event.confidence),
    }


def status_record(status: Status) -> Record:
    """A device, a sink or the machine has something to say."""
    record = {
        "type": "status",
        "device": status.device,
        "state": status.state,
        "reason": status.reason,
        "t_s": _at(status.t_ns),
    }
    if status.wall_clock is not None:
        record["wall_clock"] = _moment(status.wall_clock)
    return record


def end_records(end: StreamEnd, labels: tuple[str, ...]) -> Iterator[Record]:
    """What was settled and ended by the end of the stream, then the `end` record."""
    for second in end.last_settled:
        yield segment_record(second, labels)
    for event in end.last_events:
        yield event_record(event, labels)
    yield {
        "type": "end",
        "reason": end.reason,
        "seconds": _seconds(end.seconds),
        "hops": end.hops,
        "skipped": end.skipped,
        "dropped": end.dropped,
        "events": end.events,
        "real_time_factor": round(end.real_time_factor, 4),
        "latency_ms": {name: round(value, 1) for name, value in end.latency_ms.items()},
        "skew_ms": None if end.skew_ms is None else round(end.skew_ms, 1),
        "tracks": tracks_record(end),
        "lost": lost_record(end),
    }


def lost_record(end: StreamEnd) -> Record:
    """The tracks that lost more than one percent: seconds and share; empty when all is well."""
    return {
        name: {"seconds": _seconds(track.lost_s), "share": _p(track.share)}
        for name, track in end.totals.lost.items()
    }


def tracks_record(end: StreamEnd) -> Record:
    """What became of everything in the input, in seconds."""
    return {name: _track(track) for name, track in end.totals.tracks.items()}


def _track(track: TrackTotals) -> Record:
    return {
        "delivered_s": _seconds(track.delivered_s),
        "by_stamp_s": _seconds(track.by_stamp_s),
        "late_s": _seconds(track.late_s),
        "undecodable_s": _seconds(track.undecodable_s),
        "not_chosen_s": _seconds(track.not_chosen_s),
    }


def _moment(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, timezone.utc).isoformat()


def _p(value: float) -> float:
    return round(float(value), 4)


def _seconds(value: float) -> float:
    return round(float(value), 3)


def _at(t_ns: int) -> float:
    return round(t_ns / NS_PER_S, 3)


class JsonSink(Sink):
    """Turns what the loop says into records; subclasses implement `write`.

    With `events_only` they get `event` records alone: nothing else is then built for them.
    """

    def __init__(self) -> None:
        self.labels: tuple[str, ...] = ()

    def write(self, record: Record) -> None:
        """One record, in order; must not wait."""
        raise NotImplementedError

    def start(self, start: StreamStart) -> None:
        """Write the `start` record."""
        self.labels = start.labels
        if not self.events_only:
            self.write(start_record(start))

    def hop(self, record: Hop) -> None:
        """Write the hop, and what it settled and changed."""
        if self.events_only:
            for event in record.events:
                self.write(event_record(event, self.labels))
            return
        for line in hop_records(record, self.labels):
            self.write(line)

    def status(self, status: Status) -> None:
        """Write a status."""
        if not self.events_only:
            self.write(status_record(status))

    def end(self, end: StreamEnd) -> None:
        """Write what the end settled, and the end."""
        if self.events_only:
            for event in end.last_events:
                self.write(event_record(event, self.labels))
            return
        for line in end_records(end, self.labels):
            self.write(line)
