"""Programs run for events, and notifications: real processes, nothing through a shell."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest
from avel_live.realtime.core.clock import ManualClock
from avel_live.realtime.core.errors import OutputError, UsageError
from avel_live.realtime.sinks.desktop import DesktopSink, NotifyOptions
from avel_live.realtime.sinks.exec import ExecOptions, ExecSink
from support.about import Said, about
from support.event_flood import flood
from support.peers import eventually
from support.stream import make_start


def sink_for(
    command: str, said: Said, *, name: str = "avel", flush_s: float = 60.0, **options: object
) -> ExecSink:
    sink = ExecSink(ExecOptions(command, **options), about(said, name=name, flush_s=flush_s))  # type: ignore[arg-type]
    sink.start(make_start())
    return sink


def send(sink: ExecSink | DesktopSink, events: int) -> None:
    for record in flood(events):
        sink.hop(record)


def test_the_event_is_json_on_standard_input(tmp_path: Path) -> None:
    said = Said()
    target = tmp_path / "got; rm -rf $HOME `x`.jsonl"  # a shell would have its own ideas
    sink = sink_for(f"tee -a '{target}'", said, name="door")
    send(sink, 20)
    sink.close()
    sink.close()
    assert said == []
    assert sink.counts.done == 20
    records = [json.loads(line) for line in target.read_text().splitlines()]
    assert {(r["id"], r["event"]) for r in records} == {
        (n // 2, "end" if n % 2 else "start") for n in range(20)
    }
    assert records[0]["type"] == "event"
    assert records[0]["stream"] == "door"


def test_a_failure_is_told_once_with_its_reason(tmp_path: Path) -> None:
    said = Said()
    marker = tmp_path / "works"
    script = tmp_path / "hook"
    script.write_text(f"#!/bin/sh\n[ -e '{marker}' ] || {{ echo 'no such room' >&2; exit 3; }}\n")
    script.chmod(0o700)
    sink = sink_for(str(script), said, at_once=1)
    send(sink, 4)
    eventually(lambda: sink.counts.failed == 4, "four failures")
    marker.touch()
    send(sink, 2)
    sink.close()
    assert [s.state for s in said] == ["failing", "running"]
    assert "exit code 3: no such room" in said[0].reason
    assert sink.counts.done == 2


def test_a_program_that_does_not_end_is_ended_with_its_children(tmp_path: Path) -> None:
    said = Said()
    pid_file = tmp_path / "pid"
    script = tmp_path / "hook"
    script.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > '{pid_file}'\nwait\n")
    script.chmod(0o700)
    sink = sink_for(str(script), said, timeout_s=2.0)
    send(sink, 1)
    sink.close()
    assert "2 s were over" in said[0].reason
    child = int(pid_file.read_text())

    def gone() -> bool:
        try:
            return Path(f"/proc/{child}/stat").read_text().split(")")[1].split()[0] == "Z"
        except FileNotFoundError:
            return True

    eventually(gone, "the child is gone too")


def test_not_more_than_so_many_at_once_and_a_bounded_queue(tmp_path: Path) -> None:
    said = Said()
    script = tmp_path / "hook"
    lines = ["#!/bin/sh", f"cd {tmp_path}", "touch running.$$", "sleep 0.5"]
    lines += ["ls | grep -c running >> most", "rm running.$$", ""]
    script.write_text("\n".join(lines))
    script.chmod(0o700)
    sink = sink_for(str(script), said, at_once=3, buffer=6)
    began = time.monotonic()
    send(sink, 40)
    assert time.monotonic() - began < 5.0
    sink.close()
    most = [int(n) for n in (tmp_path / "most").read_text().split()]
    assert max(most) <= 3
    counts = sink.counts
    assert counts.done == len(most)
    assert counts.done + counts.dropped == 40
    assert counts.dropped > 20
    assert said[0].state == "dropping"


def test_a_program_that_does_not_read_or_floods_its_output(tmp_path: Path) -> None:
    said = Said()
    flood_ = (
        f"{sys.executable} -c \"import sys; sys.stdout.write('x' * 10**7); sys.stderr.write('y' * 10**7)\""
    )
    sink = sink_for(flood_, said)
    send(sink, 2)
    sink.close()
    quiet = sink_for("true", said)
    send(quiet, 10)
    quiet.close()
    assert said == []
    assert (sink.counts.done, quiet.counts.done) == (2, 10)


def test_commands_are_checked_before_the_stream_starts() -> None:
    with pytest.raises(OutputError, match="no such program"):
        ExecSink(ExecOptions("no-such-program-here --x"), about())
    for wrong in ("", "echo 'half"):
        with pytest.raises(UsageError, match="--exec") as caught:
            ExecSink(ExecOptions(wrong), about())
        assert "half" not in str(caught.value)


def test_nothing_in_an_event_or_a_command_reaches_a_shell(tmp_path: Path) -> None:
    said = Said()
    evil, target = f"$(touch {tmp_path}/made); touch {tmp_path}/made", tmp_path / "got"
    script = tmp_path / "hook"
    script.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$1\" >> '{target}'\ncat >> '{target}'\n")
    script.chmod(0o700)
    sink = sink_for(f"{script} '{evil}'", said, name=evil, at_once=1)
    send(sink, 1)
    sink.close()
    argument, event = target.read_text().splitlines()
    assert argument == evil
    assert json.loads(event)["stream"] == evil
    assert not (tmp_path / "made").exists()
    assert said == []


@pytest.fixture
def desktop(tmp_path: Path) -> dict[str, str]:
    """An environment whose notify-send writes down what it was asked to show."""
    program = tmp_path / "bin" / "notify-send"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nfor a; do echo \"$a\"; done >> '{tmp_path}/shown'\n")
    program.chmod(0o700)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}", "DISPLAY": ":0"}


def test_a_notification_when_an_event_begins_but_not_too_often(
    tmp_path: Path, desktop: dict[str, str]
) -> None:
    said = Said()
    clock = ManualClock()
    sink = DesktopSink(NotifyOptions(), about(said, clock, name="--door"), desktop)
    sink.start(make_start())
    send(sink, 4)  # two events of two classes
    send(sink, 4)  # again, at the same moment
    eventually(lambda: sink.counts.done == 2, "two notifications")
    clock.advance(11)
    send(sink, 2)
    eventually(lambda: sink.counts.done == 3, "a third, later")
    sink.close()
    shown = (tmp_path / "shown").read_text().splitlines()
    assert shown[:4] == ["--app-name=avel-live", "--", "Church bell — --door", "50% sure, at 0:00:00"]
    assert said == []


def test_no_desktop_is_said_once(tmp_path: Path, desktop: dict[str, str]) -> None:
    for environ, why in (({"PATH": str(tmp_path)}, "notify-send"), ({**desktop, "DISPLAY": ""}, "session")):
        said = Said()
        sink = DesktopSink(NotifyOptions(), about(said, ManualClock()), environ)
        sink.start(make_start())
        send(sink, 4)
        sink.close()
        assert len(said) == 1
        assert why in said[0].reason
