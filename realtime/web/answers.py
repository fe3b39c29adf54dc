"""What the API answers and takes: frozen values, of which the OpenAPI document is made."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..memory import Remembered
from ..memory.query import DeviceState
from ..memory.times import iso
from ..sinks.watch import Second, StreamState


@dataclass(frozen=True)
class SessionView:
    """Who the reader is, and what changes of theirs have to show."""

    user: str | None
    csrf: str | None
    login: bool
    """Whether they have to log in first."""
    changing: bool
    """Whether streams can be added and removed here."""


@dataclass(frozen=True)
class StreamView:
    """A stream as it is now."""

    name: str
    source: str
    state: str
    reason: str
    away: dict[str, str]
    label: str
    confidence: float
    events: list[dict[str, Any]]
    level_dbfs: float
    attention: list[list[float]] | None
    hop: dict[str, Any] | None
    seconds: list[Second]
    """The last ten, oldest first; of a second that is not settled the newest answer."""
    labels: list[str]
    followed: bool
    """Whether it is a stream of another box, which is changed and ended there."""

    @classmethod
    def of(cls, now: StreamState) -> StreamView:
        """As JSON can say it."""
        attention = now.attention
        return cls(
            name=now.name,
            source=now.source,
            state=now.state,
            reason=now.reason,
            away=now.away,
            label=now.label,
            confidence=round(float(now.confidence), 4),
            events=list(now.events),
            level_dbfs=round(float(now.level_dbfs), 1),
            attention=None if attention is None else [[round(float(v), 4) for v in row] for row in attention],
            hop=now.hop,
            seconds=[replace(one, confidence=round(one.confidence, 4)) for one in now.seconds],
            labels=list((now.start or {}).get("labels", [])),
            followed=now.followed,
        )


@dataclass(frozen=True)
class EventView:
    """A remembered event; times in ISO 8601 with the offset of the place."""

    id: int
    stream: str
    label: str
    start: str
    end: str | None
    duration_s: float | None
    confidence: float
    corrections: int
    retracted: bool
    clip: bool
    clip_offset_s: float | None
    """Where in its clip it begins."""
    thumbnail: bool
    mark: Literal["right", "wrong", "other"] | None
    is_label: str | None
    source: str
    model: str
    calibration: str

    @classmethod
    def of(cls, event: Remembered) -> EventView:
        """Without paths of this machine."""
        lasted_us = None if event.end_us is None else event.end_us - event.start_us
        shown_us = None if event.clip_start_us is None else event.start_us - event.clip_start_us
        return cls(
            id=event.id,
            stream=event.stream,
            label=event.label,
            start=iso(event.start_us, event.offset_s),
            end=None if event.end_us is None else iso(event.end_us, event.offset_s),
            duration_s=None if lasted_us is None else round(lasted_us / 1e6, 3),
            confidence=round(event.confidence, 4),
            corrections=event.corrections,
            retracted=event.retracted,
            clip=event.clip is not None,
            clip_offset_s=None if shown_us is None else round(shown_us / 1e6, 3),
            thumbnail=event.thumbnail is not None,
            mark=event.verdict,  # type: ignore[arg-type]  # the table allows no other
            is_label=event.is_label,
            source=event.source,
            model=event.model,
            calibration=event.calibration,
        )


@dataclass(frozen=True)
class EventPage:
    """Some events, newest first, and where the next ones begin."""

    events: list[EventView]
    next: str | None
    """What to give as `before`; null at the end."""


@dataclass(frozen=True)
class Statistics:
    """Totals of days in local time; they outlive their events."""

    since: str
    until: str
    by_hour: dict[str, tuple[int, ...]]
    """Class → events begun in each of the 24 hours."""
    by_day: dict[str, int]
    lasted_s: dict[str, float]


@dataclass(frozen=True)
class Names:
    """What was ever remembered."""

    streams: list[str]
    labels: list[str]


@dataclass(frozen=True)
class StateView:
    """What a device said last."""

    stream: str
    device: str
    at: str
    state: str
    severity: str
    reason: str

    @classmethod
    def of(cls, state: DeviceState, offset: int) -> StateView:
        """With its time in the local time of this machine."""
        at = iso(state.at_us, offset)
        return cls(state.stream, state.device, at, state.state, state.severity, state.reason)


@dataclass(frozen=True)
class Health:
    """Whether all is well."""

    healthy: bool
    streams: dict[str, str]
    """State of every stream."""
    troubles: dict[str, dict[str, str]]
    """Stream → device → why it is away."""
    remembering: bool
    states: list[StateView] = field(default_factory=list)
    history: list[StateView] = field(default_factory=list)


@dataclass(frozen=True)
class Login:
    """Name and password."""

    user: str
    password: str


@dataclass(frozen=True)
class Mark:
    """What a person says of an event."""

    verdict: Literal["right", "wrong", "other"]
    label: str | None = None
    """What it is; with `other` only."""


@dataclass(frozen=True)
class Done:
    """What was done."""

    said: str
