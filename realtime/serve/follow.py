"""Streams of other boxes, from the broker that they publish to: shown beside our own, and remembered.

    avel/NAME/event/start|update|end|retract   the event is remembered        (`sinks.mqtt.sink` publishes)
    avel/NAME/state                            the newest second
    avel/NAME/availability                     the box comes and goes

There are no pictures. A message says when something happened in seconds of its stream; when that stream began
is taken from the message that was under way for the shortest time, so that an event is placed some seconds
late at most (the time that a box takes to settle it). What a broker sends is somebody else's text: it is
bounded in number and length, and what makes no sense is left out.
"""

from __future__ import annotations

import json
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..core.names import slug
from ..core.states import State
from ..memory import EventRow, MemoryFileError, Run, Writer
from ..memory.times import zone_name
from ..sinks.base import Report, words
from ..sinks.mqtt import MqttOptions
from ..sinks.mqtt.broker import Broker, Message
from ..sinks.mqtt.link import MqttLink
from ..sinks.records import Record, of_stream
from ..sinks.watch import Bell, StreamState

_MOST_STREAMS: Final = 256
_LONGEST: Final = 100
"""Characters of a label."""
_LARGEST: Final = 65_536
"""Bytes of a message."""
_WAITING: Final = 10_000
"""Rows that wait while the memory can't be written; then the oldest are lost."""


@dataclass
class _Other:
    """A stream of another box."""

    name: str
    state: str = "running"
    label: str = ""
    confidence: float = 0.0
    zero_s: float = float("inf")
    """Unix time at which it began, by the message that was under way for the shortest time."""
    began_s: float = 0.0
    events: dict[int, Record] = field(default_factory=dict)
    """What is going on, by id."""
    run: int | None = None
    """Its number in the memory."""
    rows: deque[EventRow] = field(default_factory=lambda: deque(maxlen=_WAITING))


class Follow:
    """Listens to a broker. All of it happens on the link's thread.

    Args:
        url: of the broker, `mqtt[s]://[user@]host[:port][/topic]`.
        options: password, certificate and first topic, as for what we publish.
        own: slugs of our own streams, which are no news.
        bell: told what comes, as the records of our own streams are.
        memory: the file in which events are remembered; None for none.
        report: told when the broker or the memory comes and goes.
        wall_s: the time of day, Unix seconds.

    Raises:
        UsageError: not an address.
        OutputError: the package for MQTT is missing, or a certificate.

    """

    def __init__(
        self,
        url: str,
        options: MqttOptions,
        own: Callable[[], frozenset[str]],
        bell: Bell,
        memory: Path | None,
        report: Report,
        wall_s: Callable[[], float],
    ) -> None:
        broker = Broker.parse(url, options.username, options.password, options.ca_file)
        self._first = broker.path or options.topic
        self._where = f"{broker}/{self._first}"
        self._own, self._bell, self._path, self._report = own, bell, memory, report
        self._wall_s = wall_s
        self._others: dict[str, _Other] = {}
        self._writer: Writer | None = None
        self._failing = False
        self._link = MqttLink(
            broker,
            client_id=f"avel-follow-{uuid.uuid4().hex[:12]}",
            will=None,
            buffer=1,
            on_up=list,
            on_change=self._changed,
            on_heard=self._heard,
            subscribe=tuple(f"{self._first}/+/{kind}" for kind in ("event/+", "state", "availability")),
        )
        self._link.open()

    def states(self) -> tuple[StreamState, ...]:
        """Every stream of another box as it is now."""
        return tuple(
            StreamState(
                other.name,
                source=f"{self._where}/{other.name}",
                state="running" if other.state == "running" else "ended",
                reason="" if other.state == "running" else other.state,
                label=other.label,
                confidence=other.confidence,
                events=tuple(other.events.copy().values()),
                followed=True,
            )
            for other in self._others.copy().values()
        )

    def close(self) -> None:
        """Listen no more; safe to call twice."""
        self._link.close([], 1.0)
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _changed(self, state: State, reason: str) -> None:
        self._report("follow", state, f"{reason.removesuffix(', messages wait')}")

    def _heard(self, topic: str, payload: bytes, retained: bool) -> list[Message]:
        name, _, kind = topic.removeprefix(f"{self._first}/").partition("/")
        if not name or name in self._own() or len(payload) > _LARGEST:
            return []
        if name not in self._others and (len(self._others) >= _MOST_STREAMS or name != slug(name)):
            return []
        other = self._others.setdefault(name, _Other(name))
        if kind == "availability":
            self._came_or_went(other, payload == b"online")
            return []
        try:
            said = json.loads(payload) if payload else {}
            if kind == "state":
                self._second(other, said)
            elif not retained:
                self._event(other, said)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass  # not ours, whoever it is
        return []

    def _came_or_went(self, other: _Other, here: bool) -> None:
        if here != (other.state == "running") and here:
            self._begin(other)
        other.state = "running" if here else "offline"
        if not here:
            other.label, other.confidence = "", 0.0
            other.events.clear()
        self._ring(other, {"type": "stream", "state": "running" if here else "ended", "reason": other.state})

    def _begin(self, other: _Other) -> None:
        """A run of its own: numbers and seconds count anew."""
        other.zero_s, other.run = float("inf"), None
        other.events.clear()
        other.rows.clear()

    def _second(self, other: _Other, said: dict[str, Any]) -> None:
        if not said:
            other.label, other.confidence = "", 0.0
            return
        other.label, other.confidence = _label(said), _share(said["confidence"])
        end_s = (said.get("segment") or {}).get("end_s")
        if isinstance(end_s, int | float):
            other.zero_s = min(other.zero_s, self._wall_s() - float(end_s))
        self._ring(other, {**said, "type": "hop", "label": other.label, "confidence": other.confidence})

    def _event(self, other: _Other, said: dict[str, Any]) -> None:
        number, what = int(said["id"]), str(said["event"])
        start_s = float(said["start_s"])
        end_s = None if said.get("end_s") is None else float(said["end_s"])
        record: Record = {
            "type": "event",
            "event": what,
            "id": number,
            "label": _label(said),
            "start_s": start_s,
            "end_s": end_s,
            "confidence": _share(said["confidence"]),
        }
        if what not in ("start", "update", "end", "retract"):
            return
        other.zero_s = min(other.zero_s, self._wall_s() - (start_s if end_s is None else end_s))
        other.events.pop(number, None)
        if what in ("start", "update"):
            other.events[number] = of_stream(record, other.name)
        other.rows.append(
            EventRow(
                number=number,
                label=record["label"],
                start_us=round((other.zero_s + start_s) * 1e6),
                end_us=None if end_s is None else round((other.zero_s + end_s) * 1e6),
                confidence=record["confidence"],
                retracted=what == "retract",
                correction=what in ("update", "retract"),
            )
        )
        self._remember(other)
        self._ring(other, record)

    def _remember(self, other: _Other) -> None:
        """Keep what waits; what can't be kept now waits for the next event."""
        if self._path is None:
            other.rows.clear()
            return
        try:
            if self._writer is None:
                self._writer = Writer(self._path)
            if other.run is None:
                other.run = self._writer.begin(
                    Run(
                        stream=other.name,
                        started_us=round(other.zero_s * 1e6),
                        source=f"{self._where}/{other.name}",
                        model="",
                        calibration="",
                        version="",
                        zone=zone_name(),
                    )
                )
                self._writer.close_open(other.name, other.run)
            self._writer.add(other.run, tuple(other.rows), round(self._wall_s() * 1e6))
            other.rows.clear()
        except MemoryFileError as error:
            if not self._failing:
                self._report("follow", "failing", f"{words(error)}; events wait")
            self._failing = True
        else:
            if self._failing:
                self._report("follow", "running", "events are remembered again")
            self._failing = False

    def _ring(self, other: _Other, record: Record) -> None:
        if self._bell.heard:
            self._bell.ring(of_stream(record, other.name))


def _label(said: dict[str, Any]) -> str:
    label = str(said["label"])[:_LONGEST]
    if not label.isprintable():
        raise ValueError("a label of control characters")
    return label


def _share(value: object) -> float:
    """0..1.

    Raises:
        ValueError: it is none.

    """
    share = float(value)  # type: ignore[arg-type]
    if not 0 <= share <= 1:
        raise ValueError(f"expected 0 to 1, got {share}")
    return share
