"""Thousands of events as the pipeline would hand them to a sink, without media."""

from __future__ import annotations

from collections.abc import Iterator

from avel_live.model.labels import EVENT_NAMES
from avel_live.realtime.core.messages import Event, Hop

from .stream import make_stream


def flood(events: int, per_hop: int = 2) -> Iterator[Hop]:
    """Hops that carry `events` event records together: ids 0, 1, …, each a start followed by its end."""
    from dataclasses import replace

    _, records, _ = make_stream(12)
    template = replace(records[-1], settled=(), events=())
    pending: list[Event] = []
    hop = 0
    for number in range(events):
        id_, label = number // 2, (number // 2) % len(EVENT_NAMES)
        done = number % 2 == 1
        start_s = float(number)
        pending.append(
            Event(
                "end" if done else "start",
                id_,
                label,
                start_s - done,
                start_s if done else None,
                0.5,
                EVENT_NAMES[label],
            )
        )
        if len(pending) == per_hop or number == events - 1:
            yield replace(template, hop=hop, events=tuple(pending))
            pending, hop = [], hop + 1
