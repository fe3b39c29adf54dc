"""Webhooks against a real receiver that is slow, failing, picky, or gone."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading

import pytest
from avel_live.realtime.core.clock import Clock, SystemClock
from avel_live.realtime.core.errors import UsageError
from avel_live.realtime.sinks.webhook import WebhookOptions, WebhookSink
from support.about import Said, about
from support.event_flood import flood
from support.peers import Receiver, eventually
from support.server_process import free_port
from support.stream import make_start


class ShortWaits(SystemClock):
    """Real time, but every wait is cut to a millisecond and remembered."""

    def __init__(self) -> None:
        self.waits_s: list[float] = []

    def wait_until(self, t_ns: int, wake: threading.Event | None = None) -> bool:
        self.waits_s.append((t_ns - self.now_ns()) / 1e9)
        return super().wait_until(self.now_ns() + 1_000_000, wake)


def sink_for(url: str, said: Said, clock: Clock | None = None, **options: object) -> WebhookSink:
    name, flush_s = str(options.pop("name", "door")), float(options.pop("flush_s", 60.0))  # type: ignore[arg-type]
    stream = about(said, clock, name=name, flush_s=flush_s, wall_s=lambda: 1_800_000_000.5)
    sink = WebhookSink(WebhookOptions(url, **options), stream)  # type: ignore[arg-type]
    sink.start(make_start())
    return sink


def send(sink: WebhookSink, events: int) -> None:
    for record in flood(events):
        sink.hop(record)


def ids(receiver: Receiver) -> list[tuple[int, str]]:
    bodies = [json.loads(body) for _, body in receiver.requests]
    return [(b["id"], b["event"]) for b in bodies]


EXPECTED = [(n // 2, "end" if n % 2 else "start") for n in range(1000)]


def test_events_arrive_in_order_and_signed() -> None:
    receiver, said = Receiver(), Said()
    sink = sink_for(receiver.url, said, secret="k3y")
    send(sink, 40)
    sink.close()
    receiver.close()
    assert ids(receiver) == EXPECTED[:40]
    assert said == []
    headers, body = receiver.requests[0]
    signed = hmac.new(b"k3y", b"1800000000." + body, hashlib.sha256).hexdigest()
    assert headers["x-avel-signature"] == f"sha256={signed}"
    assert headers["x-avel-timestamp"] == "1800000000"
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["stream"] == "door"
    assert len({h["x-avel-delivery"] for h, _ in receiver.requests}) == 40


def test_a_stream_name_can_not_add_a_header() -> None:
    receiver, said = Receiver(), Said()
    name = 'door"}\r\nX-Evil: 1\r\n\r\nPOST /other HTTP/1.1'
    sink = sink_for(receiver.url, said, name=name)
    send(sink, 2)
    sink.close()
    receiver.close()
    assert [json.loads(body)["stream"] for _, body in receiver.requests] == [name, name]
    assert not any("x-evil" in headers for headers, _ in receiver.requests)


def test_a_failing_receiver_is_tried_again_with_growing_waits() -> None:
    receiver, said, clock = Receiver(), Said(), ShortWaits()
    receiver.answers = [500, 503, (429, {"Retry-After": "7"}), 502, 204]
    sink = sink_for(receiver.url, said, clock)
    send(sink, 2)
    sink.close()
    receiver.close()
    assert ids(receiver) == [EXPECTED[0]] * 5 + [EXPECTED[1]]
    deliveries = [h["x-avel-delivery"] for h, _ in receiver.requests]
    assert len(set(deliveries[:5])) == 1  # the same delivery, so that the receiver can tell
    first, second, asked, fourth = clock.waits_s
    assert 0.2 <= first <= 0.5
    assert 0.4 <= second <= 1.0
    assert asked == pytest.approx(7.0, abs=0.1)
    assert 1.9 <= fourth <= 4.0
    assert [s.state for s in said] == ["failing", "running"]
    assert sink.counts.done == 2


def test_a_refusal_is_final_and_the_next_event_is_tried() -> None:
    receiver, said = Receiver(), Said()
    receiver.answers = [400, (302, {"Location": "http://127.0.0.1:1/elsewhere"}), 204]
    sink = sink_for(receiver.url, said)
    send(sink, 3)
    sink.close()
    receiver.close()
    assert ids(receiver) == EXPECTED[:3]
    assert sink.counts.failed == 2
    assert [s.state for s in said] == ["failed", "failed", "running"]
    assert "HTTP 400" in said[0].reason
    assert "HTTP 302" in said[1].reason


def test_a_slow_receiver_does_not_delay_the_loop() -> None:
    receiver, said = Receiver(), Said()
    receiver.delay_s = 0.05
    sink = sink_for(receiver.url, said)
    clock = SystemClock()
    before_ns = clock.now_ns()
    send(sink, 20)
    assert (clock.now_ns() - before_ns) / 1e9 < 20 * receiver.delay_s
    sink.close()
    receiver.close()
    assert ids(receiver) == EXPECTED[:20]


def test_a_receiver_that_is_gone_and_comes_back_gets_everything() -> None:
    port, said = free_port(), Said()
    sink = sink_for(f"http://127.0.0.1:{port}/hook", said, ShortWaits(), retries=100_000)
    send(sink, 30)
    eventually(lambda: bool(said), "the trouble is told")
    receiver = Receiver(port)
    eventually(lambda: sink.counts.done == 30, "everything is delivered")
    sink.close()
    receiver.close()
    assert ids(receiver) == EXPECTED[:30]
    assert [s.state for s in said] == ["failing", "running"]


def test_a_receiver_that_stays_away_costs_a_bounded_queue() -> None:
    said = Said()
    sink = sink_for(f"http://127.0.0.1:{free_port()}/hook", said, buffer=10, flush_s=0.2)
    send(sink, 100)
    sink.close()
    sink.close()
    counts = sink.counts
    assert counts.done == 0
    assert counts.waiting == 0
    assert counts.dropped + counts.failed == 100
    assert {"dropping", "failing", "failed"} <= {s.state for s in said}


def test_addresses_and_secrets() -> None:
    injected = ("http://host/T0K3N\r\nX-Evil: 1", "http://host/a b", "http://host\n/x", "http://host/\x7f")
    for wrong in ("ftp://host", "host/path", "http://", "http://host:port", *injected):
        with pytest.raises(UsageError, match="webhook"):
            WebhookSink(WebhookOptions(wrong), about())
    settings = WebhookOptions("https://user:hunter2@host/T0K3N", "s3cret")
    assert "hunter2" not in repr(settings)
    assert "s3cret" not in repr(settings)
    receiver, said = Receiver(), Said()
    receiver.answers = [500, 401]
    sink = sink_for(f"http://ann:pw@127.0.0.1:{receiver.port}/T0K3N", said, ShortWaits())
    send(sink, 1)
    sink.close()
    receiver.close()
    assert receiver.requests[0][0]["authorization"] == "Basic YW5uOnB3"
    assert not any("pw" in s.reason or "T0K3N" in s.reason for s in said)
