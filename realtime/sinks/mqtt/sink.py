"""What is published: events, the present state and availability.

<topic>/<name>/event/<start|update|end|retract>   every event record as JSON, QoS 1, not retained
<topic>/<name>/state                              {label, confidence, …} of the newest second, retained
<topic>/<name>/active, …/active/<class>           ON or OFF, retained
<topic>/<name>/availability                       online or offline (last will), retained
"""

from __future__ import annotations

import json
import socket
import uuid
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from ...errors import UsageError
from ..base import About
from ..records import JsonSink, Record, slug, slugs
from .discovery import discovery_payload, discovery_topic
from .link import Broker, LinkCounts, Message, MqttLink

if TYPE_CHECKING:
    from . import MqttOptions

FLUSH_S: Final = 5.0
"""How long the end waits for the broker to acknowledge what is left."""


class MqttSink(JsonSink):
    """Publishes records to a broker. The link has a queue and threads of its own; nothing waits for the
    broker, unless `lossless` and the buffer is full.

    Args:
        options: where and how; `url` is set.
        about: the stream. Told when the connection comes, goes, or messages are dropped.

    Raises:
        UsageError: an address or topic that is none.
        OutputError: a missing certificate file or package.

    """

    def __init__(self, options: MqttOptions, about: About) -> None:
        super().__init__()
        broker = Broker.parse(options.url or "", options.username, options.password, options.ca_file)
        first = broker.path or options.topic
        if not first or any(c in first for c in "+#"):
            raise UsageError(f"mqtt.topic: expected a topic without + and #, got {first!r}")
        self.base = f"{first}/{slug(about.name)}"
        self._options, self._about = options, about
        self._version = ""
        self._slugs: dict[str, str] = {}
        self._open: dict[int, str] = {}
        self._offline = Message(f"{self.base}/availability", b"offline", retain=True)
        client_id = f"avel-{slug(about.name)}-{slug(socket.gethostname())}-{uuid.uuid4().hex[:6]}"
        self._link = MqttLink(
            broker,
            client_id=options.client_id or client_id,
            will=self._offline,
            buffer=options.buffer,
            lossless=about.lossless,
            on_up=self._greeting,
            on_change=partial(about.report, "mqtt"),
            subscribe=(f"{options.discovery_prefix}/status",) if options.discovery else (),
        )
        self._link.open()

    def write(self, record: Record) -> None:
        """Publish what this record means to others."""
        if record["type"] == "start":
            self._version = record["version"]
            self._slugs = slugs(self.labels[:-1])
            # Connected, perhaps, before the networks were there: now the classes are known.
            for message in self._presented():
                self._link.send(replace(message, keep=False))  # a broker that comes later is greeted anyway
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
        self._link.close(self._offline, self._about.flush_s(FLUSH_S))

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
            self._link.send(self._switched(f"active/{self._slugs[changed]}", changed in now))
        if bool(before) != bool(now):
            self._link.send(self._switched("active", bool(now)))

    def _switched(self, path: str, on: bool) -> Message:
        return Message(f"{self.base}/{path}", b"ON" if on else b"OFF", retain=True)

    def _announcement(self) -> Message:
        payload = discovery_payload(self.base, self._about.name, self.labels, self._version)
        topic = discovery_topic(self._options.discovery_prefix, self._about.name)
        return Message(topic, _json(payload), retain=True)

    def _greeting(self) -> list[Message]:
        # On the link's thread, after every connection: a broker without a memory has forgotten it all.
        return [*self._presented(), Message(f"{self.base}/availability", b"online", retain=True)]

    def _presented(self) -> list[Message]:
        """The announcement and the switch of every class; before the start no class is known."""
        open_now = set(self._open.copy().values())
        switches = {"active": bool(open_now)}
        switches |= {f"active/{path}": label in open_now for label, path in self._slugs.items()}
        announced = [self._announcement()] if self._options.discovery and self._slugs else []
        return [*announced, *(self._switched(path, on) for path, on in switches.items())]


def _json(value: Record) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
