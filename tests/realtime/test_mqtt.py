"""MQTT against a real broker that is killed, comes back, refuses, or was never there."""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from avel_live.model.labels import EVENT_NAMES, LABELS
from avel_live.realtime.core.clock import Clock, ManualClock
from avel_live.realtime.core.errors import OutputError, UsageError
from avel_live.realtime.core.messages import Status
from avel_live.realtime.sinks.mqtt import MqttOptions
from avel_live.realtime.sinks.mqtt.broker import Broker
from avel_live.realtime.sinks.mqtt.discovery import discovery_payload
from avel_live.realtime.sinks.mqtt.sink import MqttSink
from support.about import Said, about
from support.event_flood import flood
from support.peers import Mosquitto, Subscriber, eventually, program
from support.server_process import free_port
from support.stream import make_start, make_stream


def sink_for(port: int, said: list[Status], **options: object) -> MqttSink:
    flush_s: float | None = options.pop("flush_s", None)  # type: ignore[assignment]
    clock: Clock | None = options.pop("clock", None)  # type: ignore[assignment]
    settings = MqttOptions(f"mqtt://127.0.0.1:{port}", **options)  # type: ignore[arg-type]
    return MqttSink(settings, about(said, clock, name="Front door", flush_s=flush_s))


def states(said: list[Status]) -> list[str]:
    return [status.state for status in said]


def test_a_stream_arrives_whole_and_home_assistant_finds_it(broker: Mosquitto) -> None:
    subscriber = Subscriber(broker.port)
    said = Said()
    sink = sink_for(broker.port, said)
    start, hops, end = make_stream(25)
    sink.start(start)
    for record in hops:
        sink.hop(record)
    sink.end(end)
    sink.close()
    sent = [e for record in hops for e in record.events] + list(end.last_events)
    assert len(sent) >= 8
    eventually(lambda: len(subscriber.json("/event/")) == len(sent), "all events arrived")
    eventually(lambda: subscriber.last("avel/front_door/availability") == b"offline", "the goodbye")
    subscriber.close()
    got = subscriber.json("/event/")
    assert [(r["event"], r["id"], r["label"]) for r in got] == [(e.kind, e.id, LABELS[e.label]) for e in sent]
    assert all(r["event_type"] == r["label"] for r in got)
    assert states(said) == ["running"]
    # After the end nothing is going on any more, and a newcomer is told so.
    newcomer = Subscriber(broker.port)
    eventually(lambda: newcomer.last("/config") is not None, "the retained announcement")
    eventually(lambda: newcomer.last("front_door/active") == b"OFF", "the retained state")
    assert newcomer.last("/active/bark") == b"OFF"
    announcement = newcomer.json("homeassistant/device/avel_front_door/config")[-1]
    assert announcement == discovery_payload("avel/front_door", "Front door", LABELS, "0.1.0")
    newcomer.close()


def test_the_announcement_is_what_home_assistant_reads() -> None:
    payload = discovery_payload("avel/door", "door", LABELS, "1.2")
    assert payload["origin"]["name"]
    assert payload["device"]["identifiers"]
    components = payload["components"]
    assert len(components) == 4 + len(EVENT_NAMES)
    unique = [c["unique_id"] for c in components.values()]
    assert len(set(unique)) == len(unique)
    assert all(re.fullmatch(r"[a-z0-9_]+", key) for key in components)
    assert {c["platform"] for c in components.values()} == {"event", "sensor", "binary_sensor"}
    assert all(c["state_topic"].startswith("avel/door/") for c in components.values())
    assert components["event"]["event_types"] == list(EVENT_NAMES)
    assert components["label"]["options"] == list(LABELS)
    assert "unit_of_measurement" not in components["label"]  # an enum sensor must not have one


def test_a_broker_killed_and_restarted_mid_stream_loses_no_event(broker: Mosquitto) -> None:
    subscriber = Subscriber(broker.port, "avel/#")
    said = Said()
    sink = sink_for(broker.port, said, flush_s=120.0)
    sink.start(make_start())
    eventually(lambda: "running" in states(said), "the first connection")
    total = 600
    for number, record in enumerate(flood(total)):
        sink.hop(record)
        if number in (60, 180):
            eventually(lambda: sink.counts.acknowledged > 100, "some events got through")
            broker.kill()
        if number in (120, 240):
            eventually(lambda: states(said)[-1] == "lost", "the loss was noticed")
            broker.start()
            eventually(lambda: states(said)[-1] == "running", "the broker is back")
    sink.close()
    assert sink.counts.dropped == 0
    assert sink.counts.pending == 0
    expected = [(n // 2, "end" if n % 2 else "start") for n in range(total)]

    def seen() -> list[tuple[int, str]]:
        return [(r["id"], r["event"]) for r in subscriber.json("/event/")]

    eventually(lambda: set(seen()) == set(expected), "every event arrived")
    subscriber.close()
    # At least once, and the first time each is seen, in the order they happened.
    assert list(dict.fromkeys(seen())) == expected
    assert states(said).count("lost") == 2


def test_a_full_buffer_drops_the_oldest_and_says_so(tmp_path: Path) -> None:
    late = Mosquitto(tmp_path)
    said = Said()
    sink = sink_for(late.port, said, buffer=50, discovery=False)
    sink.start(make_start())
    for record in flood(400, per_hop=1):
        sink.hop(record)
    eventually(lambda: sink.counts.dropped > 0, "drops are counted")
    assert states(said).count("dropping") == 1
    late.start()
    subscriber = Subscriber(late.port, "avel/#")
    eventually(lambda: "running" in states(said), "connected", 60)
    sink.close()
    assert "were lost" in next(s.reason for s in said if s.state == "running")
    eventually(lambda: any(r["id"] == 199 for r in subscriber.json("/event/end")), "the newest is there")
    subscriber.close()
    late.kill()
    assert min(r["id"] for r in subscriber.json("/event/")) > 150


def test_the_last_will_says_offline(broker: Mosquitto, tmp_path: Path) -> None:
    subscriber = Subscriber(broker.port, "avel/#")
    script = (
        "import sys, time\n"
        "from avel_live.realtime.core.clock import SystemClock\n"
        "from avel_live.realtime.sinks.base import About\n"
        "from avel_live.realtime.sinks.mqtt import MqttOptions\n"
        "from avel_live.realtime.sinks.mqtt.sink import MqttSink\n"
        "about = About('door', True, print, SystemClock())\n"
        f"MqttSink(MqttOptions('mqtt://127.0.0.1:{broker.port}'), about)\n"
        "time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL)
    eventually(lambda: subscriber.last("door/availability") == b"online", "online")
    process.kill()
    process.wait()
    eventually(lambda: subscriber.last("door/availability") == b"offline", "the last will")
    subscriber.close()


def test_home_assistant_restarting_is_told_again(broker: Mosquitto) -> None:
    said = Said()
    sink = sink_for(broker.port, said)
    sink.start(make_start())  # before it no class is known
    eventually(lambda: sink.counts.acknowledged > 30, "the first announcement")
    subscriber = Subscriber(broker.port, "homeassistant/device/#")
    eventually(lambda: len(subscriber.messages) >= 1, "the retained announcement")
    before = len(subscriber.messages)
    pub = program("mosquitto_pub", "mosquitto-clients")
    subprocess.run(
        [pub, "-p", str(broker.port), "-t", "homeassistant/status", "-m", "online"], check=True, timeout=30
    )
    eventually(lambda: len(subscriber.messages) == before + 1, "the second announcement")
    subscriber.close()
    sink.close()


def retained(port: int, pattern: str = "#") -> dict[str, bytes]:
    """What the broker keeps."""
    subscriber = Subscriber(port, pattern)
    seen = -1
    while len(subscriber.messages) != seen:
        seen = len(subscriber.messages)
        time.sleep(0.3)
    subscriber.close()
    return {topic: payload for topic, payload, kept in subscriber.messages if kept}


def test_the_label_of_yesterday_is_gone_before_online_is_said(broker: Mosquitto) -> None:
    pub = program("mosquitto_pub", "mosquitto-clients")
    for topic, payload in (("state", '{"label": "Bark", "confidence": 0.9}'), ("active/bark", "ON")):
        subprocess.run(
            [pub, "-p", str(broker.port), "-r", "-t", f"avel/front_door/{topic}", "-m", payload], check=True
        )
    subscriber = Subscriber(broker.port, "avel/#")
    eventually(lambda: len(subscriber.messages) == 2, "what yesterday left")
    said = Said()
    sink = sink_for(broker.port, said)
    start, hops, _ = make_stream(25)
    eventually(lambda: subscriber.last("/availability") == b"online", "online while the networks load")
    sink.start(start)
    for record in hops:  # ends with an event open, and without an end: as a crash of the loop would
        sink.hop(record)
    sink.close()
    eventually(lambda: subscriber.last("/availability") == b"offline", "the goodbye")
    subscriber.close()
    since = [
        (topic.removeprefix("avel/front_door/"), payload) for topic, payload, _ in subscriber.messages[2:]
    ]
    assert since.index(("state", b"")) < since.index(("availability", b"online"))
    assert since.index(("active/bark", b"OFF")) < next(n for n, (t, _) in enumerate(since) if "event" in t)
    assert since[-2:] == [("state", b""), ("availability", b"offline")]
    left = retained(broker.port, "avel/#")
    assert left.pop("avel/front_door/availability") == b"offline"
    assert set(left.values()) == {b"OFF"}
    assert "avel/front_door/state" not in left


def test_entities_of_other_networks_are_removed_and_announced_only_when_classes_are_known(
    broker: Mosquitto,
) -> None:
    topic = "homeassistant/device/avel_front_door/config"
    runs = [
        ("the shipped classes", LABELS),
        ("own classes", ("Дверь", "собака", "Bark", "background")),
        ("own classes again", ("Дверь", "собака", "Bark", "background")),
    ]
    subscriber = Subscriber(broker.port)

    def announced() -> list[bytes]:
        return [payload for t, payload, _ in list(subscriber.messages) if t == topic]

    for what, labels in runs:
        clock = ManualClock(10**12)
        sink = sink_for(broker.port, Said(), clock=clock)
        before = len(announced())
        eventually(lambda: subscriber.last("/availability") == b"online", "connected")
        assert len(announced()) == before  # nobody knows the classes yet
        sink.start(make_start(labels=labels))
        eventually(lambda: len(announced()) == before + 1, "something is said of entities")  # noqa: B023
        if what == "own classes":
            # The device with all its entities goes first, and comes back once.
            while not (announced()[before:].count(b"") == 1 and b"Event" in announced()[-1]):
                clock.advance(1.0)
                sink.write({"type": "hop", "label": "Bark"})
                time.sleep(0.05)
                assert len(announced()) < before + 4
            clock.advance(20.0)
            sink.write({"type": "hop", "label": "Bark"})
            gone = [one for one in json.loads(announced()[-1])["components"].values() if len(one) == 1]
            assert gone == [{"platform": "binary_sensor"}] * (len(EVENT_NAMES) - 1)  # all but Bark
        sink.close()
        eventually(lambda: subscriber.last("/availability") == b"offline", "gone")
        assert b"Event" in announced()[-1]
        assert announced()[before:].count(b"") == (what == "own classes")
    subscriber.close()
    kept = retained(broker.port)
    components = json.loads(kept[topic])["components"]
    full = {key for key, one in components.items() if len(one) > 1}
    names = {components[key]["name"] for key in full}
    assert names == {"Event", "Now", "Confidence", "Any event", "Дверь", "собака", "Bark"}
    assert {t for t in kept if "/active/" in t} == {
        f"avel/front_door/active/{x}" for x in ("дверь", "собака", "bark")
    }


def test_two_streams_of_one_name_do_not_call_each_other_offline(broker: Mosquitto) -> None:
    subscriber = Subscriber(broker.port, "avel/#")
    said = Said()
    stays, goes = sink_for(broker.port, said), sink_for(broker.port, Said())
    for sink in (stays, goes):
        sink.start(make_start())
    eventually(lambda: min(s.counts.acknowledged for s in (stays, goes)) > 30, "both are there")
    goes.close()
    eventually(lambda: any("--name" in s.reason for s in said), "it is said")
    eventually(
        lambda: retained(broker.port, "avel/#")["avel/front_door/availability"] == b"online", "it is answered"
    )
    stays.close()
    eventually(lambda: subscriber.last("/availability") == b"offline", "the last one turns off the light")
    subscriber.close()


def test_a_broker_keeps_nothing_of_streams_that_are_gone(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, "sys_interval 1")
    broker.start()
    for _ in range(4):
        sink = sink_for(broker.port, said := Said())
        eventually(lambda: "running" in states(said), "connected")
        sink.close()
    pub = program("mosquitto_pub", "mosquitto-clients")
    for _ in range(3):
        subprocess.run(
            [pub, "-p", str(broker.port), "-q", "1", "-t", "homeassistant/status", "-m", "online"], check=True
        )
    subscriber = Subscriber(broker.port, "$SYS/broker/clients/#")
    eventually(lambda: subscriber.last("clients/total") == b"1", "only the one who asks")
    assert subscriber.last("clients/disconnected") == b"0"
    subscriber.close()
    broker.kill()


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[Mosquitto, Path]]:
    """A broker that wants TLS and a password, and the certificate to trust."""
    openssl = program("openssl", "openssl")
    passwd = program("mosquitto_passwd", "mosquitto")
    key, cert, users = tmp_path / "key.pem", tmp_path / "cert.pem", tmp_path / "users"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    subprocess.run([passwd, "-c", "-b", str(users), "ann", "s3cret"], check=True, capture_output=True)
    broker = Mosquitto(tmp_path, f"certfile {cert}", f"keyfile {key}", f"password_file {users}")
    broker.start()
    yield broker, cert
    broker.kill()


def test_tls_and_password(tls: tuple[Mosquitto, Path]) -> None:
    broker, cert = tls
    said = Said()
    url = f"mqtts://ann@127.0.0.1:{broker.port}/house"
    wrong = MqttSink(MqttOptions(url, password="wr0ng", ca_file=cert), about(said, flush_s=0.1))
    eventually(lambda: bool(said), "the refusal is told")
    wrong.close()
    assert said[0].state == "lost"
    assert "refused" in said[0].reason
    subscriber = Subscriber(broker.port, "house/#", username="ann", password="s3cret", ca=str(cert))
    good = MqttSink(MqttOptions(url, password="s3cret", ca_file=cert), about(said, name="door"))
    eventually(lambda: subscriber.last("house/door/availability") == b"online", "online over TLS")
    good.close()
    subscriber.close()
    assert not any("s3cret" in s.reason or "wr0ng" in s.reason for s in said)


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_unknown_certificate_is_refused(tls: tuple[Mosquitto, Path]) -> None:
    broker, _ = tls
    said = Said()
    url = f"mqtts://ann@127.0.0.1:{broker.port}"
    sink = MqttSink(MqttOptions(url, password="s3cret"), about(said, flush_s=0.1))
    eventually(lambda: bool(said), "the refusal is told")
    sink.close()
    assert "certificate" in said[0].reason.lower()
    assert sink.counts.acknowledged == 0
    del sink
    gc.collect()


def test_a_broker_that_is_never_there_ends_soon() -> None:
    said = Said()
    sink = sink_for(free_port(), said, flush_s=0.2)
    sink.start(make_start())
    for record in flood(10):
        sink.hop(record)
    began = time.monotonic()
    sink.close()
    sink.close()
    assert time.monotonic() - began < 10
    assert sink.counts.acknowledged == 0
    assert sink.counts.pending >= 10


def test_addresses() -> None:
    broker = Broker.parse("mqtts://ann:p%40ss@hub.local/house/avel/")
    assert (broker.host, broker.port, broker.tls, broker.path) == ("hub.local", 8883, True, "house/avel")
    assert (broker.username, broker.password) == ("ann", "p@ss")
    assert "p@ss" not in repr(broker) + str(broker)
    assert Broker.parse("hub.local").port == 1883
    assert "pw" not in repr(MqttOptions("mqtt://u:pw@h", password="pw"))
    for wrong in ("http://hub", "mqtt://", "mqtt://hub:notaport"):
        with pytest.raises(UsageError, match="mqtt"):
            Broker.parse(wrong)
    with pytest.raises(OutputError, match=r"ca\.pem"):
        Broker.parse("mqtts://hub", ca_file=Path("/nowhere/ca.pem"))
    with pytest.raises(UsageError, match="topic"):
        MqttSink(MqttOptions("mqtt://hub", topic="a/#"), about())
    assert json.loads(json.dumps(discovery_payload("b", "n", LABELS, "1")))
