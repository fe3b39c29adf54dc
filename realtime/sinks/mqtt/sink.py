"""What is published: events, the present state and availability.

<topic>/<name>/event/<start|update|end|retract>   every event record as JSON, QoS 1, not retained
<topic>/<name>/state                              {label, confidence, …} of the newest second, retained
<topic>/<name>/active, …/active/<class>           ON or OFF, retained
<topic>/<name>/availability                       online or offline (last will), retained

What an earlier run left retained is taken away before `online` is said, and what this one leaves at its
goodbye: nobody mistakes the last label of yesterday for one of now. `<name>` and `<class>` are slugs
(`realtime.core.names`).
"""

from __future__ import annotations

import json
import socket
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ...core.errors import UsageError
from ...core.names import ascii_id, slug, slugs
from ...core.states import State
from ..base import About, Ongoing, Sink
from ..records import JsonSink, Record
from .announcer import Announcer
from .broker import Broker, Message
from .link import LinkCounts, MqttLink

if TYPE_CHECKING:
    from . import MqttOptions

FLUSH_S: Final = 5.0
"""How long the end waits for the broker to acknowledge what is left."""
_LONGEST_TOPIC: Final = 60_000
"""Bytes; with what we add it stays below what the protocol can say."""


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
        first = _topic("mqtt.topic", broker.path or options.topic)
        if options.discovery:
            _topic("mqtt.discovery_prefix", options.discovery_prefix)
        self.base = f"{first}/{slug(about.name)}"
        self._options, self._about = options, about
        self._classes: dict[str, str] = {}
        """Class → its topic level; empty until the networks are loaded."""
        self._open: dict[int, str] = {}
        self._newest = b""
        self._offline = Message(f"{self.base}/availability", b"offline", retain=True)
        self._ha_status = f"{options.discovery_prefix}/status"
        prefix = options.discovery_prefix
        self._announcer = Announcer(prefix, self.base, about) if options.discovery else None
        heard = (self._ha_status, self._announcer.topic) if self._announcer else ()
        # A new id for every run: two streams of one name must not throw each other out.
        host = ascii_id(slug(socket.gethostname()))
        client_id = f"avel-{ascii_id(slug(about.name))}-{host}-{uuid.uuid4().hex[:6]}"
        self._link = MqttLink(
            broker,
            client_id=options.client_id or client_id,
            will=self._offline,
            buffer=options.buffer,
            room=about.room(),
            on_up=self._greeting,
            on_change=self._changed,
            on_heard=self._heard,
            subscribe=(self._offline.topic, *heard),
        )
        self._broker, self._handed_over = broker, False
        self._link.open(about.replaces.gone.wait if about.replaces is not None else None)

    def write(self, record: Record) -> None:
        """Publish what this record means to others."""
        if record["type"] == "start":
            self._classes = slugs(self.labels[:-1])
            if self._announcer:
                self._announcer.know(self.labels, record["version"])
            # Where the broker is not there yet, the greeting will say it.
            for message in self._presentation():
                self._link.send(replace(message, keep=False))
        elif record["type"] == "hop":
            self._state(record)
            for message in self._announcer.later() if self._announcer else ():
                self._link.send(message)
        elif record["type"] == "event":
            self._event(record)

    def resume(self, ongoing: Ongoing) -> None:
        """What is going on is said as it is, also where nobody said its beginning here."""
        self._open = {event.id: event.name for event in ongoing.events}
        for label in dict.fromkeys(self._open.values()):
            self._link.send(replace(self._switched(f"active/{self._classes[label]}", on=True), keep=False))
        if self._open:
            self._link.send(replace(self._switched("active", on=True), keep=False))

    def hand_over(self, successor: Sink) -> None:
        """No goodbye where the same is said on, at the same place: nothing is over there."""
        self._handed_over = (
            isinstance(successor, MqttSink)
            and successor.base == self.base
            and successor._broker == self._broker
        )

    @property
    def counts(self) -> LinkCounts:
        """Acknowledged, dropped and pending messages."""
        return self._link.counts

    def close(self) -> None:
        """Send what waits (at most `flush_s`), say goodbye, disconnect."""
        open_now = [f"active/{self._classes[label]}" for label in dict.fromkeys(self._open.values())]
        left = [self._switched(path, on=False) for path in (["active", *open_now] if open_now else [])]
        waiting = self._announcer.later(now=True) if self._announcer else []
        goodbye = [*waiting, *left, Message(f"{self.base}/state", b"", retain=True), self._offline]
        before = self._link.counts.pending
        pending = self._link.close(
            [] if self._handed_over else goodbye, lambda: self._about.flush_s(FLUSH_S)
        ).pending
        if before and pending:
            self._about.report("mqtt", "failed", f"{pending} messages not delivered at the end")

    def _state(self, record: Record) -> None:
        state: Record = {
            key: record[key] for key in ("label", "confidence", "top", "segment") if key in record
        }
        self._newest = _json(state)
        # Only the newest state matters: it is not worth a place in the buffer.
        self._link.send(Message(f"{self.base}/state", self._newest, retain=True, keep=False))

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
            self._link.send(self._switched(f"active/{self._classes[changed]}", changed in now))
        if bool(before) != bool(now):
            self._link.send(self._switched("active", bool(now)))

    def _switched(self, path: str, on: bool) -> Message:
        return Message(f"{self.base}/{path}", b"ON" if on else b"OFF", retain=True)

    # What follows is called on the link's thread, too.

    def _presentation(self) -> list[Message]:
        """Everything but `online`: a broker without a memory has forgotten it all."""
        open_now = set(self._open.copy().values())
        switches = {"active": bool(open_now)}
        switches |= {f"active/{level}": label in open_now for label, level in self._classes.items()}
        return [
            *(self._announcer.announcement() if self._announcer else []),
            Message(f"{self.base}/state", self._newest, retain=True),
            *(self._switched(path, on) for path, on in switches.items()),
        ]

    def _changed(self, state: State, reason: str) -> None:
        where = f"{self.base} on " if state == "running" else ""
        self._about.report("mqtt", state, f"{where}{reason}")

    def _greeting(self) -> list[Message]:
        return [*self._presentation(), Message(f"{self.base}/availability", b"online", retain=True)]

    def _heard(self, topic: str, payload: bytes, retained: bool) -> list[Message]:
        """What has to be said because of a message of somebody else's."""
        if self._announcer and topic == self._ha_status and payload == b"online":
            self._announcer.born()
            return self._greeting()
        if topic == self._offline.topic and payload == b"offline" and not retained:
            self._about.report(
                "mqtt",
                "running",
                f"{self.base} was called offline by another stream of this name, or by the end of an older "
                "run; it is online. Streams that run at the same time need a --name each",
                "warning",
            )
            return self._greeting()
        if self._announcer and topic == self._announcer.topic:
            return self._announcer.heard(payload, retained)
        return []


def _json(value: Record) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _topic(key: str, text: str) -> str:
    """The first levels of topics, checked as a broker would.

    Raises:
        UsageError: empty, too long, or with characters that topics can't have.

    """
    bad = any(c in "+#" or not c.isprintable() for c in text)
    if not text or bad or len(text.encode("utf-8", "replace")) > _LONGEST_TOPIC:
        raise UsageError(f"{key}: expected a topic without + and #, got {text[:80]!r}")
    return text
