"""Metrics as Prometheus reads them, and the health check, over real HTTP."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace

import pytest
from avel_live.model.labels import LABELS
from avel_live.realtime.core.clock import ManualClock
from avel_live.realtime.core.errors import OutputError, UsageError
from avel_live.realtime.core.messages import Status
from avel_live.realtime.sinks.metrics import MetricsOptions, MetricsSink
from support.about import about
from support.peers import program
from support.stream import make_start, make_stream

prometheus_parser = pytest.importorskip("prometheus_client.parser")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(10**12)


@pytest.fixture
def sink(clock: ManualClock) -> Iterator[MetricsSink]:
    sink = MetricsSink(MetricsOptions(0), about(clock=clock))
    yield sink
    sink.close()


def get(
    sink: MetricsSink, path: str, token: str | None = None, method: str = "GET", accept: str = "*/*"
) -> tuple[int, str]:
    headers = {"Accept": accept} | ({} if token is None else {"Authorization": f"Bearer {token}"})
    request = urllib.request.Request(f"http://127.0.0.1:{sink.port}{path}", headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def samples(sink: MetricsSink) -> dict[tuple[str, str], float]:
    status, text = get(sink, "/metrics")
    assert status == 200
    return {
        (sample.name, sample.labels.get("label", sample.labels.get("device", ""))): sample.value
        for family in prometheus_parser.text_string_to_metric_families(text)
        for sample in family.samples
        if "le" not in sample.labels
    }


def test_the_counts_are_those_of_the_stream(sink: MetricsSink) -> None:
    start, hops, end = make_stream(25)
    sink.start(start)
    for record in hops:
        sink.hop(replace(record, skipped=record.hop // 5, dropped=2 * record.hop))
    got = samples(sink)
    assert got["avel_hops_total", ""] == 25
    assert got["avel_hops_skipped_total", ""] == 4
    assert got["avel_dropped_total", ""] == 48
    assert got["avel_latency_seconds_count", ""] == 25
    assert got["avel_latency_seconds_sum", ""] == pytest.approx(sum(r.latency_ms for r in hops) / 1000)
    assert got["avel_confidence", ""] == pytest.approx(hops[-1].confidence)
    events = [e for r in hops for e in r.events]
    open_ids = {e.id for e in events if e.kind == "start"} - {e.id for e in events if e.kind == "end"}
    for label in {LABELS[e.label] for e in events}:
        assert got["avel_events_total", label] == sum(
            e.kind == "start" and LABELS[e.label] == label for e in events
        )
        still = any(e.id in open_ids and LABELS[e.label] == label for e in events)
        assert got["avel_event_active", label] == still
    assert open_ids
    sink.end(end)
    got = samples(sink)
    assert sum(v for (name, _), v in got.items() if name == "avel_settled_seconds_total") == 25
    assert sum(v for (name, _), v in got.items() if name == "avel_event_active") == 0


def test_health_follows_answers_and_devices(sink: MetricsSink, clock: ManualClock) -> None:
    start, hops, end = make_stream(3)
    sink.start(start)
    assert get(sink, "/healthz") == (200, '{"healthy": true, "troubles": {}}')
    clock.advance(11)
    status, body = get(sink, "/healthz")
    assert status == 503
    assert "no answer for 11 s" in json.loads(body)["troubles"]["stream"]
    sink.hop(hops[0])
    assert get(sink, "/healthz")[0] == 200
    sink.status(Status("camera", "lost", "unplugged", 0))
    sink.status(Status("mqtt", "lost", "a sink is not vital", 0))
    status, body = get(sink, "/healthz")
    assert status == 503
    assert json.loads(body)["troubles"] == {"camera": "lost: unplugged"}
    assert samples(sink)["avel_healthy", ""] == 0
    sink.status(Status("camera", "running", "", 0))
    assert get(sink, "/healthz")[0] == 200
    assert samples(sink)["avel_healthy", ""] == 1
    assert samples(sink)["avel_status_total", "mqtt"] == 1
    sink.end(end)
    assert get(sink, "/healthz")[0] == 503


def test_long_hops_are_not_mistaken_for_silence(sink: MetricsSink, clock: ManualClock) -> None:
    sink.start(make_start(hop_s=10.0))
    sink.hop(make_stream(1)[1][0])
    clock.advance(45)
    assert get(sink, "/healthz")[0] == 200


def test_another_address_wants_a_token(clock: ManualClock) -> None:
    with pytest.raises(UsageError, match=r"metrics\.token"):
        MetricsSink(MetricsOptions(0, host="0.0.0.0"), about(clock=clock))
    assert "s3cret" not in repr(MetricsOptions(0, token="s3cret"))
    sink = MetricsSink(MetricsOptions(0, host="0.0.0.0", token="s3cret"), about(clock=clock))
    try:
        for path in ("/metrics", "/healthz", "/"):
            assert get(sink, path)[0] == 401
            assert get(sink, path, "wrong")[0] == 401
        assert get(sink, "/metrics", "s3cret")[0] == 200
        assert get(sink, "/nothing", "s3cret")[0] == 404
        with pytest.raises(OutputError, match="another port"):
            MetricsSink(MetricsOptions(sink.port, host="0.0.0.0", token="x"), about(clock=clock))
    finally:
        sink.close()


def test_every_series_is_there_at_zero_before_anything_happened(sink: MetricsSink) -> None:
    own = ("Дверь", "собака", 'a "quoted\\ name"', "background")
    sink.start(make_start(labels=own))
    got = samples(sink)
    for family in ("avel_events_total", "avel_events_retracted_total", "avel_event_active"):
        assert {label: v for (name, label), v in got.items() if name == family} == dict.fromkeys(own[:-1], 0)
    assert {label for name, label in got if name == "avel_settled_seconds_total"} == set(own)
    assert all(v == 0 for (name, _), v in got.items() if name.endswith("_total"))
    before = get(sink, "/metrics")[1].count("\navel_")
    for device, state in (("camera", "lost"), ("stream", "damaged"), ("machine", "late"), ("mqtt", "lost")):
        sink.status(Status(device, state, "", 0))  # type: ignore[arg-type]
    _, hops, end = make_stream(25)
    for record in hops:
        sink.status(Status("camera", "running", "", 0))
        sink.hop(replace(record, settled=(), events=()))
    sink.end(replace(end, last_settled=(), last_events=()))
    assert get(sink, "/metrics")[1].count("\navel_") == before


OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


def test_promtool_finds_nothing_to_say(sink: MetricsSink) -> None:
    promtool = program("promtool", "prometheus")
    start, hops, _ = make_stream(25)
    sink.start(start)
    pages = [get(sink, "/metrics")[1]]
    for record in hops:
        sink.hop(record)
    sink.status(Status("camera", "lost", "unplugged", 0))
    pages.append(get(sink, "/metrics")[1])
    for page in pages:
        done = subprocess.run(
            [promtool, "check", "metrics"], input=page, text=True, capture_output=True, timeout=60
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_open_metrics_is_spoken_with_who_asks_for_it(sink: MetricsSink) -> None:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    start, hops, _ = make_stream(25)
    sink.start(start)
    for record in hops:
        sink.hop(record)
    request = urllib.request.Request(f"http://127.0.0.1:{sink.port}/metrics", headers={"Accept": OPENMETRICS})
    with urllib.request.urlopen(request, timeout=30) as response:
        kind, text = response.headers["Content-Type"], response.read().decode()
    assert kind.startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert text.endswith("# EOF\n")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert next(s.value for s in families["avel_hops"].samples if s.name == "avel_hops_total") == 25
    plain = get(sink, "/metrics", accept="text/plain")[1]
    assert "# EOF" not in plain


def test_head_has_the_headers_of_get_and_no_body(sink: MetricsSink) -> None:
    sink.start(make_start())
    for path, status in (("/metrics", 200), ("/healthz", 200), ("/nothing", 404)):
        assert get(sink, path, method="HEAD") == (status, "")
    with urllib.request.urlopen(
        urllib.request.Request(f"http://127.0.0.1:{sink.port}/healthz", method="HEAD"), timeout=30
    ) as response:
        assert int(response.headers["Content-Length"]) == len(get(sink, "/healthz")[1])
