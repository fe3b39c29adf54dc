"""Reading the event records back: apply them in order and have the present state.

What any consumer of the log does, in its reference form; the screens and the tests use it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from ..core.messages import Event


@dataclass(frozen=True, slots=True)
class EventSpan:
    """One event as it stands after the records so far. `end_s` is None while it is open."""

    id: int
    label: int
    start_s: float
    end_s: float | None
    confidence: float


class Ledger:
    """The events that stand, oldest first; keeps the last `capacity` (None: all of them)."""

    def __init__(self, capacity: int | None = None) -> None:
        self._capacity = capacity
        self._spans: OrderedDict[int, EventSpan] = OrderedDict()

    def apply(self, event: Event) -> None:
        """Take one record. A record about an event that was forgotten already changes nothing.

        Raises:
            ValueError: a second `start` for an identifier that stands.

        """
        if event.kind == "start":
            if event.id in self._spans:
                raise ValueError(f"event {event.id} was started twice")
            self._spans[event.id] = EventSpan(
                event.id, event.label, event.start_s, event.end_s, event.confidence
            )
            if self._capacity is not None and len(self._spans) > self._capacity:
                self._spans.popitem(last=False)
        elif event.id in self._spans:
            if event.kind == "retract":
                del self._spans[event.id]
            else:
                self._spans[event.id] = EventSpan(
                    event.id, event.label, event.start_s, event.end_s, event.confidence
                )

    def extend(self, events: Iterable[Event]) -> None:
        """Take several records in order."""
        for event in events:
            self.apply(event)

    @property
    def spans(self) -> tuple[EventSpan, ...]:
        """All that stand, in order of their announcement."""
        return tuple(self._spans.values())

    @property
    def open(self) -> EventSpan | None:
        """The event that is going on now; there is at most one."""
        return next((span for span in reversed(self._spans.values()) if span.end_s is None), None)
