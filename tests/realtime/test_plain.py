"""Plain lines: one per change, nothing else."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from avel_live.realtime.core.errors import OutputError
from avel_live.realtime.core.messages import Event, Status
from avel_live.realtime.ui.plain import PlainLines
from support.stream import make_stream

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "screen" / "plain.txt"


def test_golden_lines() -> None:
    out = io.StringIO()
    lines = PlainLines(out)
    start, records, end = make_stream(20)
    lines.status(Status("camera", "running", "", 0))
    lines.start(start)
    for record in records:
        lines.hop(record)
        lines.status(Status("camera", "running", "", 0))  # no change, no line
    lines.status(Status("camera", "stalled", "no picture\nfor 2 s", 0))
    lines.end(end)
    lines.close()
    lines.close()
    assert out.getvalue() == GOLDEN.read_text(encoding="utf-8")
    assert "\x1b" not in out.getvalue()


def test_corrections_are_lines_and_wavering_confidence_is_not() -> None:
    out = io.StringIO()
    lines = PlainLines(out)
    _, records, _ = make_stream(1)

    def tell(*events: Event) -> list[str]:
        out.seek(0)
        out.truncate()
        lines.hop(replace(records[0], events=events))
        return out.getvalue().splitlines()

    assert tell(Event("start", 0, 2, 5.0, None, 0.6)) == ["0:05 2 begins (0.60)"]
    assert tell(Event("update", 0, 2, 5.0, None, 0.8)) == []
    assert tell(Event("update", 0, 2, 4.0, None, 0.8)) == ["0:04 2 began then (0.80)"]
    assert tell(Event("retract", 0, 2, 4.0, 6.0, 0.8)) == ["0:04 2 retracted"]


def test_a_closed_pipe_is_an_output_error() -> None:
    out = io.StringIO()
    lines = PlainLines(out)
    out.close()
    with pytest.raises(OutputError, match="standard output"):
        lines.status(Status("camera", "lost", "unplugged", 0))
    lines.close()
