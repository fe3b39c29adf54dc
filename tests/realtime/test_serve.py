"""Several streams in one program: each as it would be alone, none in another's way, changed as they run."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from avel_live.realtime.commands import main
from avel_live.realtime.config.load import Loaded, load_config
from avel_live.realtime.config.streams import streams_of
from avel_live.realtime.core.clock import SystemClock
from avel_live.realtime.core.errors import UsageError
from avel_live.realtime.memory import Memory
from avel_live.realtime.serve.box import Box, memory_of
from avel_live.realtime.serve.console import Console
from avel_live.realtime.session.pages import page_of_box
from avel_live.realtime.sinks.web import WebOptions
from support.browser import objections
from support.mjpeg import MjpegServer
from support.peers import Mosquitto, Subscriber, eventually
from support.played_live import Played
from support.server_process import free_port
from support.web import Client

Records = list[dict[str, Any]]


class Running:
    """A box over a file, and what it has written so far."""

    def __init__(self, file: Path, text: str, **flags: object) -> None:
        self.file, self._out = file, io.StringIO()
        file.write_text(text)
        files = {"memory.path": file.with_name("memory.sqlite"), "streams_file": file.with_name("kept.json")}
        flags = {"json": True, **files, **flags}
        self.loaded = load_config(flags, path=file, environ={})
        clock = SystemClock()
        self.box = Box(self.loaded, clock, Console(json=True, clock=clock, stream=self._out))

    @property
    def records(self) -> Records:
        return [json.loads(line) for line in self._out.getvalue().splitlines()]

    def of(self, stream: str, kind: str) -> Records:
        return [r for r in self.records if r.get("stream") == stream and r["type"] == kind]

    def reload(self, text: str) -> str:
        self.file.write_text(text)
        return self.box.reload()

    def life(self, name: str) -> str:
        return next((one.state for one in self.box.streams() if one.name == name), "")


@contextmanager
def running(folder: Path, text: str, **flags: object) -> Iterator[Running]:
    one = Running(folder / "avel.toml", text, **flags)
    try:
        one.box.open()
        yield one
    finally:
        one.box.close()


def table(name: str, **keys: object) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in {"name": name, **keys}.items()]
    return "\n".join(["[[streams]]", *lines, ""])


def plain(records: Records) -> Records:
    """Records without what differs between two runs of one recording, and without the stream's name."""
    passing = {"stream", "latency_ms", "real_time_factor", "skipped", "dropped", "wall_clock"}
    return [{k: v for k, v in r.items() if k not in passing} for r in records if r["type"] != "status"]


def test_each_of_three_recordings_says_what_it_says_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], handlers: None
) -> None:
    streams = {
        "all": {"duration_s": 6.0},
        "later": {"start_s": 4.0, "duration_s": 6.0},
        "deaf": {"duration_s": 6.0, "ignore": ["Bark"]},
    }
    text = "demo = true\nfast = true\n" + "".join(table(name, **keys) for name, keys in streams.items())
    with running(tmp_path, text) as one:
        eventually(lambda: one.box.over, "all three end", 120)
    together = {name: [r for r in one.records if r.get("stream") == name] for name in streams}
    for name, keys in streams.items():
        flags = {"start_s": "--start", "duration_s": "--duration", "ignore": "--ignore"}
        given = [part for key, value in keys.items() for part in (flags[key], str(value).strip("[]'"))]
        with pytest.raises(SystemExit) as code:
            main(["live", "--demo", "--fast", "--json", *given])
        assert code.value.code == 0
        alone = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert sum(r["type"] == "hop" for r in alone) == 6
        assert plain(together[name]) == plain(alone), name
    events = {name: [r["label"] for r in together[name] if r["type"] == "event"] for name in streams}
    assert "Bark" in events["all"]
    assert "Bark" not in events["deaf"]


BASE = 'demo = true\nloop = true\nspeed = 2.0\nframes = "1"\n'


def test_a_reload_starts_stops_and_changes_and_disturbs_no_other(tmp_path: Path) -> None:
    before = [table("stays"), table("goes"), table("turns", enter=0.6), table("moves")]
    after = [table("stays"), table("turns", enter=0.9), table("moves", start_s=1.0), table("comes")]
    with running(tmp_path, BASE + "".join(before)) as one:
        names = ("stays", "goes", "turns", "moves")
        eventually(lambda: all(one.of(name, "hop") for name in names), "all give answers", 60)
        with pytest.raises(UsageError, match="streams 'moves': unknown key"):
            one.reload(BASE + "".join(before) + "sped = 1")
        said = one.reload(BASE + "".join(after))
        assert (
            said
            == "reloaded: goes stopped; turns changed (thresholds); moves changed (begun anew); comes started"
        )
        assert one.of("goes", "end")[0]["reason"] == "stopped"
        eventually(lambda: bool(one.of("comes", "hop")), "the new one gives answers", 60)
        eventually(lambda: len(one.of("moves", "start")) == 2, "begun anew", 60)
        eventually(
            lambda: bool([r for r in one.of("turns", "status") if r["state"] == "reloaded"]), "told", 60
        )
        hops = len(one.of("stays", "hop"))
        eventually(lambda: len(one.of("stays", "hop")) > hops, "it goes on", 60)
        assert one.reload(BASE + "".join(after)) == "reloaded: nothing is different"
        left = one.reload('profile = "paper"\n' + BASE + "".join(after))
        assert left.endswith("only a restart of the program changes profile")
        assert {state.name for state in one.box.streams()} == {"stays", "turns", "moves", "comes"}
    assert [len(one.of(name, "start")) for name in ("stays", "goes", "turns", "moves", "comes")] == [
        1,
        1,
        1,
        2,
        1,
    ]
    assert [len(one.of(name, "end")) for name in ("stays", "goes", "turns", "moves", "comes")] == [
        1,
        1,
        1,
        2,
        1,
    ]
    numbers = [r["hop"] for r in one.of("stays", "hop")]
    assert numbers == list(range(len(numbers))), "no second of it is missing"


def test_a_broken_a_stalled_and_a_flooding_stream_delay_nobody(tmp_path: Path) -> None:
    kinds = ("well", "breaks", "refuses", "stalls", "floods")
    text = 'frames = "1"\n' + "".join(table(kind, url=f"played://{kind}/") for kind in kinds)
    Played.open_now.clear()
    with running(tmp_path, text) as one:
        eventually(lambda: len(one.of("well", "hop")) >= 3, "the good one gives answers", 60)
        eventually(lambda: len(one.of("breaks", "start")) >= 2, "the broken one is begun anew", 60)
        assert one.life("refuses") == "waiting"
        waiting = next(state for state in one.box.streams() if state.name == "refuses")
        assert "nobody is there; again in" in waiting.reason
        Played.open_now.set()
        eventually(lambda: bool(one.of("refuses", "hop")), "it is opened when it is there", 60)
        eventually(
            lambda: len(one.of("stalls", "hop")) >= 3, "seconds without anything are answered, too", 60
        )
    assert one.of("stalls", "hop")[2]["segment"]["frames"] == 0
    assert [r["skipped"] for kind in ("well", "floods", "refuses") for r in one.of(kind, "end")] == [0, 0, 0]
    assert all(r["segment"]["frames"] > 0 for r in one.of("well", "hop")[1:-1])
    broken = [r["reason"] for r in one.records if r.get("stream") == "breaks" and r["type"] == "status"]
    assert any("the driver is gone; again in 0.5 s" in reason for reason in broken)


def test_what_can_be_seen_heard_and_changed_from_outside(tmp_path: Path) -> None:
    with running(tmp_path, table("door", url="played://well/")) as one, one.box.subscribe() as records:
        box = one.box
        assert box.add({"name": "yard", "url": "played://well/", "mqtt": {"topic": "x"}}) == "yard started"
        with pytest.raises(UsageError, match="'yard' and 'Yard' would share"):
            box.add({"name": "Yard", "url": "played://well/"})
        with pytest.raises(UsageError, match="unknown key 'urll'"):
            box.add({"name": "lawn", "urll": "played://well/"})
        eventually(lambda: bool(one.of("yard", "hop") and one.of("door", "hop")), "both give answers", 60)
        assert box.add({"name": "shed", "url": "played://well/", "clips.dir": str(tmp_path / "c")})
        assert box.folders() == (tmp_path / "c",)
        assert box.remove("shed") == "shed stopped"
        assert box.folders() == (tmp_path / "c",), "its clips may still be played"
        picture = cv2.imdecode(np.frombuffer(box.snapshot("yard") or b"", np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (360, 480, 3)
        state = next(s for s in box.streams() if s.name == "yard")
        assert (state.state, state.source, state.runs) == ("running", "played://well/", 1)
        assert state.hop is not None
        assert (state.hop["stream"], state.label) == ("yard", state.hop["label"])
        assert state.attention is not None
        assert abs(float(state.attention.sum()) - 1) < 0.01
        assert box.change("yard", {"enter": 0.9}) == "yard changed (thresholds)"
        with pytest.raises(UsageError, match="streams 'yard': enter"):
            box.change("yard", {"enter": 9})
        assert box.change("yard", {"url": "played://floods/"}) == "yard changed (begun anew)"
        eventually(lambda: len(one.of("yard", "start")) == 2, "begun anew", 60)
        # It is kept beside the file, and the next start would find it; so a reload agrees.
        assert [stream.name for stream in streams_of(one.loaded)] == ["door", "yard"]
        assert box.change("door", {"enter": 0.8, "brief": 0.7}) == "door changed (thresholds)"
        assert box.change("door", {"brief": None}) == "door changed (thresholds)"
        assert one.reload(table("door", url="played://well/")) == "reloaded: nothing is different"
        found = {stream.name: stream.config for stream in streams_of(one.loaded)}
        assert (found["door"].enter, found["door"].brief) == (0.8, None)
        assert (found["yard"].enter, found["yard"].mqtt.topic) == (0.9, "x")
        assert box.remove("yard") == "yard stopped"
        with pytest.raises(UsageError, match="no stream is called 'yard'; there are: door"):
            box.snapshot("yard")
        # What is changed by hand afterwards counts.
        assert one.reload(table("door", url="played://well/", enter=0.7)).endswith("changed (thresholds)")
        assert box.remove("door") == "door stopped"
        assert streams_of(one.loaded) != () == streams_of(load_again(one))
        one.file.with_name("kept.json").write_text("{")
        with pytest.raises(UsageError, match=r"kept\.json: not as it was written"):
            box.add({"name": "lawn", "url": "played://well/"})
        with pytest.raises(UsageError, match=r"kept\.json: not as it was written"):
            box.reload()
        assert box.streams() == ()
        heard: Records = []
        while (record := records.get(0.0)) is not None:
            heard.append(record)
    assert records.lost == 0
    assert {r["stream"] for r in heard} == {"door", "yard", "shed"}
    said = [r for r in one.of("yard", "hop") if r["type"] == "hop"]
    assert [r for r in heard if r["stream"] == "yard" and r["type"] == "hop"] == said


def load_again(one: Running) -> Loaded:
    assert one.loaded.again is not None
    return one.loaded.again()


def test_what_can_not_be_kept_is_done_all_the_same_and_said(tmp_path: Path) -> None:
    nowhere = Path("/proc/streams.json")
    with running(tmp_path, table("door", url="played://well/"), streams_file=nowhere) as one:
        said = "; not kept for the next start: streams.json can't be written"
        eventually(lambda: bool(one.of("door", "hop")), "it runs", 60)
        assert one.box.add({"name": "yard", "url": "played://well/"}).startswith(f"yard started{said}")
        assert one.box.change("door", {"enter": 0.9}).startswith(f"door changed (thresholds){said}")
        assert one.reload(one.file.read_text()) == "reloaded: nothing is different"
        assert one.box.remove("door").startswith(f"door stopped{said}")
        assert one.reload(one.file.read_text()) == "reloaded: nothing is different"
        assert [state.name for state in one.box.streams()] == ["yard"]
    warned = [r["reason"] for r in one.records if r["type"] == "status" and r["device"] == "streams"]
    assert [line.split(":")[0] for line in warned] == ["yard", "door", "door"]
    assert all(str(nowhere) in line for line in warned)


def test_what_no_waiting_mends_is_said_and_the_others_go_on(tmp_path: Path) -> None:
    text = table("lost", file=str(tmp_path / "none.mp4")) + table("odd", demo=True, calibration="nobody")
    text += table("good", url="played://well/")
    with running(tmp_path, text) as one:
        eventually(lambda: bool(one.of("good", "hop")), "the good one gives answers", 60)
        eventually(lambda: one.life("lost") == one.life("odd") == "failed", "the others are given up", 30)
        assert not one.box.over
        # What failed is tried again when its configuration is another one.
        fixed = text.replace('calibration = "nobody"\n', "fast = true\n")
        assert "odd changed (begun anew)" in one.reload(fixed)
        eventually(lambda: bool(one.of("odd", "hop")), "mended", 60)
    said = {r["stream"]: r["reason"] for r in one.records if r["type"] == "status" and r["state"] == "failed"}
    assert "none.mp4" in said["lost"]
    assert "calibration 'nobody'" in said["odd"]


SERVE = [sys.executable, "-c", "from avel_live.realtime.commands import main; main()", "serve"]


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_command_publishes_for_each_stream_and_ends_cleanly(tmp_path: Path, broker: Mosquitto) -> None:
    port, file = free_port(), tmp_path / "avel.toml"
    head = (
        f'{BASE}log.jsonl = "all.jsonl"\nmetrics.port = {port}\nmqtt.url = "mqtt://127.0.0.1:{broker.port}"\n'
    )
    gone = table("gone", url="rtsp://127.0.0.1:9/x") + table(
        "dark", camera="http://127.0.0.1:9/x", mic="none"
    )
    file.write_text(head + table("door") + table("yard") + gone)
    listener = Subscriber(broker.port)
    env = {k: v for k, v in os.environ.items() if not k.startswith("AVEL_")} | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*SERVE, "--json", "--memory-file", "memory.sqlite", "--streams-file", "kept.json"],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()), daemon=True)
    reader.start()

    def of(stream: str, kind: str) -> Records:
        return [r for r in map(json.loads, list(lines)) if r["type"] == kind and r.get("stream") == stream]

    try:
        eventually(lambda: len(of("door", "hop")) > 3 and len(of("yard", "hop")) > 3, "answers", 120)
        code, body = get(f"http://127.0.0.1:{port}/healthz")
        health = json.loads(body)
        assert (code, health["healthy"]) == (200, False), "two of four are well"
        assert {k: v["healthy"] for k, v in health["streams"].items()} == {
            "door": True, "yard": True, "gone": False, "dark": False
        }  # fmt: skip
        assert "Connection refused" in health["streams"]["gone"]["troubles"]["stream"]
        numbers = get(f"http://127.0.0.1:{port}/metrics")[1]
        for name in ("door", "yard", "gone"):
            assert f'avel_hops_total{{stream="{name}"}}' in numbers
        assert numbers.count("# TYPE avel_hops_total counter") == 1
        file.write_text(head + table("door", enter=0.9) + table("yard"))
        process.send_signal(signal.SIGHUP)
        eventually(lambda: "gone stopped" in "".join(lines), "reloaded", 30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        reader.join(10)
        assert process.stderr is not None
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        if process.stderr is not None:
            process.stderr.close()
    for name in ("door", "yard"):
        assert [r["reason"] for r in of(name, "end")] == ["stopped"]
        log = [json.loads(line) for line in (tmp_path / f"all-{name}.jsonl").read_text().splitlines()]
        assert {r["stream"] for r in log} == {name}
        assert (log[0]["type"], log[-1]["type"]) == ("start", "end")
        assert [r for r in log if r["type"] == "hop"] == of(name, "hop")
        eventually(lambda n=name: listener.last(f"avel/{n}/availability") == b"offline", "said goodbye")  # type: ignore[misc]
        assert listener.last(f"device/avel_{name}/config")
    listener.close()


def test_from_nothing_to_a_camera_that_is_there_again_the_next_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], handlers: None
) -> None:
    """No file at all: the page is empty, a camera is added on it, and the next start has it."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("AVEL_")}
    env |= {"OMP_NUM_THREADS": "1", "AVEL_DATA_DIR": str(tmp_path / "data"), "HOME": str(tmp_path)}
    password = "fish-and-chips"

    @contextmanager
    def serving(*flags: str) -> Iterator[tuple[list[str], Client]]:
        port, lines = free_port(), list[str]()
        command = [*SERVE, "--json", "--web", str(port), *flags]
        with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()), daemon=True)
            reader.start()
            try:
                eventually(lambda: "the page is at" in "".join(lines), "the page", 120)
                yield lines, Client(port).browser()
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0
                reader.join(10)
            finally:
                process.kill()

    def state(client: Client) -> dict[str, str]:
        return {one["name"]: one["state"] for one in client.get("/api/streams").json()}

    with MjpegServer(fps=10, auth=f"avel:{password}") as camera:
        with serving() as (lines, client):
            assert "there is no stream yet: add the first one there" in "".join(lines)
            assert client.get("/api/streams").json() == []
            added = client("POST", "/api/streams", {"name": "yard", "camera": camera.url, "mic": "none"})
            assert added.json() == {"said": "yard started"}
            eventually(lambda: state(client) == {"yard": "running"}, "it runs", 60)
            assert client("PATCH", "/api/streams/yard", {"enter": 0.9}).status == 200
        kept = tmp_path / "data" / "streams.json"
        assert password in kept.read_text()
        assert kept.stat().st_mode & 0o077 == 0
        assert password not in "".join(lines)
        # Again, beside a recording that is over at once: the page stays.
        (tmp_path / "avel.toml").write_text(table("short", demo=True, fast=True, duration_s=1.0))
        with serving() as (lines, client):
            eventually(lambda: state(client) == {"short": "ended", "yard": "running"}, "both", 60)
            assert client("DELETE", "/api/streams/yard").json() == {"said": "yard stopped"}
            eventually(lambda: "the page stays until it is stopped" in "".join(lines), "it is said", 30)
            assert state(client) == {"short": "ended"}
        assert password not in "".join(lines)
    assert password not in kept.read_text()
    kept.write_text("{")
    with pytest.raises(SystemExit) as code:
        main(["serve", "--streams-file", str(kept)])
    assert code.value.code == 2
    assert f"{kept}: not as it was written" in capsys.readouterr().err


def test_two_on_one_data_folder_are_one_too_many(tmp_path: Path) -> None:
    """Said in one line with the process that is there; a killed one is in nobody's way."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("AVEL_")}
    env |= {"OMP_NUM_THREADS": "1", "AVEL_DATA_DIR": str(tmp_path / "data"), "HOME": str(tmp_path)}

    def begin() -> subprocess.Popen[str]:
        command = [*SERVE, "--json", "--web", str(free_port())]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=tmp_path, env=env, text=True, **pipes)  # type: ignore[call-overload,no-any-return]

    def first_line(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline()

    with begin() as first:
        try:
            assert "networks" in first_line(first)
            with begin() as second:
                out, said = second.communicate(timeout=60)
            assert (second.returncode, out) == (2, "")
            assert said.count("\n") == 1
            assert f"another avel serve (process {first.pid}) runs with {tmp_path}/data/streams.json" in said
            assert "AVEL_DATA_DIR" in said
        finally:
            first.kill()
    with begin() as third:
        assert "networks" in first_line(third)
        third.kill()


TILES = "return [...document.querySelectorAll('[data-stream]')].map(e => e.dataset.stream)"
LAST_BUTTON = "return [...document.querySelectorAll('main button')].at(-1)"


def test_streams_come_and_go_and_nothing_else_can_be_set(tmp_path: Path, browser: Any) -> None:
    """In the browser: one stream is added and ended; what would run programs or touch files is refused."""
    with running(tmp_path, table("door", url="played://well/")) as one, MjpegServer(fps=10) as camera:
        page = page_of_box(
            WebOptions(listen="0"), one.box, memory_of(one.loaded), one.box.folders, SystemClock()
        )
        try:
            client = Client(page.port).browser()
            for values in (
                {"name": "x", "url": "rtsp://x/", "exec.command": "touch owned"},
                {"name": "x", "url": "rtsp://x/", "exec": {"command": "touch owned"}},
                {"name": "x", "url": "rtsp://x/", "clips": {"dir": "/tmp/x"}},
                {"name": "x", "file": "/etc/passwd"},
                {"name": "x", "url": "file:///etc/passwd"},
                {"name": "x", "url": "concat:/etc/passwd"},
                {"name": "x", "camera": "/dev/video0"},
            ):
                assert client("POST", "/api/streams", values).status == 403, values
            assert client("PATCH", "/api/streams/door", {"log": {"jsonl": "x"}}).status == 403
            assert client("PATCH", "/api/streams/door", {"enter": 9}).status == 422
            assert client("PATCH", "/api/streams/door", {"enter": 0.9}).json() == {
                "said": "door changed (thresholds)"
            }
            eventually(lambda: bool(one.of("door", "hop")), "answers", 60)
            wrong = client("PATCH", "/api/streams/door", {"ignore": ["Brak"]})
            assert (wrong.status, "Brak" in wrong.json()["detail"]) == (422, True)
            found = {one["key"]: one for one in client.get("/api/streams/door/settings").json()}
            assert found["enter"] == {
                "key": "enter", "kind": "number", "value": 0.9, "common": None, "minimum": 0, "maximum": 1,
                "help": "confidence at which an event begins; overrides calibration", "choices": [],
            }  # fmt: skip
            assert (found["url"]["kind"], found["url"]["value"]) == ("address", "played://well/")
            for key, one_setting in found.items():
                if key == "url":
                    continue  # this scheme is one of the tests' own, and may not be said from a browser
                same = one_setting["common"] if one_setting["value"] is None else one_setting["value"]
                assert client("PATCH", "/api/streams/door", {key: same}).status == 200, key

            def shown() -> set[str]:
                names = "return [...document.querySelectorAll('[data-stream]')].map(e => e.dataset.stream)"
                return set(browser.execute_script(names))

            def said(selector: str) -> str:
                found = browser.find_elements("css selector", selector)
                return str(found[0].text) if found else ""

            browser.get(f"{page.url}#/live")
            eventually(lambda: shown() == {"door"}, "the one")
            browser.find_element("css selector", "details summary").click()
            assert objections(browser) == []
            browser.find_element("css selector", "input[name=name]").send_keys("yard")
            browser.find_element("css selector", "input[name=url]").send_keys(f"{camera.url}\n")
            eventually(lambda: shown() == {"door", "yard"}, "both", 30)
            eventually(lambda: bool(one.of("yard", "hop")), "answers of the new one", 60)
            browser.get(f"{page.url}#/stream/yard")
            eventually(lambda: said(".state") == "running", "it runs")
            browser.find_element("css selector", "details summary").click()
            eventually(lambda: bool(said("fieldset legend")), "the form")
            enter = browser.find_element("css selector", "input[name=enter]")
            assert enter.get_attribute("placeholder") == "automatic"
            assert objections(browser) == []
            enter.send_keys("0.7")
            browser.find_element("css selector", "input[value='Bark']").click()
            browser.find_element("css selector", "form.settings button").click()
            eventually(lambda: said("details [role=status]") == "yard changed (thresholds)", "saved")
            now = {stream.name: stream.config for stream in streams_of(one.loaded)}["yard"]
            assert (now.enter, now.leave, now.classes, now.ignore) == (0.7, None, (), ("Bark",))
            enter = browser.find_element("css selector", "input[name=enter]")
            assert enter.get_attribute("value") == "0.7"
            leave = browser.find_element("css selector", "input[name=leave]")
            leave.send_keys("0.8\n")
            eventually(lambda: "leave 0.8 is above enter 0.7" in said("details [role=status]"), "refused")
            # Its address, which holds a password: shown without it, and refused as it is shown.
            secret = camera.url.replace("http://", "http://avel:fish-and-chips@")
            assert client("PATCH", "/api/streams/yard", {"url": secret}).status == 200
            browser.refresh()
            eventually(lambda: bool(said("details summary")), "the page again")
            browser.find_element("css selector", "details summary").click()
            eventually(lambda: bool(said("fieldset legend")), "the form again")
            shown_url = secret.replace("avel:fish-and-chips", "***")
            assert browser.find_element("css selector", "input[name=url]").get_attribute("value") == shown_url
            assert "fish-and-chips" not in browser.page_source
            assert "not shown" in said("#help-url")
            assert objections(browser) == []

            def address(text: str) -> None:
                field = browser.find_element("css selector", "input[name=url]")
                field.clear()
                field.send_keys(f"{text}\n")

            address(shown_url.replace("cam", "other"))
            eventually(lambda: "type the whole address" in said("details [role=status]"), "refused")
            address("/etc/passwd")
            eventually(lambda: "expected an address" in said("details [role=status]"), "refused, too")
            kept = {stream.name: stream.config for stream in streams_of(one.loaded)}["yard"]
            assert (kept.url, kept.enter) == (secret, 0.7)
            runs = len(one.of("yard", "start"))
            address(camera.url)
            eventually(lambda: said("details [role=status]") == "yard changed (begun anew)", "another camera")
            eventually(lambda: len(one.of("yard", "start")) > runs, "begun anew", 60)
            kept = {stream.name: stream.config for stream in streams_of(one.loaded)}["yard"]
            assert (kept.url, kept.enter) == (camera.url, 0.7)
            eventually(lambda: browser.execute_script(LAST_BUTTON) is not None, "the button")
            for _ in range(2):  # it asks
                browser.execute_script(LAST_BUTTON).click()
            eventually(lambda: shown() == {"door"}, "it is gone", 30)
            assert not (tmp_path / "owned").exists()
        finally:
            page.close()
        assert Memory(tmp_path / "memory.sqlite").streams() == ["door", "yard"]


def test_what_a_source_is_asked_for_is_on_its_form_and_checked_before_it_is_kept(
    tmp_path: Path, browser: Any
) -> None:
    """Size and rate of a device's pictures, the transport of RTSP; no source is there, and the form is."""
    elsewhere = "http://127.0.0.1:9/pictures"
    text = f'mic = "none"\ncamera = "{elsewhere}"\n' + table("porch", camera="97") + table("gate")
    with running(tmp_path, text + table("door", url="rtsp://127.0.0.1:9/door")) as one:
        page = page_of_box(
            WebOptions(listen="0"), one.box, memory_of(one.loaded), one.box.folders, SystemClock()
        )
        try:
            client = Client(page.port).browser()

            def settings(name: str) -> dict[str, Any]:
                found = client.get(f"/api/streams/{name}/settings").json()
                return {one["key"]: one for one in found if one["key"] in ("size", "fps", "rtsp_transport")}

            def kept(name: str) -> Any:
                return {stream.name: stream.config for stream in streams_of(one.loaded)}[name]

            assert [settings(name).keys() for name in ("porch", "gate", "door")] == [
                {"size", "fps"}, set(), {"rtsp_transport"},
            ]  # fmt: skip
            assert settings("door")["rtsp_transport"] == {
                "key": "rtsp_transport", "kind": "choice", "value": None, "common": "auto", "minimum": None,
                "maximum": None, "choices": ["auto", "tcp", "udp"],
                "help": "how RTSP carries its packets; auto tries tcp, and udp where a server has nothing "
                "else",
            }  # fmt: skip
            for name, values in (
                ("door", {"rtsp_transport": "pigeon"}),
                ("porch", {"fps": 0}),
                ("porch", {"size": "640"}),
            ):
                assert client("PATCH", f"/api/streams/{name}", values).status == 422, values
            assert (kept("door").rtsp_transport, kept("porch").fps, kept("porch").size) == (
                "auto",
                None,
                None,
            )
            assert client("PATCH", "/api/streams/gate", {"camera": elsewhere + "?2"}).status == 200
            assert client("PATCH", "/api/streams/gate", {"camera": None}).status == 200, "as for all again"
            assert kept("gate").camera == elsewhere

            def said() -> str:
                found = browser.find_elements("css selector", "details [role=status]")
                return str(found[0].text) if found else ""

            def form(name: str) -> None:
                browser.get(f"{page.url}#/stream/{name}")
                eventually(lambda: name in browser.find_element("css selector", "main").text, "its page", 20)
                browser.find_element("css selector", "details summary").click()
                eventually(lambda: browser.find_elements("css selector", "form.settings button"), "the form")
                assert objections(browser) == []

            form("porch")
            size = browser.find_element("css selector", "input[name=size]")
            assert size.get_attribute("placeholder") == "automatic"
            assert "1280x720" in browser.find_element("css selector", "#help-size").text
            size.send_keys("wide\n")
            eventually(lambda: "WIDTHxHEIGHT" in said(), "refused")
            size.clear()
            size.send_keys("640x480")
            browser.find_element("css selector", "input[name=fps]").send_keys("15\n")
            eventually(lambda: said() == "porch changed (begun anew)", "kept", 20)
            assert (kept("porch").size, kept("porch").fps) == ("640x480", 15)
            form("door")
            choice = browser.find_element("css selector", "select[name=rtsp_transport]")
            assert choice.find_elements("css selector", "option")[0].text == "auto, as for all"
            choice.find_element("css selector", "option[value=tcp]").click()
            browser.find_element("css selector", "form.settings button").click()
            eventually(lambda: said() == "door changed (begun anew)", "kept", 20)
            assert kept("door").rtsp_transport == "tcp"
            assert client("PATCH", "/api/streams/door", {"rtsp_transport": None}).status == 200
            assert kept("door").rtsp_transport == "auto"
        finally:
            page.close()
