"""Events as text: a table for people, CSV, JSON lines, WebVTT."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from ...core.text import json_safe, one_line
from ...memory import Remembered
from ...memory.times import iso, local

FORMATS: Final = ("table", "csv", "jsonl", "vtt")


def lines(form: str, events: Sequence[Remembered]) -> Iterator[str]:
    """The events in one of `FORMATS`, line by line, without ends of lines."""
    if form == "table":
        yield from _table(events)
    elif form == "csv":
        yield _row(record(events[0]) if events else dict.fromkeys(_COLUMNS), head=True)
        yield from (_row(record(event)) for event in events)
    elif form == "jsonl":
        yield from (json_safe(json.dumps(record(event), ensure_ascii=False)) for event in events)
    else:
        yield from _webvtt(events)


_COLUMNS: Final = (
    *("id", "stream", "label", "start", "end", "duration_s", "confidence", "corrections", "retracted"),
    *("clip", "thumbnail", "mark", "is_label", "source", "model", "calibration"),
)


def record(event: Remembered) -> dict[str, Any]:
    """An event, with times in ISO 8601 as they were shown where it happened."""
    lasted = None if event.end_us is None else (event.end_us - event.start_us) / 1e6
    values = (
        *(event.id, event.stream, event.label, iso(event.start_us, event.offset_s)),
        None if event.end_us is None else iso(event.end_us, event.offset_s),
        None if lasted is None else round(lasted, 3),
        *(round(event.confidence, 4), event.corrections, event.retracted, event.clip, event.thumbnail),
        *(event.verdict, event.is_label, event.source, event.model, event.calibration or None),
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _row(values: dict[str, Any], *, head: bool = False) -> str:
    out = io.StringIO()
    cells = _COLUMNS if head else [one_line(v) if isinstance(v, str) else v for v in values.values()]
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()


def _table(events: Sequence[Remembered]) -> Iterator[str]:
    rows = [
        (
            f"{local(e.start_us, e.offset_s):%a %Y-%m-%d %H:%M:%S}",
            "open" if e.end_us is None else f"{(e.end_us - e.start_us) / 1e6:.1f} s",
            one_line(e.stream),
            one_line(e.label) + (" (taken back)" if e.retracted else ""),
            f"{e.confidence:.0%}",
            {None: "", "right": "right", "wrong": "wrong", "other": f"is {one_line(e.is_label or '')}"}[
                e.verdict
            ],
            e.clip or "",
        )
        for e in events
    ]
    if rows:
        head = ("when", "lasted", "stream", "class", "sure", "mark", "clip")
        widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]
        for row in (head, *rows):
            yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _webvtt(events: Sequence[Remembered]) -> Iterator[str]:
    """Cues in seconds from the first event on: what a player lays over a recording that begins there."""
    yield "WEBVTT"
    if events:
        yield f"NOTE begins {iso(events[0].start_us, events[0].offset_s)}"
    for event in events:
        end_us = max(event.end_us or 0, event.start_us + 1_000)
        yield ""
        yield str(event.id)
        yield f"{_stamp(event.start_us - events[0].start_us)} --> {_stamp(end_us - events[0].start_us)}"
        text = f"{event.stream}: {event.label} ({event.confidence:.0%})"
        yield one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _stamp(us: int) -> str:
    ms = us // 1000
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"
