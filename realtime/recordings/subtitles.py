"""Subtitles: what happens, written over the recording by any player. WebVTT and SubRip."""

from __future__ import annotations

from collections.abc import Iterable

from .findings import Found


def webvtt(events: Iterable[Found]) -> str:
    """WebVTT (https://www.w3.org/TR/webvtt1/)."""
    cues = ["WEBVTT"]
    for event in events:
        text = _text(event).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        cues.append(f"{event.id}\n{_stamp(event.start_s, '.')} --> {_stamp(event.end_s, '.')}\n{text}")
    return "\n\n".join(cues) + "\n"


def subrip(events: Iterable[Found]) -> str:
    """SubRip; cues are numbered from 1."""
    cues = [
        f"{number}\n{_stamp(event.start_s, ',')} --> {_stamp(event.end_s, ',')}\n{_text(event)}"
        for number, event in enumerate(events, 1)
    ]
    return "\n\n".join(cues) + ("\n" if cues else "")


def _text(event: Found) -> str:
    return f"{event.label} ({event.confidence:.0%})"


def _stamp(seconds: float, point: str) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{point}{ms % 1000:03}"
