"""A recording waits for its reader: what is slow or away for a while loses nothing of it."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from avel_live.realtime.config.load import config_from
from avel_live.realtime.core.clock import SystemClock
from avel_live.realtime.session.outputs import make_outputs
from avel_live.realtime.sinks.delivery import DeliveryQueue
from avel_live.realtime.sinks.exec import ExecOptions, ExecSink
from avel_live.realtime.sinks.mqtt import MqttOptions
from avel_live.realtime.sinks.mqtt.sink import MqttSink
from avel_live.realtime.sinks.webhook import WebhookOptions, WebhookSink
from support.about import Said, about
from support.event_flood import flood
from support.peers import Mosquitto, Receiver, Subscriber, eventually
from support.server_process import free_port
from support.stream import make_start

EVENTS = 60
EXPECTED = [(n // 2, "end" if n % 2 else "start") for n in range(EVENTS)]


def test_a_full_queue_waits_only_where_told_to() -> None:
    for lossless in (True, False):
        gate, done, drops = threading.Event(), list[int](), list[int]()

        def job(number: int, gate: threading.Event = gate, done: list[int] = done) -> bool:
            assert gate.wait(30)
            done.append(number)
            return True

        worker: DeliveryQueue[int] = DeliveryQueue(
            "w", job, capacity=2, on_drop=drops.append, clock=SystemClock(), lossless=lossless
        )
        putting = threading.Thread(target=lambda w=worker: [w.put(n) for n in range(10)])
        putting.start()
        if lossless:
            putting.join(0.2)
            assert putting.is_alive()
        else:
            putting.join(30)
            assert not putting.is_alive()
        gate.set()
        putting.join(30)
        worker.close(30)
        assert (done == list(range(10))) is lossless
        assert bool(drops) is not lossless


def test_webhook_with_a_small_buffer_and_a_slow_receiver() -> None:
    receiver = Receiver()
    receiver.delay_s = 0.01
    said = Said()
    sink = WebhookSink(WebhookOptions(receiver.url, buffer=3), about(said, live=False, flush_s=60))
    sink.start(make_start())
    for record in flood(EVENTS):
        sink.hop(record)
    sink.close()
    receiver.close()
    got = [json.loads(body) for _, body in receiver.requests]
    assert [(r["id"], r["event"]) for r in got] == EXPECTED
    assert said == []


def test_exec_with_a_small_buffer(tmp_path: Path) -> None:
    said = Said()
    sink = ExecSink(ExecOptions(f"tee -a {tmp_path}/out", buffer=2), about(said, live=False, flush_s=60))
    sink.start(make_start())
    for record in flood(EVENTS):
        sink.hop(record)
    sink.close()
    got = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert sorted((r["id"], r["event"]) for r in got) == sorted(EXPECTED)
    assert said == []


def test_mqtt_with_a_small_buffer_and_a_broker_that_comes_late(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    said = Said()
    url = f"mqtt://127.0.0.1:{broker.port}"
    sink = MqttSink(MqttOptions(url, buffer=5), about(said, name="door", live=False, flush_s=60))

    def stream() -> None:
        sink.start(make_start())
        for record in flood(EVENTS):
            sink.hop(record)

    streaming = threading.Thread(target=stream)
    streaming.start()
    time.sleep(0.3)
    assert streaming.is_alive(), "the buffer is full and nobody reads it"
    broker.start()
    subscriber = Subscriber(broker.port, "avel/door/event/#")
    streaming.join(60)
    assert not streaming.is_alive()
    sink.close()
    eventually(lambda: len(subscriber.messages) >= EVENTS - 5, "the events arrived")
    subscriber.close()
    broker.kill()
    # What left before the subscriber came is the broker's business; the sink lost nothing.
    assert sink.counts.dropped == 0
    assert sink.counts.pending == 0


@pytest.mark.parametrize("live", [False, True])
def test_recordings_get_outputs_that_wait_and_live_streams_do_not(live: bool) -> None:
    config = config_from(
        {
            ("camera" if live else "file"): "0" if live else "a.mp4",
            "webhook": {"url": f"http://127.0.0.1:{free_port()}/", "buffer": 1},
        }
    )
    outputs = make_outputs(config, Said(), SystemClock())
    (webhook,) = outputs.values()
    webhook.close()
    assert webhook._queue._lossless is not live  # type: ignore[attr-defined]
    assert webhook._about.lossless is not live  # type: ignore[attr-defined]
