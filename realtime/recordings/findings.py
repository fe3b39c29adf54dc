"""What one pass over a recording found: collected from the live path, and read by every writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..core.messages import Event, Hop, Settled, Status, StreamEnd, StreamStart
from ..sinks.records import event_record
from .bysecond import BINS as BINS
from .bysecond import BySecond, Seconds, SecondTable
from .pictures import MAX_PICTURES as MAX_PICTURES
from .pictures import Picture, PictureChoice


@dataclass(frozen=True)
class Found:
    """An event from beginning to end."""

    id: int
    label: str
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True)
class Findings:
    """Everything the writers need.

    `looks[k]` are the up to ten answers about second k, oldest look first: (label index, confidence).
    `seconds` are records of schema 1, `waveform` has `BINS` peaks (0..255) per second. What there is for
    every second is read from a table on disk when asked for: go through it in order if a recording is long.
    """

    start: StreamStart
    end: StreamEnd
    seconds: Sequence[dict[str, Any]]
    top: Mapping[int, list[tuple[str, float]]]
    """Of the settled posterior: up to three labels per second, surest first."""
    events: tuple[Found, ...]
    looks: Mapping[int, list[tuple[int, float]]]
    waveform: bytes
    pictures: tuple[Picture, ...]
    remarks: tuple[str, ...] = ()
    """What was wrong with the recording, in words: damage, what is missing."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, background last."""
        return self.start.labels


class Collector:
    """Keeps what a report needs of a stream; its memory does not grow with the recording."""

    def __init__(self) -> None:
        self._start: StreamStart | None = None
        self._end: StreamEnd | None = None
        self._table = SecondTable(())
        self._events: dict[int, Event] = {}
        self._pictures = PictureChoice()
        self._remarks: list[str] = []

    def start(self, start: StreamStart) -> None:
        """The stream is open."""
        self._start = start
        self._table.labels = start.labels

    def hop(self, record: Hop) -> None:
        """One answer."""
        scores, segment = record.scores, record.segment
        for row, probabilities in enumerate(scores.probabilities):
            label = int(probabilities.argmax())
            self._table.look(scores.first_index + row, label, float(probabilities[label]))
        self._table.peaks(segment.index, _peaks(segment.audio))
        if segment.preview is not None:
            self._pictures.take(
                segment.index, record.confidence, segment.preview, scores.attention[-1].copy()
            )
        self._settle(record.settled)
        self._happen(record.events)
        self._table.advance(segment.index)

    def status(self, status: Status) -> None:
        """Something was wrong with the recording, or is worth a remark."""
        if status.severity != "info" and status.device != "machine" and status.reason not in self._remarks:
            self._remarks.append(status.reason)

    def end(self, end: StreamEnd) -> None:
        """The stream is over."""
        self._settle(end.last_settled)
        self._happen(end.last_events)
        self._end = replace(end, last_settled=(), last_events=())

    def findings(self) -> Findings:
        """After `end`: what was found. Of many pictures, those of events and an even choice of the rest."""
        assert self._start is not None, "the stream never started"
        assert self._end is not None, "the stream did not reach its end"
        labels = self._start.labels
        events = tuple(
            Found(
                event.id,
                event.name,
                record["start_s"],
                record["end_s"] if record["end_s"] is not None else round(self._end.seconds, 3),
                record["confidence"],
            )
            for event in sorted(self._events.values(), key=lambda e: (e.start_s, e.id))
            for record in (event_record(event, labels),)
        )
        self._table.finish()
        return Findings(
            start=self._start,
            end=self._end,
            seconds=Seconds(self._table),
            top=BySecond(self._table, top=True),
            events=events,
            looks=BySecond(self._table, top=False),
            waveform=self._table.waveform,
            pictures=self._pictures.chosen(self._end.seconds),
            remarks=tuple(self._remarks),
        )

    def _settle(self, settled: tuple[Settled, ...]) -> None:
        for second in settled:
            self._table.settle(second)

    def _happen(self, events: tuple[Event, ...]) -> None:
        for event in events:
            self._pictures.happen(event)
            if event.kind == "retract":
                self._events.pop(event.id, None)
            else:
                self._events[event.id] = event


def _peaks(samples: np.ndarray[Any, np.dtype[np.float32]]) -> bytes:
    """`BINS` peaks of |x| over one second, 0..255, on a square-root scale that keeps quiet sound visible."""
    whole = len(samples) // BINS * BINS
    if not whole:
        return bytes(BINS)
    peaks = np.abs(samples[:whole]).reshape(BINS, -1).max(axis=1)
    return bytes((255 * np.sqrt(np.clip(peaks, 0, 1))).astype(np.uint8))
