"""A connection to an MQTT broker that loses nothing while the broker is away.

Messages wait in one bounded queue, leave it in order with QoS 1, and are forgotten when the broker has
acknowledged them. All state belongs to one thread; paho's callbacks only put notes into its inbox (they
are called with paho's own locks held, and must not wait for ours).

    send ─▶ inbox ─▶ waiting (bounded; the oldest go, counted) ─▶ in flight (≤ 20, paho) ─▶ acknowledged
"""

from __future__ import annotations

import queue
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from ...core.errors import OutputError
from ...core.states import State
from ..base import words
from ..room import Room, patient
from .broker import Broker, Message

IN_FLIGHT: Final = 20


@dataclass(frozen=True)
class LinkCounts:
    """What became of the messages so far."""

    acknowledged: int
    dropped: int
    pending: int


_Note = tuple[Literal["send", "push", "ack", "up", "heard", "down", "close"], Any]
"""`push` is a message for which there was no room: another one goes."""

_AFTER_CRASH_S: Final = 1.0
_LOOK_S: Final = 0.1


class MqttLink:
    """See the module. `on_up` is called (on the link's thread) after every connection and returns what
    has to be said first: availability, discovery; so is `on_heard(topic, payload, retained)` for every
    message on the topics `subscribe`. `on_change` is told `running` or `lost` and why.

    The session is clean: whatever is to be said again after a connection was lost stands here, and a
    broker has nothing to keep for a stream that never comes back.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        client_id: str,
        will: Message | None,
        buffer: int,
        room: Room | None = None,
        on_up: Callable[[], list[Message]],
        on_change: Callable[[State, str], None],
        on_heard: Callable[[str, bytes, bool], list[Message]],
        subscribe: tuple[str, ...] = (),
    ) -> None:
        try:
            import paho.mqtt.client as paho
        except ImportError as error:
            raise OutputError(
                "mqtt: the package paho-mqtt is missing; `pip install 'avel-live[mqtt]'`"
            ) from error
        self._broker, self._buffer, self._on_up, self._on_change = broker, buffer, on_up, on_change
        self._on_heard = on_heard
        self._inbox: queue.SimpleQueue[_Note] = queue.SimpleQueue()
        self._room = room
        self._left = threading.Condition()
        """Notified whenever a message left the buffer; only the sender of a lossless link waits for it."""
        self._waiting: deque[Message] = deque()
        self._in_flight: dict[int, Message] = {}
        self._resent: set[int] = set()
        self._up = False
        self._refused = ""
        self._acknowledged = 0
        self._dropped = 0
        self._unreported_drops = 0
        self._goodbye: list[Message] | None = None
        self._idle = threading.Event()
        self._closed = False
        self._parting = threading.Event()
        self._starting = threading.Lock()
        self._subscribe = subscribe

        class Client(paho.Client):  # type: ignore[misc]  # it has no types
            """Whose thread outlives what is raised in it; paho's own would end without a word."""

            def loop_forever(self, *args: Any, **options: Any) -> Any:
                while True:
                    try:
                        return super().loop_forever(*args, **options)
                    except BaseException as error:  # noqa: PERF203 — it happens once in a while
                        link._inbox.put(("down", words(error)))
                        if link._parting.wait(_AFTER_CRASH_S):
                            return paho.MQTT_ERR_UNKNOWN

        link = self
        client = Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=True,
            reconnect_on_failure=True,
        )
        client.max_inflight_messages_set(IN_FLIGHT)
        client.reconnect_delay_set(min_delay=1, max_delay=30)
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.password)
        if broker.tls:
            try:
                client.tls_set(ca_certs=str(broker.ca_file) if broker.ca_file else None)
            except (OSError, ValueError) as error:
                raise OutputError(f"mqtt: certificate file {broker.ca_file}: {error}") from error
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        client.on_connect = self._connected
        # paho calls this inside its `except`, and tells the reason to nobody else.
        client.on_connect_fail = lambda *_: self._inbox.put(("down", _why(sys.exc_info()[1])))
        client.on_disconnect = lambda _c, _u, _f, reason, _p: self._inbox.put(("down", str(reason)))
        client.on_publish = lambda _c, _u, mid, *_: self._inbox.put(("ack", mid))
        client.on_message = lambda _c, _u, message: self._inbox.put(
            ("heard", (message.topic, message.payload, message.retain))
        )
        self._client = client
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    def open(self, after: Callable[[float], bool] | None = None) -> None:
        """Start; does not wait for the broker, which may come later.

        `after` (as `Event.wait`) says when to connect: whoever leaves says goodbye under the same topics, and
        may have the same client id. Until then messages wait.
        """
        self._thread.start()
        if after is None:
            self._connect()
        else:
            threading.Thread(
                target=self._connect_after, args=(after,), name="mqtt-after", daemon=True
            ).start()

    def _connect_after(self, after: Callable[[float], bool]) -> None:
        while not after(_LOOK_S):
            if self._parting.is_set():
                return
        self._connect()

    def _connect(self) -> None:
        with self._starting:
            if not self._parting.is_set():
                self._client.connect_async(self._broker.host, self._broker.port, keepalive=30)
                self._client.loop_start()

    def send(self, message: Message) -> None:
        """Queue a publication; waits only where `lossless`, for room in the buffer."""
        if self._room is not None and message.keep:
            with self._left:
                if not self._room.wait(self._left, self._has_room):
                    self._inbox.put(("push", message))
                    return
        self._inbox.put(("send", message))

    def _has_room(self) -> bool:
        return self._closed or self.counts.pending + self._inbox.qsize() < self._buffer

    @property
    def counts(self) -> LinkCounts:
        """Acknowledged, dropped and still pending messages."""
        return LinkCounts(self._acknowledged, self._dropped, len(self._waiting) + len(self._in_flight))

    def close(self, goodbye: list[Message], timeout_s: float | Callable[[], float]) -> LinkCounts:
        """Send what waits and `goodbye`, at most for `timeout_s`, and disconnect; safe to call twice."""
        if self._closed:
            return self.counts
        self._closed = True
        if self._thread.is_alive():
            self._inbox.put(("close", goodbye))
            patient(self._idle.wait, timeout_s if callable(timeout_s) else lambda: timeout_s)
        with self._starting:
            self._parting.set()
        self._client.disconnect()
        self._client.loop_stop()
        self._inbox.put(("close", None))
        if self._thread.is_alive():
            self._thread.join(2)
        return self.counts

    # The link's own thread.

    def _run(self) -> None:
        while True:
            kind, value = self._inbox.get()
            if kind == "close" and value is None:
                return
            try:
                self._take(kind, value)
                self._pump()
            except BaseException as error:  # without this thread nothing would be sent any more
                self._on_change("failing", f"{self._broker}: {words(error)}")
            if self._room is not None:
                with self._left:
                    self._left.notify_all()

    def _take(self, kind: str, value: Any) -> None:
        if kind in ("send", "push"):
            self._enqueue(value, crowded=kind == "push")
        elif kind == "ack":
            self._acked(value)
        elif kind == "up":
            self._came_up()
        elif kind == "heard":
            if self._goodbye is None:  # our own goodbye comes back to us, too
                self._waiting.extendleft(reversed(self._on_heard(*value)))
        elif kind == "down":
            self._went_down(value)
        else:
            self._goodbye = value

    def _enqueue(self, message: Message, *, crowded: bool) -> None:
        if not message.keep and not self._up:
            return
        self._waiting.append(message)
        if len(self._waiting) > self._buffer and (self._room is None or crowded):
            self._waiting.popleft()
            self._dropped += 1
            self._unreported_drops += 1
            if self._unreported_drops == 1:
                self._on_change(
                    "dropping",
                    f"{self._broker} away and its buffer of {self._buffer} messages is full; the oldest go",
                )

    def _acked(self, mid: int) -> None:
        self._resent.discard(mid)
        if self._in_flight.pop(mid, None) is not None:
            self._acknowledged += 1

    def _came_up(self) -> None:
        try:
            first = self._on_up()
        except Exception as error:
            first = []
            self._on_change("failing", f"{self._broker}: {words(error)}")
        self._up = True
        self._refused = ""
        note = str(self._broker)
        if self._unreported_drops:
            note += f"; {self._unreported_drops} messages were lost while it was away"
            self._unreported_drops = 0
        self._on_change("running", note)
        self._waiting.extendleft(reversed(first))

    def _went_down(self, reason: str) -> None:
        # paho sends again by itself what was in flight; until that is acknowledged nothing newer may
        # overtake it.
        self._resent = set(self._in_flight)
        if self._parting.is_set():
            return
        if self._up or reason != self._refused:
            self._on_change("lost", f"{self._broker}: {reason}; trying again, messages wait")
        self._refused = reason
        self._up = False

    def _pump(self) -> None:
        while self._up and self._waiting and not self._resent and len(self._in_flight) < IN_FLIGHT:
            message = self._waiting.popleft()
            try:
                info = self._client.publish(message.topic, message.payload, qos=1, retain=message.retain)
            except ValueError as error:  # too long, or a topic that is none
                self._dropped += 1
                self._on_change("failing", f"{self._broker}: a message can't be sent ({words(error)})")
                continue
            self._in_flight[info.mid] = message
        if self._goodbye is not None and not self._waiting and not self._in_flight:
            if self._up and self._goodbye:
                self._waiting.extend(self._goodbye)
                self._goodbye = []
                self._pump()
                return
            self._idle.set()

    # paho's thread.

    def _connected(self, client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._inbox.put(("down", f"refused ({reason})"))
            return
        for topic in self._subscribe:
            client.subscribe(topic, qos=1)
        self._inbox.put(("up", ""))


def _why(error: BaseException | None) -> str:
    return words(error) if error is not None and str(error) else "no answer"
