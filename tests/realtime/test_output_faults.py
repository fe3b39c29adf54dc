"""What an output meets in a year: answers that are none, letters outside ASCII, a receiver that drips."""

from __future__ import annotations

import json
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from avel_live.realtime.config.load import config_from
from avel_live.realtime.core.clock import SystemClock
from avel_live.realtime.core.errors import UsageError
from avel_live.realtime.core.messages import Hop
from avel_live.realtime.sinks.base import Sink
from avel_live.realtime.sinks.delivery import DeliveryQueue
from avel_live.realtime.sinks.exec import ExecOptions, ExecSink
from avel_live.realtime.sinks.mqtt import MqttOptions
from avel_live.realtime.sinks.mqtt.sink import MqttSink
from avel_live.realtime.sinks.room import Room
from avel_live.realtime.sinks.switchboard import Switchboard
from avel_live.realtime.sinks.thread import SinkThread
from avel_live.realtime.sinks.webhook import WebhookOptions, WebhookSink
from support.about import Said, about
from support.event_flood import flood
from support.peers import Receiver, eventually
from support.server_process import free_port
from support.stream import make_start, make_stream


class Death(BaseException):
    """As `SystemExit`: nothing that means to catch errors catches it."""


@contextmanager
def dripping(every_s: float) -> Iterator[str]:
    """A receiver that answers one byte at a time, and never comes to the end; gives its address."""
    server = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection:
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not over.wait(every_s):
                    connection.sendall(b"z")
            except OSError:
                return

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=drip, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/hook"
    over.set()
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(10)


def test_a_receiver_that_drips_bytes_costs_its_time_and_no_more() -> None:
    said = Said()
    with dripping(0.05) as url:
        sink = WebhookSink(WebhookOptions(url, timeout_s=0.4, retries=0), about(said, flush_s=20))
        sink.start(make_start())
        began = time.monotonic()
        for record in flood(4):
            sink.hop(record)
        eventually(lambda: sink.counts.failed == 4, "each is given up", 15)
        assert time.monotonic() - began < 10
        sink.close()
    assert "no whole answer within 0.4 s" in said[0].reason


@pytest.mark.parametrize("asked", ["²", "-1", "1e400", "soon", "Fri, 31 Dec 9999 99:99:99 GMT", "9" * 400])
def test_an_odd_retry_after_is_no_end_of_deliveries(asked: str) -> None:
    class NoWaits(SystemClock):
        def wait_until(self, t_ns: int, wake: threading.Event | None = None) -> bool:
            return False

    receiver, said = Receiver(), Said()
    receiver.answers = [(503, {"Retry-After": asked})]
    sink = WebhookSink(WebhookOptions(receiver.url), about(said, NoWaits(), flush_s=20))
    sink.start(make_start())
    for record in flood(4):
        sink.hop(record)
    sink.close()
    receiver.close()
    assert sink.counts.done == 4
    assert [s.state for s in said] == ["failing", "running"]


def test_letters_outside_ascii_in_an_address_are_sent_as_browsers_do() -> None:
    receiver, said = Receiver(), Said()
    url = f"http://127.0.0.1:{receiver.port}/tür/%20?wer=größe"
    sink = WebhookSink(WebhookOptions(url, retries=0), about(said, flush_s=20))
    sink.start(make_start())
    for record in flood(2):
        sink.hop(record)
    sink.close()
    receiver.close()
    assert said == []
    assert len(receiver.requests) == 2


@pytest.mark.parametrize(
    "url", ["http://a..b/", "http://" + "x" * 64 + ".de/", "http://[::1/", "http://host:99999/"]
)
def test_an_address_that_can_not_be_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(UsageError, match="webhook"):
        WebhookSink(WebhookOptions(url), about())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"discovery_prefix": "home/#"}, "discovery_prefix"),
        ({"discovery_prefix": ""}, "discovery_prefix"),
        ({"discovery_prefix": "a\x00b"}, "discovery_prefix"),
        ({"topic": "a\u0000"}, "topic"),
        ({"topic": "x" * 70_000}, "topic"),
        ({"url": "mqtt://a..b"}, "mqtt"),
    ],
)
def test_topics_and_brokers_that_can_not_be_are_refused_at_the_start(
    options: dict[str, str], named: str
) -> None:
    given = {"url": f"mqtt://127.0.0.1:{free_port()}", **options}
    with pytest.raises(UsageError, match=named):
        MqttSink(MqttOptions(**given), about())  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["webhook.timeout_s", "exec.timeout_s", "notify.timeout_s"])
@pytest.mark.parametrize("value", [math.inf, 1e300, "inf"])
def test_a_time_limit_that_no_socket_takes_is_refused_at_the_start(key: str, value: object) -> None:
    with pytest.raises(UsageError, match=key.replace(".", r"\.")):
        config_from({key: value})


def test_a_program_runs_where_there_is_no_room_for_its_complaints(monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    said = Said()
    sink = ExecSink(ExecOptions("cat"), about(said, flush_s=20))
    sink.start(make_start())
    for record in flood(4):
        sink.hop(record)
    sink.close()
    assert sink.counts.done == 4
    assert said == []


# Workers outlive whatever is raised in them ---------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError("odd"), UnicodeError("ascii"), MemoryError(), Death("gone")])
def test_a_queue_outlives_whatever_a_job_raises(error: BaseException) -> None:
    done, told = list[int](), list[BaseException]()

    def job(number: int) -> bool:
        if number % 3 == 0:
            raise error
        done.append(number)
        return True

    queue: DeliveryQueue[int] = DeliveryQueue(
        "w", job, capacity=2, on_drop=lambda _: None, clock=SystemClock(), lossless=True, on_error=told.append
    )
    for number in range(12):
        queue.put(number)
    counts = queue.close(30)
    assert done == [1, 2, 4, 5, 7, 8, 10, 11]
    assert (counts.done, counts.failed, counts.dropped, counts.waiting) == (8, 4, 0, 0)
    assert told == [error] * 4


def test_a_sink_thread_outlives_whatever_its_sink_raises() -> None:
    class Dying(Sink):
        seen = 0

        def hop(self, record: Hop) -> None:
            if record.hop < 3:
                raise Death("killed")
            self.seen += 1

        def close(self) -> None:
            raise Death("killed again")

    inner, said = Dying(), Said()
    thread = SinkThread("log", inner, said, SystemClock(), capacity=2, deadline_s=20, lossless=True)
    start, records, _ = make_stream(8)
    thread.start(start)
    for record in records:
        thread.hop(record)
    thread.close()
    assert inner.seen == 5
    assert [(s.state, s.reason) for s in said] == [
        ("failing", "killed"),
        ("running", "works again; 3 records failed so far"),
        ("failing", "closing: killed again"),
    ]


def test_an_output_that_raises_in_the_loop_costs_its_own_records_only() -> None:
    class Bad(Sink):
        def hop(self, record: Hop) -> None:
            if record.hop < 2:
                raise KeyError("label")

        def media(self, item: object) -> None:
            raise RuntimeError("the encoder")

    class Good(Sink):
        def __init__(self) -> None:
            self.hops = list[int]()

        def hop(self, record: Hop) -> None:
            self.hops.append(record.hop)

    good, said = Good(), Said()
    start, records, end = make_stream(4)
    board = Switchboard({"mqtt": Bad(), "log": good}, said)
    board.start(start)
    for record in records:
        board.hop(record)
    board.media(None)  # type: ignore[arg-type]
    board.end(end)
    board.close()
    assert good.hops == [0, 1, 2, 3]
    assert [(s.device, s.state) for s in said] == [
        ("mqtt", "failing"),
        ("mqtt", "running"),
        ("mqtt", "failing"),
    ]
    assert "the encoder" in said[-1].reason


# A recording waits, but not for ever, and not against a stop ---------------------------------------------


@pytest.mark.parametrize("stopped", [True, False])
def test_a_wait_for_room_ends_with_a_stop_and_with_its_time(stopped: bool) -> None:
    stop, gate = threading.Event(), threading.Event()

    def job(_: int) -> bool:
        return gate.wait(60)

    wait_s = 60.0 if stopped else 0.5
    drops = list[int]()
    clock = SystemClock()
    queue: DeliveryQueue[int] = DeliveryQueue(
        "w", job, capacity=2, on_drop=drops.append, clock=clock, room=Room(wait_s, stop, clock)
    )
    if stopped:
        threading.Timer(0.5, stop.set).start()
    began = time.monotonic()
    for number in range(20):
        queue.put(number)
    took_s = time.monotonic() - began
    assert 0.3 < took_s < 5  # once, not for each of them
    gate.set()
    counts = queue.close(20)
    assert counts.done + counts.dropped == 20
    assert counts.dropped >= 16
    assert drops[0] == 1


def test_a_queue_that_moves_on_is_waited_for_again() -> None:
    stop, gate, clock = threading.Event(), threading.Event(), SystemClock()
    queue: DeliveryQueue[int] = DeliveryQueue(
        "w",
        lambda _: gate.wait(60),
        capacity=1,
        on_drop=lambda _: None,
        clock=clock,
        room=Room(0.2, stop, clock),
    )
    for number in range(6):
        queue.put(number)
    lost = queue.counts.dropped
    assert lost >= 4
    gate.set()
    eventually(lambda: queue.counts.waiting == 0, "it moves on")
    for number in range(200):
        queue.put(number)
    assert queue.close(20).dropped == lost


def outputs_that_are_stuck(folder: Path) -> list[tuple[str, Callable[[threading.Event], Sink]]]:
    from dataclasses import replace

    def near(stop: threading.Event) -> object:
        return replace(about(Said(), live=False), stop=stop)

    return [
        (
            "webhook",
            lambda stop: WebhookSink(
                WebhookOptions(f"http://127.0.0.1:{free_port()}/", buffer=2, retries=50),
                near(stop),  # type: ignore[arg-type]
            ),
        ),
        (
            "mqtt",
            lambda stop: MqttSink(MqttOptions(f"mqtt://127.0.0.1:{free_port()}", buffer=2), near(stop)),  # type: ignore[arg-type]
        ),
        (
            "exec",
            lambda stop: ExecSink(ExecOptions("sleep 60", buffer=2, at_once=1, timeout_s=60), near(stop)),  # type: ignore[arg-type]
        ),
    ]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_stop_is_heard_by_a_recording_that_waits_for_an_output(
    which: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from avel_live.realtime.sinks import exec as execs
    from avel_live.realtime.sinks import webhook
    from avel_live.realtime.sinks.mqtt import sink as mqtt

    for module in (execs, webhook, mqtt):
        monkeypatch.setattr(module, "FLUSH_S", 0.5)
    stop = threading.Event()
    _, make = outputs_that_are_stuck(tmp_path)[which]
    sink = make(stop)
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    sink.start(make_start())
    for record in flood(40):
        sink.hop(record)
    assert 0.2 < time.monotonic() - began < 5
    sink.close()
    assert time.monotonic() - began < 10  # as a live stream ends, not after the 30 s of a recording


def test_payloads_keep_names_that_are_no_text() -> None:
    receiver, said = Receiver(), Said()
    sink = WebhookSink(WebhookOptions(receiver.url), about(said, name="caf\udce9", flush_s=20))
    sink.start(make_start())
    for record in flood(2):
        sink.hop(record)
    sink.close()
    receiver.close()
    assert [json.loads(body)["stream"] for _, body in receiver.requests] == ["caf?", "caf?"]
    assert said == []
