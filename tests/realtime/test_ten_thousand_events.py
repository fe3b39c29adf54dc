"""Thousands of events through every delivering sink: nothing lost, memory flat."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from avel_live.model.labels import LABELS
from avel_live.realtime.core.messages import Event, TimedAudio, TimedFrame
from avel_live.realtime.sinks.base import Sink
from avel_live.realtime.sinks.clips import ClipOptions
from avel_live.realtime.sinks.clips.sink import ClipSink
from avel_live.realtime.sinks.desktop import DesktopSink, NotifyOptions
from avel_live.realtime.sinks.exec import ExecOptions, ExecSink
from avel_live.realtime.sinks.metrics import MetricsOptions, MetricsSink
from avel_live.realtime.sinks.mqtt import MqttOptions
from avel_live.realtime.sinks.mqtt.sink import MqttSink
from avel_live.realtime.sinks.webhook import WebhookOptions, WebhookSink
from support.about import Said, about
from support.event_flood import flood
from support.peers import Mosquitto, Receiver, Subscriber, eventually
from support.stream import make_start, make_stream

COUNTS = [400, pytest.param(10_000, marks=pytest.mark.slow)]
GROWTH_MB = 24.0
"""Far below what 10,000 kept records (0.5 MB each with previews and scores, or 2 kB as JSON) would take."""


@contextmanager
def flat_memory(progress: Callable[[], float]) -> Iterator[Callable[[], None]]:
    """Fails when memory grows between a third of the way and the end; call what is yielded now and then."""
    process = psutil.Process()
    third: list[float] = []

    def look() -> None:
        if not third and progress() >= 1 / 3:
            third.append(process.memory_info().rss / 1e6)

    yield look
    end = process.memory_info().rss / 1e6
    assert third, "the test never looked"
    assert end - third[0] < GROWTH_MB


def send(sink: Sink, count: int, waiting: Callable[[], int]) -> None:
    """As fast as the sink's own queue stays short: a stream brings a few events a second, not thousands."""
    sink.start(make_start())
    sent = 0
    with flat_memory(lambda: sent / count) as look:
        for record in flood(count):
            sink.hop(record)
            sent += len(record.events)
            look()
            deadline = time.monotonic() + 120
            while waiting() > 300:
                assert time.monotonic() < deadline, "the sink does not get on"
                time.sleep(0.002)
        eventually(lambda: waiting() == 0, "all delivered", 120)


def expected(count: int) -> list[tuple[int, str]]:
    return [(n // 2, "end" if n % 2 else "start") for n in range(count)]


@pytest.mark.parametrize("count", COUNTS)
def test_mqtt(tmp_path: Path, count: int) -> None:
    broker = Mosquitto(tmp_path, "autosave_interval 3600")
    broker.start()
    subscriber = Subscriber(broker.port, "avel/door/event/#")
    said = Said()
    sink = MqttSink(MqttOptions(f"mqtt://127.0.0.1:{broker.port}"), about(said, name="door", flush_s=60))
    send(sink, count, lambda: sink.counts.pending)
    sink.close()
    eventually(lambda: len(subscriber.messages) == count, "every event arrived")
    subscriber.close()
    broker.kill()
    got = [json.loads(payload) for _, payload, _ in subscriber.messages]
    assert [(r["id"], r["event"]) for r in got] == expected(count)
    assert sink.counts.dropped == 0
    assert [s.state for s in said] == ["running"]


@pytest.mark.parametrize("count", COUNTS)
def test_webhook(count: int) -> None:
    receiver = Receiver()
    said = Said()
    sink = WebhookSink(WebhookOptions(receiver.url), about(said, flush_s=60))
    send(sink, count, lambda: sink.counts.waiting)
    sink.close()
    receiver.close()
    got = [json.loads(body) for _, body in receiver.requests]
    assert [(r["id"], r["event"]) for r in got] == expected(count)
    assert said == []


@pytest.mark.parametrize("count", COUNTS)
def test_exec(tmp_path: Path, count: int) -> None:
    said = Said()
    sink = ExecSink(ExecOptions(f"tee -a {tmp_path}/out"), about(said, flush_s=60))
    send(sink, count, lambda: sink.counts.waiting)
    sink.close()
    got = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert sorted((r["id"], r["event"]) for r in got) == sorted(expected(count))
    assert said == []


@pytest.mark.parametrize("count", COUNTS)
def test_metrics(count: int) -> None:
    sink = MetricsSink(MetricsOptions(0), about())
    send(sink, count, lambda: 0)
    with urllib.request.urlopen(f"http://127.0.0.1:{sink.port}/metrics", timeout=30) as response:
        lines = response.read().decode().splitlines()
    sink.close()
    begun = [float(line.split()[-1]) for line in lines if line.startswith("avel_events_total{")]
    assert sum(begun) == count / 2
    open_now = [float(line.split()[-1]) for line in lines if line.startswith("avel_event_active{")]
    assert len(open_now) == 28
    assert sum(open_now) == 0


@pytest.mark.parametrize("count", COUNTS)
def test_notify(tmp_path: Path, count: int) -> None:
    program = tmp_path / "notify-send"
    program.write_text(f"#!/bin/sh\necho \"$3\" >> '{tmp_path}/shown'\n")
    program.chmod(0o700)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "DISPLAY": ":0"}
    sink = DesktopSink(NotifyOptions(pause_s=0.0), about(), environ)
    sink.start(make_start())
    sent = 0
    with flat_memory(lambda: sent / count) as look:
        for record in flood(count):
            sink.hop(record)
            sent += len(record.events)
            look()
            eventually(lambda: sink.counts.waiting < 8, "shown")
        eventually(lambda: sink.counts.waiting == 0, "all shown")
    sink.close()
    assert len((tmp_path / "shown").read_text().splitlines()) == count / 2


@pytest.mark.parametrize("count", COUNTS)
def test_clips(tmp_path: Path, count: int) -> None:
    """One event every four seconds of a stream of a small picture a second; the oldest clips are pruned."""
    settings = ClipOptions(tmp_path, pre_s=0.5, post_s=0.5, keep="3MB")
    said = Said()
    sink = ClipSink(settings, about(said))
    sink.start(make_start())
    _, hops, end = make_stream(12)
    hop = replace(hops[-1], settled=())
    picture = np.zeros((48, 64, 3), np.uint8)
    sound = np.zeros(16_000, np.float32)
    total = count // 2
    second = 0
    with flat_memory(lambda: second / (4 * total)) as look:
        for second in range(4 * total):
            image = picture + np.uint8(second % 200)
            sink.media(TimedFrame(second * 10**9, image, None, image))
            sink.media(TimedAudio(second * 16_000, sound))
            id_, phase = divmod(second, 4)
            start = Event("start", id_, id_ % 28, float(second - phase), None, 0.5, LABELS[id_ % 28])
            events = {1: (start,), 2: (replace(start, kind="end", end_s=second - phase + 1.0),)}.get(
                phase, ()
            )
            segment = replace(hop.segment, index=second, start_ns=second * 10**9, end_ns=(second + 1) * 10**9)
            sink.hop(replace(hop, hop=second, segment=segment, events=events))
            look()
    sink.end(replace(end, last_events=(), last_settled=()))
    sink.close()
    assert said == []
    assert sink.written == total
    assert sink.ring.bytes < sink.most_bytes / 10
    kept = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert kept <= 3_000_000
