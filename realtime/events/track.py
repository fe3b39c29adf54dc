"""From one posterior per second to labels with hysteresis, and from labels to spans.

A pure state machine: `Tracker.step(state, second)` returns a new state, so the decoder can run it over
seconds that are settled and, on a copy, over those that are still provisional.

The task is single-label, so at most one class holds a second, and events of different classes do not
overlap either: when one takes over, the other ended.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .config import BRIEF_S, DecoderConfig

_EPS = 1e-6


@dataclass(frozen=True, slots=True)
class Second:
    """One second as the tracker sees it; `probabilities` is None where nothing was seen or heard.

    `stated` is what is reported of it, where that is not what decides (`DecoderConfig.stated_at`).
    """

    start_s: float
    end_s: float
    probabilities: NDArray[np.float64] | None
    stated: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one class. `end_s` is the end of its last active second (gaps may lie within)."""

    label: int
    start_s: float
    end_s: float
    active: int
    decided: float
    stated: float

    @property
    def confidence(self) -> float:
        """Mean stated probability over its active seconds."""
        return self.stated / self.active

    @property
    def sureness(self) -> float:
        """Mean of the probabilities that decide, which is held against `brief`."""
        return self.decided / self.active

    @property
    def duration_s(self) -> float:
        """From the start of the first to the end of the last active second."""
        return self.end_s - self.start_s

    def extended(self, more: Span) -> Span:
        """The span with the active seconds of a later one."""
        return replace(
            self,
            end_s=more.end_s,
            active=self.active + more.active,
            decided=self.decided + more.decided,
            stated=self.stated + more.stated,
        )


@dataclass(frozen=True, slots=True)
class Closed:
    """A span that is over; `kept` is False when it was too short, or too unsure, to be an event."""

    span: Span
    kept: bool


@dataclass(frozen=True, slots=True)
class TrackState:
    """Everything the tracker remembers. `label` is the class that held the last second."""

    label: int
    open: Span | None = None
    challenger: Span | None = None
    """Another class that holds the latest seconds but has not yet lasted long enough to take over."""
    cooling: tuple[tuple[int, float], ...] = field(default=())
    """Classes in cool-down, with the instant at which each may start again."""


class Tracker:
    """The rules; holds no state of its own."""

    def __init__(self, config: DecoderConfig) -> None:
        self._background = config.background
        self._enter = config.per_class("enter")
        self._leave = config.per_class("leave")
        self._min_s = config.per_class("min_duration_s")
        self._brief = config.brief
        self._hold_s = config.per_class("hold_s")
        self._cool_s = config.per_class("cool_down_s")
        self._wanted = config.wanted()
        self._margin = config.margin
        self._background_competes = config.background_competes

    def initial(self) -> TrackState:
        """The state before the first second."""
        return TrackState(self._background)

    def sure_enough(self, span: Span) -> bool:
        """Whether a span may be believed: it lasts, or its only second is sure."""
        return span.duration_s >= BRIEF_S - _EPS or span.sureness >= self._brief - _EPS

    def is_event(self, span: Span) -> bool:
        """Whether a span is sure enough and has reached its class's minimum duration."""
        return self.sure_enough(span) and bool(span.duration_s >= self._min_s[span.label] - _EPS)

    def shortest_s(self, label: int) -> float:
        """How long an event of class `label` must last."""
        return float(self._min_s[label])

    def hold_s(self, label: int) -> float:
        """The longest gap that is bridged within an event of class `label`."""
        return float(self._hold_s[label])

    def choose(self, holder: int, probabilities: NDArray[np.float64]) -> int:
        """The class that takes a second: the best one allowed, unless the holder may keep it.

        The holder keeps it while its probability is at least its `leave` threshold, no rival is ahead by
        more than `margin`, and *background*, where it competes, is not ahead at all: events are taken for
        each other by mistake, silence follows them by nature. Rivals are the wanted classes at or above
        their `enter` threshold.
        """
        events = probabilities[: self._background]
        nothing = float(probabilities[self._background]) if self._background_competes else -1.0
        eligible = np.where(self._wanted & (events >= self._enter), events, -1.0)
        best = int(np.argmax(eligible))
        rival = best if eligible[best] >= 0 and eligible[best] > nothing else self._background
        if holder in (self._background, rival):
            return rival
        held = events[holder]
        keeps = held >= max(self._leave[holder], nothing) and eligible[best] - held <= self._margin
        return holder if keeps else rival

    def step(self, state: TrackState, second: Second) -> tuple[TrackState, tuple[Closed, ...]]:
        """One second further; also the spans that came to an end."""
        closed: list[Closed] = []
        span = state.open
        challenger = state.challenger
        cooling = tuple(entry for entry in state.cooling if entry[1] > second.start_s + _EPS)

        def close(ended: Span) -> None:
            nonlocal cooling
            kept = self.is_event(ended)
            closed.append(Closed(ended, kept))
            ready_s = ended.end_s + float(self._cool_s[ended.label])
            if kept and ready_s > second.start_s + _EPS:
                cooling = (*cooling, (ended.label, ready_s))

        # Seconds may be missing altogether (a suspended machine): then the gap speaks, not the label.
        if span is not None and second.start_s - span.end_s > self._hold_s[span.label] + _EPS:
            close(span)
            span, challenger = challenger, None
            if span is not None and second.start_s - span.end_s > self._hold_s[span.label] + _EPS:
                close(span)
                span = None

        if second.probabilities is None:
            label = self._background
        else:
            label = self.choose(state.label, second.probabilities)

        if label == self._background or second.probabilities is None:
            challenger = None
        else:
            p = float(second.probabilities[label])
            said = p if second.stated is None else float(second.stated[label])
            fresh = Span(label, second.start_s, second.end_s, 1, p, said)
            cool = any(entry[0] == label for entry in cooling)
            if span is not None and span.label == label:
                span, challenger = span.extended(fresh), None
            elif cool:
                challenger = None
            elif span is None:
                span = fresh
            elif challenger is not None and challenger.label == label:
                challenger = challenger.extended(fresh)
            else:
                challenger = fresh

        if span is not None:
            over = second.end_s - span.end_s > self._hold_s[span.label] + _EPS
            taken = challenger is not None and self.is_event(challenger)
            if over or taken:
                close(span)
                span, challenger = challenger, None
        return TrackState(label, span, challenger, cooling), tuple(closed)

    def finish(self, state: TrackState) -> tuple[Closed, ...]:
        """What is still open when the stream ends."""
        return tuple(
            Closed(span, self.is_event(span)) for span in (state.open, state.challenger) if span is not None
        )
