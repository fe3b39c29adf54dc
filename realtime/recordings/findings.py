"""What one pass over a recording found: collected from the live path, and read by every writer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from ..messages import Event, Hop, Settled, Status, StreamEnd, StreamStart
from ..sinks.overlay import jpeg, with_attention
from ..sinks.records import event_record, segment_record

BINS: Final = 32
"""Bars of the waveform per second."""
MAX_PICTURES: Final = 240
"""Pictures a page carries at most; each is about 5 kB."""


@dataclass(frozen=True)
class Picture:
    """A small JPEG with the attention map over it, and how sure the network was at that second."""

    second: int
    confidence: float
    data: bytes


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
    `waveform` has `BINS` peaks (0..255) per second. `seconds` and `events` are records of schema 1.
    """

    start: StreamStart
    end: StreamEnd
    seconds: tuple[dict[str, Any], ...]
    top: dict[int, list[tuple[str, float]]]
    """Of the settled posterior: up to three labels per second, surest first."""
    events: tuple[Found, ...]
    looks: dict[int, list[tuple[int, float]]]
    waveform: bytes
    pictures: tuple[Picture, ...]
    remarks: tuple[str, ...] = ()
    """What was wrong with the recording, in words: damage, what is missing."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, background last."""
        return self.start.labels


@dataclass
class Collector:
    """Keeps what a report needs of a stream: about 10 kB for every second of the recording."""

    _start: StreamStart | None = None
    _end: StreamEnd | None = None
    _seconds: list[dict[str, Any]] = field(default_factory=list)
    _top: dict[int, list[tuple[str, float]]] = field(default_factory=dict)
    _events: dict[int, Event] = field(default_factory=dict)
    _looks: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    _peaks: dict[int, bytes] = field(default_factory=dict)
    _pictures: dict[int, Picture] = field(default_factory=dict)
    _remarks: list[str] = field(default_factory=list)

    def start(self, start: StreamStart) -> None:
        """The stream is open."""
        self._start = start

    def hop(self, record: Hop) -> None:
        """One answer."""
        scores, segment = record.scores, record.segment
        for row, probabilities in enumerate(scores.probabilities):
            label = int(probabilities.argmax())
            looks = self._looks.setdefault(scores.first_index + row, [])
            looks.append((label, round(float(probabilities[label]), 3)))
        self._peaks[segment.index] = _peaks(segment.audio)
        if segment.preview is not None:
            picture = with_attention(segment.preview, scores.attention[-1])
            self._pictures[segment.index] = Picture(segment.index, record.confidence, jpeg(picture, 75))
        self._settle(record.settled)
        self._happen(record.events)

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
        count = max(self._peaks, default=-1) + 1
        silence = bytes(BINS)
        return Findings(
            start=self._start,
            end=self._end,
            seconds=tuple(self._seconds),
            top=self._top,
            events=events,
            looks=self._looks,
            waveform=b"".join(self._peaks.get(k, silence) for k in range(count)),
            pictures=self._chosen(events),
            remarks=tuple(self._remarks),
        )

    def _settle(self, settled: tuple[Settled, ...]) -> None:
        assert self._start is not None
        labels = self._start.labels
        for second in settled:
            self._seconds.append(segment_record(second, labels))
            order = np.argsort(-second.probabilities, kind="stable")[:3]
            self._top[second.index] = [(labels[i], round(float(second.probabilities[i]), 3)) for i in order]

    def _happen(self, events: tuple[Event, ...]) -> None:
        for event in events:
            if event.kind == "retract":
                self._events.pop(event.id, None)
            else:
                self._events[event.id] = event

    def _chosen(self, events: tuple[Found, ...]) -> tuple[Picture, ...]:
        wanted: set[int] = set()
        for event in events[: MAX_PICTURES // 2]:
            within = [
                p
                for k, p in self._pictures.items()
                if event.start_s - 0.5 <= k < max(event.end_s, event.start_s + 1)
            ]
            if within:
                wanted.add(max(within, key=lambda p: p.confidence).second)
        every = -(-len(self._pictures) // (MAX_PICTURES // 2)) or 1
        wanted.update(sorted(self._pictures)[::every])
        return tuple(self._pictures[k] for k in sorted(wanted))


def _peaks(samples: np.ndarray[Any, np.dtype[np.float32]]) -> bytes:
    """`BINS` peaks of |x| over one second, 0..255, on a square-root scale that keeps quiet sound visible."""
    whole = len(samples) // BINS * BINS
    if not whole:
        return bytes(BINS)
    peaks = np.abs(samples[:whole]).reshape(BINS, -1).max(axis=1)
    return bytes((255 * np.sqrt(np.clip(peaks, 0, 1))).astype(np.uint8))
