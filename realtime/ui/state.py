"""What the screens know: built up from the records, read by the drawing functions, bounded.

No drawing here and no terminal: the same state feeds the live screen and the summary.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..core.clock import NS_PER_S
from ..core.messages import Event, Hop, Settled, Status, StreamEnd, StreamStart
from ..events.ledger import EventSpan, Ledger
from ..sinks.presence import Presence

CELLS = 10
"""Segments on the timeline."""
RECENT = 64
"""Events remembered for the list on the screen."""
DOUBTFUL = 0.25
"""A provisional second whose best class is less probable than this names none."""
LOSS_SHOWN_S = 30.0
"""How long a dropped frame or a skipped hop stays alarming."""
DEVICES = 12
"""Devices and sinks remembered with their last state."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One second on the timeline. `label` is an index; `note` says what was missing."""

    index: int
    label: int
    confidence: float
    settled: bool
    note: str = ""


class ScreenState:
    """Everything shown, as of the last record."""

    def __init__(self) -> None:
        self.start: StreamStart | None = None
        self.end: StreamEnd | None = None
        self.record: Hop | None = None
        self.cells: OrderedDict[int, Cell] = OrderedDict()
        self.ledger = Ledger(RECENT)
        self.retracted: deque[EventSpan] = deque(maxlen=RECENT)
        self.devices: OrderedDict[str, Status] = OrderedDict()
        self._told_s: dict[str, float] = {}
        self._presence = Presence()
        self.level_dbfs = -120.0
        self.peak_dbfs = -120.0
        self.counts: Counter[int] = Counter()
        self.seconds_of: Counter[int] = Counter()
        self.settled_to = -1
        """Index of the last settled second."""
        self._lost = 0
        self._listening = False
        self._lost_at_s = -LOSS_SHOWN_S

    # Taking records -------------------------------------------------------------------------------

    def take_start(self, start: StreamStart) -> None:
        """The stream begins; what was being loaded is loaded."""
        self.start = start
        for status in [s for s in self.devices.values() if s.state == "loading"]:
            del self.devices[status.device]

    def take_status(self, status: Status) -> None:
        """Remember the last state of each device; an aside about one that is away does not bring it back."""
        if not self._presence.take(status):
            return
        self.devices.pop(status.device, None)
        self.devices[status.device] = status
        self._told_s[status.device] = self.now_s
        while len(self.devices) > DEVICES:
            name = min(self.devices, key=lambda device: not is_well(self.devices[device]))
            del self.devices[name]
            self._told_s.pop(name, None)

    def take_hop(self, record: Hop) -> None:
        """One more answer."""
        self.record = record
        segment = record.segment
        if segment.index * self._segment_ns == segment.start_ns:
            # Answers between whole seconds (`--hop 0.5`) look at other seconds than the timeline's.
            self._provisional(record)
        lost = record.skipped + record.dropped
        if lost > self._lost:
            self._lost, self._lost_at_s = lost, segment.end_ns / NS_PER_S
        self._settle(record.settled)
        self._apply(record.events)
        for index in sorted(self.cells)[: max(0, len(self.cells) - CELLS)]:
            del self.cells[index]
        if not self._listening:
            self.level_dbfs = record.audio_level_dbfs
            self.peak_dbfs = max(self.level_dbfs, self.peak_dbfs - 3.0)

    def take_level(self, dbfs: float) -> None:
        """The level of the latest block of sound: rises at once, falls slowly, its peak more slowly."""
        self._listening = True
        self.level_dbfs = max(dbfs, self.level_dbfs - 3.0)
        self.peak_dbfs = max(dbfs, self.peak_dbfs - 0.5)

    def take_end(self, end: StreamEnd) -> None:
        """The stream is over."""
        self._settle(end.last_settled)
        self._apply(end.last_events)
        self.end = end

    @property
    def _segment_ns(self) -> int:
        return round((self.start.segment_s if self.start is not None else 1.0) * NS_PER_S)

    def _provisional(self, record: Hop) -> None:
        scores, segment = record.scores, record.segment
        for row in range(len(scores.probabilities)):
            index = scores.first_index + row
            known = self.cells.get(index)
            if index <= self.settled_to or (known is not None and known.settled):
                continue
            label = int(np.argmax(scores.probabilities[row]))
            if scores.probabilities[row, label] < DOUBTFUL:
                label = self.background
            confidence = float(scores.probabilities[row, label])
            note = known.note if known is not None else ""
            if index == scores.newest_index:
                label, confidence = record.label, record.confidence
                note = _missing(segment.video, segment.sound)
            self.cells[index] = Cell(index, label, confidence, settled=False, note=note)

    def _settle(self, settled: Iterable[Settled]) -> None:
        for second in settled:
            known = self.cells.get(second.index)
            note = known.note if known is not None else ""
            if second.looks == 0:
                note = note or "not seen"
            self.cells[second.index] = Cell(second.index, second.label, second.confidence, True, note)
            self.settled_to = max(self.settled_to, second.index)

    def _apply(self, events: Iterable[Event]) -> None:
        for event in events:
            if event.kind == "retract":
                span = next((s for s in self.ledger.spans if s.id == event.id), None)
                if span is not None:
                    self.retracted.append(span)
            elif event.kind == "end" and event.end_s is not None:
                self.counts[event.label] += 1
                self.seconds_of[event.label] += round(event.end_s - event.start_s)
            self.ledger.apply(event)

    # Reading --------------------------------------------------------------------------------------

    def name(self, label: int) -> str:
        """The name of a class."""
        return self.start.labels[label] if self.start is not None else str(label)

    @property
    def background(self) -> int:
        """Index of *background*; −1 before the stream's classes are known."""
        return len(self.start.labels) - 1 if self.start is not None else -1

    @property
    def now_s(self) -> float:
        """Stream time of the end of the newest segment."""
        if self.end is not None:
            return self.end.seconds
        return self.record.segment.end_ns / NS_PER_S if self.record is not None else 0.0

    @property
    def open_event(self) -> EventSpan | None:
        """The event that is going on."""
        return self.ledger.open

    def standing(self) -> list[Status]:
        """The states that matter now: of devices always, of the machine for half a minute; troubles first."""
        shown = [
            status
            for status in self.devices.values()
            if status.device != "machine" or self.now_s - self._told_s[status.device] < LOSS_SHOWN_S
        ]
        return sorted(shown, key=is_well)

    @property
    def losing(self) -> bool:
        """Whether something was dropped or skipped in the last half minute."""
        return self.now_s - self._lost_at_s < LOSS_SHOWN_S

    def last_active_s(self, event: EventSpan) -> float:
        """End of the last second on the timeline that carries the event; its start when none does."""
        segment_s = self.start.segment_s if self.start is not None else 1.0
        ends = [(c.index + 1) * segment_s for c in self.cells.values() if c.label == event.label]
        return max([event.start_s, *ends])

    def timeline(self) -> list[Cell | None]:
        """The last ten seconds, oldest first; None where the stream had not begun."""
        if not self.cells:
            return [None] * CELLS
        newest = max(self.cells)
        return [self.cells.get(index) for index in range(newest - CELLS + 1, newest + 1)]

    def top(self, count: int = 5) -> list[tuple[int, float]]:
        """The most probable classes of the newest second, *background* among them."""
        if self.record is None:
            return []
        p = self.record.scores.probabilities[-1]
        order = np.argsort(p, kind="stable")[::-1][:count]
        return [(int(k), float(p[k])) for k in order]

    def recent(self) -> list[tuple[EventSpan, bool]]:
        """Events that ended or were retracted (True), newest first."""
        ended = [(span, False) for span in self.ledger.spans if span.end_s is not None]
        taken_back = [(span, True) for span in self.retracted]
        return sorted(ended + taken_back, key=lambda item: item[0].id, reverse=True)


def is_well(status: Status) -> bool:
    """Whether a state needs no attention."""
    return status.severity == "info"


def _missing(video: bool, sound: bool) -> str:
    if video and sound:
        return ""
    if sound:
        return "no picture"
    return "no sound" if video else "no input"
