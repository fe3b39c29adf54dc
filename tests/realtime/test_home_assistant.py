"""What a real Home Assistant makes of what is published: its entities, its states, what it complains of."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from avel_live.model.labels import EVENT_NAMES
from avel_live.realtime.sinks.mqtt import MqttOptions
from avel_live.realtime.sinks.mqtt.sink import MqttSink
from support.about import Said, about
from support.home_assistant import HomeAssistant, home_assistant_python
from support.peers import Mosquitto, eventually, program
from support.stream import make_start, make_stream

pytestmark = pytest.mark.slow

OWN = ("Дверь", "собака", "Bark", "background")
FIXED = {"Event", "Now", "Confidence", "Any event"}


@pytest.fixture
def at_home(broker: Mosquitto, tmp_path: Path) -> Iterator[Callable[[], HomeAssistant]]:
    """Starts Home Assistant, as often as called, always with the same memory."""
    python, started = home_assistant_python(), list[HomeAssistant]()

    def start() -> HomeAssistant:
        started.append(HomeAssistant(python, tmp_path / "home", broker.port))
        return started[-1]

    yield start
    for one in started:
        one.close()


def sink_for(broker: Mosquitto) -> MqttSink:
    return MqttSink(MqttOptions(f"mqtt://127.0.0.1:{broker.port}"), about(Said(), name="Haustür"))


def watch(sink: MqttSink, seconds: int) -> None:
    """Answers, one a second."""
    for _ in range(seconds):
        sink.write({"type": "hop", "label": "background", "confidence": 0.5})
        time.sleep(1.0)


def test_a_day_with_home_assistant(broker: Mosquitto, at_home: Callable[[], HomeAssistant]) -> None:
    home = at_home()
    sink = sink_for(broker)
    _, hops, _ = make_stream(25)
    sink.start(make_start())
    eventually(lambda: home.state("any_event") == "off", "the entities are there")
    for record in hops[:12]:
        sink.hop(record)
    eventually(lambda: any(c["event_type"] == "Bark" for c in home.changes), "the event")
    assert set(home.entities().values()) == FIXED | set(EVENT_NAMES)
    shares = [c["state"] for c in home.changes if c["unit"] == "%" and c["state"][0].isdigit()]
    assert len(shares) >= 3
    assert all(len(share.partition(".")[2]) <= 1 for share in shares)
    sink.close()
    for entity in ("now", "confidence", "any_event", "_event"):
        eventually(lambda: home.state(entity) == "unavailable", entity)  # noqa: B023

    # What a crash would have left; the next run has other networks.
    pub = program("mosquitto_pub", "mosquitto-clients")
    kept = '{"label": "Bark", "confidence": 0.9}'
    subprocess.run(
        [pub, "-p", str(broker.port), "-r", "-t", "avel/haustür/state", "-m", kept], check=True, timeout=30
    )
    before = len(home.changes)
    sink = sink_for(broker)
    sink.start(make_start(labels=OWN))
    watch(sink, seconds=13)
    eventually(lambda: set(home.entities().values()) == FIXED | set(OWN[:-1]), "the other classes are gone")
    eventually(lambda: home.state("any_event") == "off", "online")
    assert all(c["state"] != "Bark" for c in home.changes[before:])
    sink.close()
    home.close()
    said = home.log.read_text()
    assert "avel/" not in said  # no message that it could not read
    assert "emplate" not in said


def test_entities_are_removed_that_went_while_home_assistant_was_away(
    broker: Mosquitto, at_home: Callable[[], HomeAssistant]
) -> None:
    home = at_home()
    sink = sink_for(broker)
    sink.start(make_start())
    eventually(lambda: home.state("any_event") == "off", "the entities are there")
    assert len(home.entities()) == 4 + len(EVENT_NAMES)
    sink.close()
    home.close()
    sink = sink_for(broker)
    sink.start(make_start(labels=OWN))
    watch(sink, seconds=5)
    home = at_home()
    watch(sink, seconds=25)
    eventually(lambda: set(home.entities().values()) == FIXED | set(OWN[:-1]), "the other classes are gone")
    sink.close()
