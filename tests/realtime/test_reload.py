"""A reload is all or nothing, whatever fails in it, and what is going on goes over to the new outputs."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from avel_live.model.labels import LABELS, label_index
from avel_live.realtime.config.load import Loaded, load_config
from avel_live.realtime.config.schema import Config
from avel_live.realtime.core.clock import SystemClock
from avel_live.realtime.core.errors import OutputError
from avel_live.realtime.core.messages import Event, Hop, Scores, Status, StreamEnd, StreamStart
from avel_live.realtime.events import Decoder, DecoderConfig
from avel_live.realtime.session import reload as reloading
from avel_live.realtime.session.open import decoder_config
from avel_live.realtime.session.outputs import make_outputs
from avel_live.realtime.session.reload import Reloader
from avel_live.realtime.sinks.base import Ongoing, Predecessor, Sink
from avel_live.realtime.sinks.switchboard import Switchboard
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.about import Said
from support.peers import Mosquitto, Subscriber, eventually
from support.server_process import free_port
from support.stream import make_scores, make_start, make_stream

BARK = label_index("Bark")


def one_event(kind: str, id_: int, start_s: float = 1.0, end_s: float | None = None) -> Event:
    return Event(kind, id_, BARK, start_s, end_s, 0.9, "Bark")  # type: ignore[arg-type]


class Running:
    """A stream's outputs and decoder, with a configuration in a file, as `avel-live` has them."""

    def __init__(self, file: Path, text: str) -> None:
        self.file, self.said = file, Said()
        file.write_text(text)
        loaded = load_config({}, path=file, environ={})
        outputs = make_outputs(loaded.config, self.said, SystemClock())
        self.board = Switchboard(outputs, self.said)
        self.decoder = Decoder(self.decoding(loaded.config))
        self.reload = Reloader(
            loaded, outputs, self.board, self.decoder, self.decoding, self.said, SystemClock()
        )
        self.board.start(make_start())
        self._hop = make_stream(12)[1][-1]

    @staticmethod
    def decoding(config: Config) -> DecoderConfig:
        return decoder_config(config, LABELS)

    def now(self, text: str) -> str:
        self.file.write_text(text)
        return self.reload()

    def tell(self, *events: Event) -> None:
        self.board.hop(replace(self._hop, events=events, settled=()))

    def over(self) -> None:
        self.board.end(replace(make_stream(1)[2], last_events=(), last_settled=()))
        self.board.close()


# What is in force is what is remembered -----------------------------------------------------------------


def test_what_only_a_restart_changes_is_said_until_it_happened(tmp_path: Path) -> None:
    stream = Running(tmp_path / "avel.toml", "enter = 0.5\n")
    said = "reloaded: thresholds; only a restart changes profile"
    assert stream.now("enter = 0.6\nprofile = 'paper'\n") == said
    assert stream.reload.in_force.profile == "lite"
    assert stream.reload.in_force.enter == 0.6
    # Not "nothing that can change now": it is as far from what runs as before.
    assert stream.reload() == "reloaded: nothing that can change now; only a restart changes profile"
    assert stream.now("enter = 0.6\n") == "reloaded: nothing that can change now"
    stream.over()


def test_new_outputs_belong_to_the_stream_that_runs(tmp_path: Path) -> None:
    """A file in the configuration makes no recording of a camera: nothing may wait for its outputs."""
    stream = Running(tmp_path / "avel.toml", "camera = '0'\n")
    url = f"http://127.0.0.1:{free_port()}/"
    text = f"file = 'a.mp4'\n[webhook]\nurl = '{url}'\nbuffer = 1\n"
    assert stream.now(text) == "reloaded: webhook; only a restart changes file"
    done = threading.Event()

    def many() -> None:
        for k in range(50):
            stream.tell(one_event("start", k), one_event("end", k, end_s=2.0))
        done.set()

    threading.Thread(target=many, daemon=True).start()
    assert done.wait(20)
    stream.now("")
    stream.over()


def test_a_clip_folder_that_came_too_late_is_not_in_force(tmp_path: Path) -> None:
    stream = Running(tmp_path / "avel.toml", "")
    assert "restart changes clips.dir" in stream.now(f"[clips]\ndir = '{tmp_path}/clips'\n")
    assert stream.reload.in_force.clips.dir is None
    assert "restart changes clips.dir" in stream.reload()
    stream.over()


# All or nothing --------------------------------------------------------------------------------------------


class Fake(Sink):
    """An output that fails where it is told to; the reloader meets real ones below."""

    def __init__(self, group: str, value: object, trouble: Trouble) -> None:
        self.group, self.value, self.trouble = group, value, trouble
        self.started = self.closed = False
        self.heard: list[int] = []
        self.open: set[int] = set()

    def start(self, start: StreamStart) -> None:
        self.trouble.maybe("start", self.group)
        self.started = True

    def resume(self, ongoing: Ongoing) -> None:
        self.trouble.maybe("resume", self.group)
        self.open = {event.id for event in ongoing.events}

    def status(self, status: Status) -> None:
        self.trouble.maybe("status", self.group)

    def hop(self, record: Hop) -> None:
        assert self.started
        self.heard.append(record.hop)
        for event in record.events:
            (self.open.add if event.kind == "start" else self.open.discard)(event.id)

    def end(self, end: StreamEnd) -> None:
        assert self.started

    def close(self) -> None:
        self.closed = True
        self.trouble.maybe("close", self.group)


class Trouble:
    """At which step of which group something is raised, and what."""

    def __init__(self) -> None:
        self.at: tuple[str, str] | None = None
        self.error: type[BaseException] = OutputError

    def maybe(self, step: str, group: str) -> None:
        if self.at == (step, group):
            raise self.error(f"{step} {group}")


GROUPS = ("metrics", "mqtt", "webhook", "exec", "notify")
KEYS = {
    "metrics": "port",
    "mqtt": "url",
    "webhook": "url",
    "exec": "command",
    "notify": "enabled",
}
STEPS = ("read", "build", "decide", "start", "resume", "status", "close")


class Reloads(RuleBasedStateMachine):
    """Reloads with a failure at any step, among hops; a model knows what has to be in force."""

    def __init__(self) -> None:
        super().__init__()
        self.trouble = Trouble()
        self.said = Said()
        self.values: dict[str, object] = {}
        self.enter: float | None = None
        self.wanted: dict[str, object] = {}
        self.wanted_enter: float | None = None
        self.config = load_config({}, environ={}).config
        self.made: list[Fake] = []
        self.open: set[int] = set()
        self.hops = self.ids = 0
        self.told: dict[int, list[int]] = {}
        self._patched = pytest.MonkeyPatch()
        self._patched.setattr(reloading, "make_outputs", self.make)
        self.board = Switchboard({}, self.said)
        self.decoder = Decoder(DecoderConfig())
        loaded = Loaded(self.config, {}, self.read)
        self.reloader = Reloader(loaded, {}, self.board, self.decoder, self.decide, self.said, SystemClock())
        self.board.start(make_start())
        self.template = make_stream(12)[1][-1]

    def teardown(self) -> None:
        self.trouble.at = None
        self.board.close()
        self._patched.undo()

    # What the reloader calls.

    def read(self) -> Loaded:
        self.trouble.maybe("read", "")
        values = {f"{group}.{KEYS[group]}": value for group, value in self.wanted.items()}
        enter = {} if self.wanted_enter is None else {"enter": self.wanted_enter}
        return Loaded(load_config({**values, **enter}, environ={}).config, {}, self.read)

    def decide(self, config: Config) -> DecoderConfig:
        self.trouble.maybe("decide", "")
        return decoder_config(config, LABELS)

    def make(
        self,
        config: Config,
        *_: object,
        stop: object = None,
        replacing: dict[str, Predecessor] | None = None,
        several: bool = False,
    ) -> dict[str, Sink]:
        groups = _[2]
        assert isinstance(groups, tuple)
        made: dict[str, Sink] = {}
        for group in groups:
            self.trouble.maybe("build", group)
            value = getattr(getattr(config, group), KEYS[group])
            if value not in (None, False):
                made[group] = Fake(group, value, self.trouble)
        self.made += made.values()  # type: ignore[arg-type]
        return made

    # What happens.

    @rule(
        group=st.sampled_from(GROUPS),
        number=st.integers(1, 3),
        off=st.booleans(),
    )
    def edit(self, group: str, number: int, off: bool) -> None:
        if off:
            self.wanted.pop(group, None)
        else:
            self.wanted[group] = {
                "metrics": number,
                "notify": True,
            }.get(group, f"x://{number}")

    @rule(enter=st.sampled_from([None, 0.5, 0.6]))
    def edit_threshold(self, enter: float | None) -> None:
        self.wanted_enter = enter

    @rule(begin=st.booleans())
    def hop(self, begin: bool) -> None:
        if begin:
            self.open.add(self.ids)
            event = one_event("start", self.ids)
            self.ids += 1
        elif self.open:
            event = one_event("end", self.open.pop(), end_s=2.0)
        else:
            return
        self.board.hop(replace(self.template, hop=self.hops, events=(event,), settled=()))
        self.told[self.hops] = [id(sink) for sink in self.board.outputs]
        self.hops += 1

    @rule()
    def lose_a_device(self) -> None:
        self.board.status(Status("camera", "lost", "unplugged", 0))

    @rule()
    def reload(self) -> None:
        self.trouble.at = None
        self.reloader()
        self.values, self.enter = dict(self.wanted), self.wanted_enter

    @rule(
        step=st.sampled_from(STEPS),
        group=st.sampled_from(GROUPS),
        error=st.sampled_from([OutputError, ValueError, MemoryError]),
    )
    @precondition(lambda self: self.wanted != self.values or self.wanted_enter != self.enter)
    def reload_with_a_fault(self, step: str, group: str, error: type[BaseException]) -> None:
        self.trouble.at = (step, "" if step in ("read", "decide") else group)
        self.trouble.error = error
        before = self.board.outputs
        try:
            self.reloader()
        except (OutputError, ValueError, MemoryError):
            assert step != "close"
            assert self.board.outputs == before
        else:
            self.values, self.enter = dict(self.wanted), self.wanted_enter
        finally:
            self.trouble.at = None

    # What has to hold.

    @invariant()
    def what_is_plugged_in_is_what_is_in_force(self) -> None:
        plugged = {sink.group: sink.value for sink in self.board.outputs}  # type: ignore[attr-defined]
        assert plugged == self.values
        assert {group: sink.value for group, sink in self.reloader.outputs.items()} == self.values  # type: ignore[attr-defined]
        in_force = self.reloader.in_force
        for group in GROUPS:
            value = getattr(getattr(in_force, group), KEYS[group])
            assert (None if value is False else value) == self.values.get(group)
        assert in_force.enter == self.enter
        assert self.decoder.config.enter == (self.enter or DecoderConfig().enter)

    @invariant()
    def nothing_plugged_in_is_closed_and_it_knows_what_is_open(self) -> None:
        for sink in self.board.outputs:
            assert isinstance(sink, Fake)
            assert sink.started
            assert not sink.closed
            assert sink.open == self.open

    @invariant()
    def everything_that_left_is_closed_soon_and_heard_each_hop_once(self) -> None:
        gone = [sink for sink in self.made if sink not in self.board.outputs]
        eventually(lambda: all(sink.closed for sink in gone), "what left is closed", 10)
        for number, ids in self.told.items():
            heard = [id(sink) for sink in self.made for hop in sink.heard if hop == number]
            assert sorted(heard) == sorted(ids)


def test_reloads_with_failures_at_every_step() -> None:
    run_state_machine_as_test(
        Reloads, settings=settings(max_examples=25, stateful_step_count=20, deadline=None)
    )


@pytest.mark.slow
def test_reloads_with_failures_at_every_step_at_length() -> None:
    run_state_machine_as_test(
        Reloads, settings=settings(max_examples=1500, stateful_step_count=60, deadline=None)
    )


def test_a_port_that_is_taken_leaves_all_as_it_was(tmp_path: Path) -> None:
    """The metrics, which can't be there twice, are not closed for a webhook that can't be built."""
    import socket

    port, taken = free_port(), socket.create_server(("127.0.0.1", 0))
    other = taken.getsockname()[1]
    log = tmp_path / "a.jsonl"
    before = f"enter = 0.5\n[metrics]\nport = {port}\n[log]\njsonl = '{log}'\n"
    stream = Running(tmp_path / "avel.toml", before)

    def healthy() -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            return bool(json.load(answer)["healthy"])

    assert healthy()
    for broken in (
        f"enter = 0.7\n[metrics]\nport = {other}\n[log]\njsonl = '{tmp_path}/b.jsonl'\n",
        f"enter = 0.7\n[metrics]\nport = {port}\nstale_s = 99\n[webhook]\nurl = 'ftp://x'\n",
        f"enter = 0.7\n[metrics]\nport = {port}\nhost = '0.0.0.0'\n",
        f"enter = 0.7\n[metrics]\nport = {port}\nstale_s = 99\n[exec]\ncommand = 'no-such-program'\n",
    ):
        with pytest.raises((OutputError, ValueError)):
            stream.now(broken)
        assert healthy()
        assert stream.decoder.config.enter == 0.5
        assert stream.reload.in_force.metrics.port == port
    stream.tell(one_event("start", 0), one_event("end", 0, end_s=3.0))
    assert stream.now(before) == "reloaded: nothing that can change now"
    stream.over()
    taken.close()
    kinds = [json.loads(line)["type"] for line in log.read_text().splitlines()]
    assert kinds.count("event") == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_old_and_new_both_use_is_handed_over(tmp_path: Path, host: str) -> None:
    port = free_port()
    stream = Running(tmp_path / "avel.toml", f"[metrics]\nport = {port}\n")
    stream.tell(one_event("start", 7))
    stream.board.status(Status("camera", "lost", "unplugged", 0))
    text = f"[metrics]\nport = {port}\nhost = '{host}'\ntoken = 'geheim'\n"
    assert stream.now(text) == "reloaded: metrics"
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/metrics", headers={"Authorization": "Bearer geheim"}
    )

    def asked(what: str | urllib.request.Request) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(what, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, b""
        except OSError:
            assert host == "0.0.0.0", "where both listen at one place, nobody is turned away"
            return 0, b""

    def answers() -> bool:
        return b'avel_event_active{label="Bark"} 1.0' in asked(request)[1]

    eventually(answers, "the new one answers and knows of the open event", 20)
    # The one that leaves, which asks for no token, may still be there.
    eventually(lambda: asked(f"http://127.0.0.1:{port}/healthz")[0] == 401, "a token is asked for", 20)
    for _ in range(20):
        assert asked(f"http://127.0.0.1:{port}/healthz")[0] == 401
    stream.over()


def test_a_log_file_that_old_and_new_both_use_keeps_every_line(tmp_path: Path) -> None:
    log = tmp_path / "a.jsonl"
    stream = Running(tmp_path / "avel.toml", f"[log]\njsonl = '{log}'\n")
    for number in range(30):
        stream.tell(one_event("start", number), one_event("end", number, end_s=2.0))
        if number % 5 == 4:
            keep = number + 10
            assert stream.now(f"[log]\njsonl = '{log}'\nkeep_files = {keep}\n") == "reloaded: log"
    stream.over()
    records = [json.loads(line) for line in log.read_text().splitlines()]
    events = [(r["id"], r["event"]) for r in records if r["type"] == "event"]
    assert events == [(k, what) for k in range(30) for what in ("start", "end")]
    assert [r["type"] for r in records if r["type"] in ("start", "end")] == ["start"] * 7 + ["end"]


def test_home_assistant_sees_no_end_of_an_event_that_goes_on(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    broker.start()
    watcher = Subscriber(broker.port, "avel/#")
    try:
        text = f"name = 'door'\n[mqtt]\nurl = 'mqtt://127.0.0.1:{broker.port}'\nclient_id = 'same'\n"
        stream = Running(tmp_path / "avel.toml", text)
        eventually(lambda: watcher.last("door/availability") == b"online", "it is there")
        stream.tell(one_event("start", 3))
        eventually(lambda: watcher.last("door/active") == b"ON", "the event is on")
        seen = len(watcher.messages)
        assert stream.now(text + "buffer = 77\n") == "reloaded: mqtt"
        eventually(
            lambda: (b"ON") in [p for t, p, _ in watcher.messages[seen:] if t.endswith("door/active/bark")],
            "the new one says what is going on",
        )
        said = [(t, p) for t, p, _ in watcher.messages[seen:]]
        assert not [t for t, p in said if p == b"OFF" and t.endswith(("active", "active/bark"))]
        assert not [t for t, p in said if p == b"offline"]
        stream.tell(one_event("end", 3, end_s=4.0))
        eventually(lambda: watcher.last("door/active") == b"OFF", "it ends when it ends")
        stream.over()
        eventually(lambda: watcher.last("door/availability") == b"offline", "and says goodbye")
    finally:
        watcher.close()
        broker.kill()
    assert [s.state for s in stream.said if s.state in ("failing", "failed")] == []


# A class that was just ignored ---------------------------------------------------------------------------


def scores_of(label: int, index: int) -> Scores:
    scores = make_scores(index)
    p = scores.probabilities.copy()
    p[:] = 0.001
    p[:, label] = 0.97
    return replace(scores, probabilities=p)


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("how", ["ignore", "classes"])
@pytest.mark.parametrize("seconds", [2, 4, 9])
def test_a_class_just_ignored_ends_its_event(early: bool, how: str, seconds: int) -> None:
    config = DecoderConfig(early=early, settle=2)
    decoder = Decoder(config)
    story: list[Event] = []
    for index in range(seconds):
        story += decoder.push(scores_of(BARK, index)).events
    unwanted = {"ignore": frozenset({BARK})} if how == "ignore" else {"classes": frozenset({BARK + 1})}
    decoder.reconfigure(replace(config, **unwanted))  # type: ignore[arg-type]
    after: list[Event] = []
    for index in range(seconds, seconds + 8):
        after += decoder.push(scores_of(BARK, index)).events
    after += decoder.finish(seconds + 8.0).events
    begun = [event.id for event in story if event.kind == "start"]
    assert [(event.kind, event.id) for event in after] == [("end", id_) for id_ in begun]
    for event in after:
        assert event.end_s is not None
        assert event.start_s < event.end_s <= seconds
    assert all(event.name == "Bark" for event in after)


def test_another_class_that_was_waiting_takes_over() -> None:
    config = DecoderConfig(settle=2)
    other = BARK + 1
    decoder = Decoder(config)
    for index in range(6):
        decoder.push(scores_of(BARK, index))
    decoder.reconfigure(replace(config, ignore=frozenset({BARK})))
    events = [e for index in range(6, 16) for e in decoder.push(scores_of(other, index)).events]
    events += decoder.finish(16.0).events
    assert [(e.kind, e.label) for e in events if e.kind != "update"] == [
        ("end", BARK),
        ("start", other),
        ("end", other),
    ]


def test_thresholds_that_do_not_fit_change_nothing() -> None:
    decoder = Decoder(DecoderConfig())
    with pytest.raises(ValueError, match="enter"):
        decoder.reconfigure(DecoderConfig(enter=(0.5, 0.6)))
    assert decoder.config == DecoderConfig()
    assert decoder.push(make_scores(0)).settled == ()
