"""Two builds side by side: real processes on a real recording, in turn."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from avel_live.realtime.commands import main
from avel_live.realtime.commands.bench.against import Run, _alike, _labels
from support.media import make_clip


def build(folder: Path, command: str) -> Path:
    """A program as another environment would have it."""
    path = folder / "avel-live"
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)
    return path


def test_two_builds_are_played_in_turn_and_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = tmp_path / "calls"
    live = "from avel_live.realtime.commands import live_main; live_main()"
    other = build(tmp_path, f'echo "$@" >> {calls}\nexec {sys.executable} -c "{live}" "$@"')
    clip = make_clip(tmp_path / "clip.mp4", seconds=2.0)
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "bench",
                str(clip),
                "--against",
                str(other),
                "--rounds",
                "1",
                "--json",
                str(tmp_path / "out.json"),
            ]
        )
    assert ended.value.code == 0
    (one,) = json.loads((tmp_path / "out.json").read_text())["against"]
    assert one["alike"] == 1.0
    assert calls.read_text().splitlines() == [f"--file {clip} --fast --json"] * 2
    assert 0.3 < one["now"]["cpu_s"] / one["against"]["cpu_s"] < 3
    assert one["now"]["peak_mb"] > 50
    shown = capsys.readouterr().out
    assert "100.0% of seconds named alike" in shown
    assert "processor s" in shown


@pytest.mark.parametrize(
    ("command", "expected"),
    [("echo no such weights >&2; exit 4", "exit code 4"), (None, "not a program")],
)
def test_a_build_that_does_not_run_is_said(
    command: str | None, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = build(tmp_path, command) if command else tmp_path / "report.json"
    clip = make_clip(tmp_path / "clip.mp4", seconds=1.0)
    with pytest.raises(SystemExit) as ended:
        main(["bench", str(clip), "--against", str(other)])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert expected in said
    assert command is None or "no such weights" in said


def test_labels_are_those_of_settled_seconds_in_order() -> None:
    lines = [
        json.dumps(record)
        for record in (
            {"type": "hop", "label": "Bark"},
            {"type": "segment", "index": 1, "label": "Clock"},
            {"type": "segment", "index": 0, "label": "background"},
        )
    ]
    assert _labels(lines) == ("background", "Clock")


def test_other_numbers_of_seconds_are_no_share() -> None:
    def runs(*labels: str) -> list[Run]:
        return [Run(1, 1, 1, labels)]

    assert _alike({"now": runs("Bark", "Cat"), "against": runs("Bark", "Clock")}) == 0.5
    assert _alike({"now": runs("Bark"), "against": runs("Bark", "Clock")}) is None
