"""MQTT: events, the present state and availability on a broker; Home Assistant finds the stream by itself.

<topic>/<name>/event/<start|update|end|retract>   every event record as JSON, QoS 1, not retained
<topic>/<name>/state                              {label, confidence, …} of the newest second, retained
<topic>/<name>/active, …/active/<class>           ON or OFF, retained
<topic>/<name>/availability                       online or offline (last will), retained
"""

from __future__ import annotations

import json
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path

from ....model.labels import LABELS
from ...clock import Clock, SystemClock
from ...errors import UsageError
from ...messages import Status
from ..records import Record, RecordSink, slug
from ..runner import Report
from .discovery import discovery_payload, discovery_topic
from .link import Broker, LinkCounts, Message, MqttLink


@dataclass(frozen=True)
class MqttSettings:
    """How events are published."""

    url: str
    """`mqtt[s]://[user@]host[:port][/topic]`."""
    name: str = "avel"
    """What the stream is called; a level of every topic."""
    topic: str = "avel"
    """First level of every topic; a path in the URL replaces it."""
    username: str | None = None
    password: str | None = None
    ca_file: Path | None = None
    client_id: str | None = None
    discovery: bool = True
    discovery_prefix: str = "homeassistant"
    buffer: int = 10_000
    """Messages kept while the broker is away; beyond it the oldest are dropped, counted and reported."""
    lossless: bool = False
    """Wait for room in the buffer instead (for recordings)."""
    flush_s: float = 5.0
    """How long the end waits for the broker to acknowledge what is left."""

    def __repr__(self) -> str:
        return f"MqttSettings(name={self.name!r}, topic={self.topic!r})"


class MqttSink(RecordSink):
    """Publishes records to a broker. The link has a queue and threads of its own; nothing waits for the
    broker, unless `lossless` and the buffer is full.

    Args:
        settings: where and how.
        report: told when the connection comes, goes, or messages are dropped.
        clock: stamps those reports.

    Raises:
        UsageError: an address or topic that is none.
        OutputError: a missing certificate file or package.

    """

    def __init__(self, settings: MqttSettings, report: Report, clock: Clock | None = None) -> None:
        super().__init__()
        broker = Broker.parse(settings.url, settings.username, settings.password, settings.ca_file)
        first = broker.path or settings.topic
        if not first or any(c in first for c in "+#"):
            raise UsageError(f"mqtt.topic: expected a topic without + and #, got {first!r}")
        self.base = f"{first}/{slug(settings.name)}"
        self.labels = LABELS
        self._settings = settings
        self._version = ""
        self._open: dict[int, str] = {}
        self._offline = Message(f"{self.base}/availability", b"offline", retain=True)
        clock = clock or SystemClock()
        client_id = f"avel-{slug(settings.name)}-{slug(socket.gethostname())}-{uuid.uuid4().hex[:6]}"
        self._link = MqttLink(
            broker,
            client_id=settings.client_id or client_id,
            will=self._offline,
            buffer=settings.buffer,
            lossless=settings.lossless,
            on_up=self._greeting,
            on_change=lambda state, reason: report(Status("mqtt", state, reason, clock.now_ns())),
            subscribe=(f"{settings.discovery_prefix}/status",) if settings.discovery else (),
        )
        self._link.open()

    def write(self, record: Record) -> None:
        """Publish what this record means to others."""
        if record["type"] == "start":
            self._version = record["version"]
            if self._settings.discovery:
                self._link.send(self._announcement())
        elif record["type"] == "hop":
            self._state(record)
        elif record["type"] == "event":
            self._event(record)

    @property
    def counts(self) -> LinkCounts:
        """Acknowledged, dropped and pending messages."""
        return self._link.counts

    def close(self) -> None:
        """Send what waits (at most `flush_s`), say goodbye, disconnect."""
        self._link.close(self._offline, self._settings.flush_s)

    def _state(self, record: Record) -> None:
        state: Record = {
            key: record[key] for key in ("label", "confidence", "top", "segment") if key in record
        }
        # Only the newest state matters: it is not worth a place in the buffer.
        self._link.send(Message(f"{self.base}/state", _json(state), retain=True, keep=False))

    def _event(self, record: Record) -> None:
        label = str(record["label"])
        payload = {"event_type": label, **record}
        self._link.send(Message(f"{self.base}/event/{record['event']}", _json(payload)))
        before = set(self._open.values())
        if record["event"] in ("end", "retract"):
            self._open.pop(record["id"], None)
        else:
            self._open[record["id"]] = label
        now = set(self._open.values())
        for changed in before ^ now:
            self._link.send(self._switched(f"active/{slug(changed)}", changed in now))
        if bool(before) != bool(now):
            self._link.send(self._switched("active", bool(now)))

    def _switched(self, path: str, on: bool) -> Message:
        return Message(f"{self.base}/{path}", b"ON" if on else b"OFF", retain=True)

    def _announcement(self) -> Message:
        payload = discovery_payload(self.base, self._settings.name, self.labels, self._version)
        topic = discovery_topic(self._settings.discovery_prefix, self._settings.name)
        return Message(topic, _json(payload), retain=True)

    def _greeting(self) -> list[Message]:
        # On the link's thread, after every connection: a broker without a memory has forgotten it all.
        open_now = set(self._open.copy().values())
        switches = {"active": bool(open_now)}
        switches |= {f"active/{slug(label)}": label in open_now for label in self.labels[:-1]}
        return [
            *([self._announcement()] if self._settings.discovery else []),
            *(self._switched(path, on) for path, on in switches.items()),
            Message(f"{self.base}/availability", b"online", retain=True),
        ]


def _json(value: Record) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
