"""`avel serve --follow`: what other boxes publish is shown and remembered, whatever else is on the broker."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from avel_live.realtime.commands import main
from avel_live.realtime.config.load import load_config
from avel_live.realtime.core.clock import SystemClock
from avel_live.realtime.core.messages import Event
from avel_live.realtime.memory import Memory, MemoryFileError
from avel_live.realtime.serve.box import Box
from avel_live.realtime.serve.console import Console
from avel_live.realtime.session.pages import page_of_box
from avel_live.realtime.sinks.mqtt import MqttOptions
from avel_live.realtime.sinks.mqtt.sink import MqttSink
from avel_live.realtime.sinks.web import WebOptions
from support.about import about
from support.browser import objections
from support.peers import Mosquitto, eventually
from support.stream import make_start, make_stream
from support.web import Client


def following(folder: Path, broker: Mosquitto, *, memory: str) -> Box:
    file, clock = folder / "avel.toml", SystemClock()
    file.write_text(f'follow = "mqtt://127.0.0.1:{broker.port}"\n{memory}\n')
    loaded = load_config({"json": True}, path=file, environ={})
    return Box(loaded, clock, Console(json=True, clock=clock, stream=io.StringIO()))


def published(broker: Mosquitto, name: str, hops: int) -> None:
    """A stream of another box, from its start to its end."""
    options = MqttOptions(url=f"mqtt://127.0.0.1:{broker.port}", discovery=False)
    sink, story = MqttSink(options, about(name=name)), make_stream(hops)
    sink.start(make_start())
    for hop in story[1]:
        sink.hop(hop)
    sink.end(story[2])
    sink.close()


def test_events_of_another_box_are_shown_and_remembered(tmp_path: Path, broker: Mosquitto) -> None:
    path = tmp_path / "events.sqlite"
    box = following(tmp_path, broker, memory=f'memory.path = "{path}"')
    box.open()
    try:
        with box.subscribe() as records:
            eventually(lambda: box._follow is not None and box._follow._link._up, "connected")
            published(broker, "Hintertür", 24)
            eventually(lambda: any(s.reason == "offline" for s in box.streams()), "it has gone")
            heard = []
            while (record := records.get(0.0)) is not None:
                heard.append(record)
        (state,) = box.streams()
        assert (state.name, state.state, state.events) == ("hintertür", "ended", ())
        assert state.source == f"mqtt://127.0.0.1:{broker.port}/avel/hintertür"
        assert box.snapshot("hintertür") is None
        published(broker, "Hintertür", 12)
        eventually(lambda: box.streams()[0].reason == "offline", "gone again")
    finally:
        box.close()
    said = story_events(24)
    assert [(r["event"], r["id"], r["label"]) for r in heard if r["type"] == "event"] == [
        (e.kind, e.id, e.name) for e in said
    ]
    assert sum(r["type"] == "hop" for r in heard) > 0
    assert {r["stream"] for r in heard} == {"hintertür"}
    # Numbers that begin anew are another run's: nothing of the first one is written over.
    finals = [e for e in said + story_events(12) if e.kind == "end"]
    kept = list(Memory(path).events())
    assert sorted((e.label, e.stream) for e in kept) == sorted((e.name, "hintertür") for e in finals)
    lengths = sorted(round((e.end_us - e.start_us) / 1e6, 1) for e in kept if e.end_us is not None)
    assert lengths == sorted(round(e.end_s - e.start_s, 1) for e in finals if e.end_s is not None)


def test_a_stream_of_another_box_is_looked_at_and_not_changed(
    tmp_path: Path, broker: Mosquitto, browser: Any
) -> None:
    box = following(tmp_path, broker, memory="memory.enabled = false")
    box.open()
    page = page_of_box(WebOptions(listen="0"), box, None, box.folders, SystemClock())
    try:
        eventually(lambda: box._follow is not None and box._follow._link._up, "connected")
        published(broker, "barn", 12)
        eventually(lambda: [s.followed for s in box.streams()] == [True], "it is seen")
        client = Client(page.port).browser()
        for method, path, body in (
            ("GET", "/settings", None),
            ("PATCH", "", {"enter": 0.9}),
            ("DELETE", "", None),
        ):
            answer = client(method, f"/api/streams/barn{path}", body)
            assert (answer.status, "of another box" in answer.json()["detail"]) == (422, True), method
        browser.get(f"{page.url}#/stream/barn")

        def text() -> str:
            return str(browser.find_element("css selector", "main").text)

        eventually(lambda: "changed and ended there" in text(), "why nothing can be changed")
        assert "mqtt://" in text()
        assert browser.find_elements("css selector", "main button, main details") == []
        assert objections(browser) == []
    finally:
        page.close()
        box.close()


def story_events(hops: int) -> list[Event]:
    _, answers, end = make_stream(hops)
    return [event for hop in answers for event in hop.events] + list(end.last_events)


def counted(path: Path) -> int:
    try:
        return Memory(path).count()
    except MemoryFileError:  # it is being made
        return 0


def test_what_makes_no_sense_is_left_out(tmp_path: Path, broker: Mosquitto) -> None:
    path = tmp_path / "events.sqlite"
    box = following(tmp_path, broker, memory=f'memory.path = "{path}"')
    box.open()
    good = {"id": 1, "event": "end", "label": "Bark", "start_s": 1.0, "end_s": 3.0, "confidence": 0.9}
    odd: list[tuple[str, object]] = [
        ("door/event/end", "no JSON {"),
        ("door/event/end", []),
        ("door/event/end", {**good, "confidence": "nan"}),
        ("door/event/end", {**good, "confidence": 7}),
        ("door/event/end", {**good, "id": "x"}),
        ("door/event/end", {**good, "label": "Ba\u001brk"}),
        ("door/event/end", {**good, "start_s": None}),
        ("door/event/end", {**good, "event": "explode"}),
        ("door/event/end", {**good, "label": "x" * 70_000}),
        ("Not A Slug/event/end", good),
        ("door/state", {"label": 3}),
        ("door/state", "[[[["),
        ("door/event/end", good),
    ]
    try:
        eventually(lambda: box._follow is not None and box._follow._link._up, "connected")
        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        for topic, what in odd:
            payload = what if isinstance(what, str) else json.dumps(what)
            client.publish(f"avel/{topic}", payload, qos=1).wait_for_publish(10)
        eventually(lambda: counted(path) == 1, "the good one is remembered")
        client.disconnect()
        client.loop_stop()
        assert [state.name for state in box.streams()] == ["door"]
    finally:
        box.close()


def test_nothing_to_serve_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], handlers: None
) -> None:
    (tmp_path / "avel.toml").write_text('camera = "0"\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as code:
        main(["serve"])
    assert code.value.code == 2
    assert "write a table [[streams]]" in capsys.readouterr().err
