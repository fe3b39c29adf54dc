"""The streaming decoder: Scores in, settled seconds and event records out.

    looks ──fusion──▶ posterior per second ──tracker──▶ spans ──this module──▶ start / update / end / retract

A second is *provisional* from its first look and *settled* once `settle` more seconds were seen.
The tracker runs for good over settled seconds and, on a copy of its state, over provisional ones.
What it says about the provisional ones may be announced early; what the settled ones say corrects it:

    start     an event began (with `early`, possibly on provisional evidence)
    update    its start or its confidence changed
    end       it is over; never taken back
    retract   it was announced, but the settled answer disagrees

At most one announced event is open at a time, and the events that ended never overlap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.messages import Event, EventKind, Scores, Settled
from .config import DecoderConfig
from .fusion import Fused, LookAccumulator, context_weight, decisive
from .track import Closed, Second, Span, Tracker, TrackState

MAX_UNSEEN = 60
"""Longest run of seconds without any look that is reported second by second; a longer one (a suspended
machine) is left out of the record."""

_EPS = 1e-6


@dataclass(frozen=True, slots=True)
class DecoderStep:
    """What one push brought: seconds that are now final, and event records in order."""

    settled: tuple[Settled, ...] = ()
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class _Announced:
    id: int
    label: int
    start_s: float
    end_s: float
    confidence: float


class Decoder:
    """Fuses looks, settles seconds, and keeps the story of events consistent.

    Memory is bounded by the window plus `settle` seconds, however long the stream.
    """

    def __init__(self, config: DecoderConfig | None = None) -> None:
        self.config = config or DecoderConfig()
        self._tracker = Tracker(self.config)
        self._looks = LookAccumulator(self.config)
        self._state = self._tracker.initial()
        self._next: int | None = None
        """The first second that is not settled."""
        self._newest = -1
        self._newest_end_s: float | None = None
        self._live: _Announced | None = None
        self._ids = 0
        self._provisional = (self.config.background, 0.0)
        self._finished = False
        self._ended_early: list[Event] = []
        """Ends that the next step has to say."""

    def reconfigure(self, config: DecoderConfig) -> None:
        """Go on with other thresholds: open events, looks and settled seconds stay what they are.

        An open event of a class that is not wanted any more ends where it was last seen, with the next push.
        `pool` and the number of classes can't change in a running stream.
        """
        self.prepare(config)()

    def prepare(self, config: DecoderConfig) -> Callable[[], None]:
        """What `reconfigure` is to do, checked; calling the result can't fail.

        Raises:
            UsageError: a number of thresholds that does not fit the classes.

        """
        tracker, wanted = Tracker(config), config.wanted()

        def change() -> None:
            self.config, self._tracker = config, tracker
            live, state = self._live, self._state
            if live is not None and not wanted[live.label]:
                self._ended_early.append(
                    self._event("end", live.id, live.label, live.start_s, live.end_s, live.confidence)
                )
                self._live = None

            def still(span: Span | None) -> Span | None:
                return span if span is not None and wanted[span.label] else None

            holds = state.label == config.background or bool(wanted[state.label])
            open_, challenger = still(state.open), still(state.challenger)
            if open_ is None:
                open_, challenger = challenger, None
            self._state = TrackState(
                state.label if holds else config.background, open_, challenger, state.cooling
            )

        return change

    @property
    def pending(self) -> int:
        """Seconds that have looks but are not settled yet."""
        return len(self._looks)

    @property
    def event_count(self) -> int:
        """Event identifiers given out so far (retracted ones included)."""
        return self._ids

    def provisional(self) -> tuple[int, float]:
        """Label and probability of the newest second as known now, hysteresis included.

        With the label *background* the probability is that of *background*.
        """
        return self._provisional

    def push(self, scores: Scores, end_s: float | None = None) -> DecoderStep:
        """Take one look at a window.

        `end_s` is the end of the newest second where it is shorter than a segment (the remainder at
        the end of a file). LookAccumulator at seconds that are settled already change nothing.
        """
        if self._finished:
            raise RuntimeError("the decoder was finished; make a new one for a new stream")
        if self._next is None:
            self._next = scores.first_index
        valid = np.asarray(scores.valid, dtype=bool)
        before = np.concatenate([[0], np.cumsum(valid)])
        for row in np.flatnonzero(valid):
            index = scores.first_index + int(row)
            if index < self._next:
                continue
            weight = context_weight(int(before[row]), int(before[-1] - before[row + 1]), self.config)
            self._looks.add(index, scores.probabilities[row], weight)
        if scores.newest_index >= self._newest:
            self._newest, self._newest_end_s = scores.newest_index, end_s
        settled, records = self._settle_to(self._newest - self.config.settle)
        self._speculate(records)
        return DecoderStep(tuple(settled), tuple(records))

    def finish(self, end_s: float | None = None) -> DecoderStep:
        """The stream is over: settle every second left and end what is open.

        `end_s` is where the stream ended, if that is before the end of the newest second.
        """
        if self._finished:
            return DecoderStep()
        if end_s is not None:
            self._newest_end_s = end_s
        settled, records = self._settle_to(self._newest)
        for closed in self._tracker.finish(self._state):
            self._close(closed, records)
        if self._live is not None:
            self._retract(records)
        self._state = self._tracker.initial()
        self._finished = True
        return DecoderStep(tuple(settled), tuple(records))

    # Settled seconds ------------------------------------------------------------------------------

    def _settle_to(self, last: int) -> tuple[list[Settled], list[Event]]:
        settled: list[Settled] = []
        records, self._ended_early = self._ended_early, list[Event]()
        if self._next is None:
            return settled, records
        while self._next <= last:
            seen = self._looks.first()
            known = last + 1 if seen is None else min(seen, last + 1)
            if known - self._next > MAX_UNSEEN:
                self._next = known
                self._state = TrackState(self.config.background, self._state.open, None, self._state.cooling)
                continue
            index, self._next = self._next, self._next + 1
            fused = self._looks.take(index)
            second = self._second(index, fused)
            self._state, closed = self._tracker.step(self._state, second)
            for item in closed:
                self._close(item, records)
            label = self._state.label
            confidence = float(fused.probabilities[label]) if fused.looks else 0.0
            self._provisional = (label, confidence)
            p32: NDArray[np.float32] = fused.probabilities.astype(np.float32)
            name = self.config.labels[label]
            settled.append(
                Settled(index, second.start_s, second.end_s, label, confidence, fused.looks, p32, name)
            )
        return settled, records

    def _second(self, index: int, fused: Fused) -> Second:
        start_s = index * self.config.segment_s
        end_s = (index + 1) * self.config.segment_s
        if index == self._newest and self._newest_end_s is not None:
            end_s = min(end_s, max(self._newest_end_s, start_s))
        if not fused.looks:
            return Second(start_s, end_s, None)
        return Second(start_s, end_s, decisive(fused.probabilities, self.config), fused.probabilities)

    # Provisional seconds --------------------------------------------------------------------------

    def _speculate(self, records: list[Event]) -> None:
        """Run a copy of the tracker over the provisional seconds and announce what changed."""
        assert self._next is not None
        state, spans = self._state, list[Span]()
        for index in range(max(self._next, self._newest - MAX_UNSEEN), self._newest + 1):
            fused = self._looks.fused(index)
            state, closed = self._tracker.step(state, self._second(index, fused))
            spans += [item.span for item in closed]
            confidence = float(fused.probabilities[state.label]) if fused.looks else 0.0
            self._provisional = (state.label, confidence)
        if not self.config.early:
            span = self._state.open
            spans = [span] if span is not None and self._tracker.is_event(span) else []
        elif state.open is not None:
            spans.append(state.open)
        self._reconcile(spans, records)

    def _reconcile(self, spans: list[Span], records: list[Event]) -> None:
        """Bring the announced event in line with the `spans` that are not final yet, oldest first."""
        if self._live is not None:
            match = next((span for span in spans if self._same(self._live, span)), None)
            if match is not None:
                self._update(match, records)
                return
            self._retract(records)
        first = next((span for span in spans if self._may_start(span)), None)
        if first is not None:
            self._start(first, records)

    def _may_start(self, span: Span) -> bool:
        """Whether a span that is not over may be announced.

        One second is enough of an answer to announce, but not to promise a length: where a class's events
        must last, what is settled must have lasted. So what is too short is never announced.
        """
        if not self._tracker.sure_enough(span):
            return False
        if self._tracker.shortest_s(span.label) <= self.config.segment_s + _EPS:
            return True
        settled = self._state.open
        return settled is not None and settled.label == span.label and self._tracker.is_event(settled)

    # Records --------------------------------------------------------------------------------------

    def _same(self, live: _Announced, span: Span) -> bool:
        if live.label != span.label:
            return False
        gap_s = max(span.start_s - live.end_s, live.start_s - span.end_s)
        return gap_s <= self._tracker.hold_s(span.label) + _EPS

    def _start(self, span: Span, records: list[Event]) -> None:
        live = _Announced(self._ids, span.label, span.start_s, span.end_s, span.confidence)
        self._ids += 1
        self._live = live
        records.append(self._event("start", live.id, live.label, live.start_s, None, live.confidence))

    def _update(self, span: Span, records: list[Event]) -> None:
        live = self._live
        assert live is not None
        moved = abs(span.start_s - live.start_s) > _EPS
        changed = abs(span.confidence - live.confidence) >= self.config.update_step + _EPS
        if moved or changed:
            records.append(self._event("update", live.id, live.label, span.start_s, None, span.confidence))
        reported = span.confidence if moved or changed else live.confidence
        self._live = _Announced(live.id, live.label, span.start_s, span.end_s, reported)

    def _retract(self, records: list[Event]) -> None:
        live = self._live
        assert live is not None
        records.append(self._event("retract", live.id, live.label, live.start_s, live.end_s, live.confidence))
        self._live = None

    def _event(
        self,
        kind: EventKind,
        id_: int,
        label: int,
        start_s: float,
        end_s: float | None,
        confidence: float,
    ) -> Event:
        return Event(kind, id_, label, start_s, end_s, confidence, self.config.labels[label])

    def _close(self, closed: Closed, records: list[Event]) -> None:
        """A span of the settled story is over for good."""
        span = closed.span
        live = self._live
        mine = live is not None and self._same(live, span)
        if not closed.kept:
            if mine:
                self._retract(records)
            return
        if live is not None and not mine:
            # It was announced on provisional evidence; its own time to be confirmed may yet come.
            self._retract(records)
        if self._live is None:
            self._start(span, records)
        live = self._live
        assert live is not None
        records.append(self._event("end", live.id, span.label, span.start_s, span.end_s, span.confidence))
        self._live = None
