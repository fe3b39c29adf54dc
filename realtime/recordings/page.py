"""The page a person reads: one HTML file without any request to anywhere, and an index over many of them."""

from __future__ import annotations

import base64
import json
import mimetypes
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..core.text import file_name
from .bysecond import BINS, BySecond, Seconds
from .findings import Findings


@dataclass(frozen=True)
class Media:
    """How the page plays the recording: an address it can be found under, or the recording itself."""

    url: str
    name: str
    sound_only: bool

    @classmethod
    def beside(cls, media: Path, page: Path, *, video: bool) -> Media:
        """Refer to the file from where the page is."""
        try:
            relative = Path(os.path.relpath(media.resolve(), page.resolve().parent))
            url = quote(os.fsencode(relative.as_posix()))
        except ValueError:
            url = media.resolve().as_uri()
        return cls(url, file_name(media.name), not video)

    @classmethod
    def inside(cls, media: Path, *, video: bool) -> Media:
        """Put the whole file into the page."""
        mime = mimetypes.guess_type(media.name)[0] or ("video/mp4" if video else "audio/mpeg")
        data = base64.b64encode(media.read_bytes()).decode()
        return cls(f"data:{mime};base64,{data}", file_name(media.name), not video)


def render_page(findings: Findings, media: Media) -> str:
    """One recording."""
    return "".join(page_pieces(findings, media))


def page_pieces(findings: Findings, media: Media) -> Iterator[str]:
    """The same in pieces: of a day it is some 30 MB."""
    return _fill("page.html", media.name, _page_data(findings, media))


def render_index(rows: Sequence[dict[str, Any]]) -> str:
    """Many recordings; rows have `name`, `page`, `seconds`, `events` [{label, start_s, end_s}], `remarks`,
    `error`.
    """
    return "".join(_fill("index.html", f"{len(rows)} recordings", {"rows": list(rows)}))


def _page_data(findings: Findings, media: Media) -> dict[str, Any]:
    end, start = findings.end, findings.start
    return {
        "name": media.name,
        "url": media.url,
        "soundOnly": media.sound_only,
        "duration": round(end.seconds, 3),
        "remarks": list(findings.remarks),
        "labels": list(findings.labels),
        "seconds": (
            {
                "i": second["index"],
                "s": second["start_s"],
                "e": second["end_s"],
                "label": second["label"],
                "p": second["confidence"],
                "top": top,
            }
            for second, top in _with_top(findings)
        ),
        "events": [
            {"id": e.id, "label": e.label, "s": e.start_s, "e": e.end_s, "p": e.confidence}
            for e in findings.events
        ],
        "looks": _every(findings.looks),
        "wave": base64.b64encode(findings.waveform).decode(),
        "bins": BINS,
        "pictures": (
            {
                "i": p.second,
                "p": p.confidence,
                "src": "data:image/jpeg;base64," + base64.b64encode(p.data).decode(),
            }
            for p in findings.pictures
        ),
        "made": f"avel-live {start.version}, {start.profile} on {start.backend} {start.precision}"
        + (f", calibration {start.calibration}" if start.calibration else ", confidences not calibrated"),
    }


def _with_top(findings: Findings) -> Iterator[tuple[dict[str, Any], list[tuple[str, float]]]]:
    if isinstance(findings.seconds, Seconds):
        return findings.seconds.with_top()
    return ((second, findings.top.get(second["index"], [])) for second in findings.seconds)


def _every(looks: Mapping[int, list[tuple[int, float]]]) -> Iterator[list[tuple[int, float]]]:
    if isinstance(looks, BySecond):
        return looks.every()
    return (looks.get(k, []) for k in range(max(looks, default=-1) + 1))


def _fill(template: str, title: str, data: dict[str, Any]) -> Iterator[str]:
    text = files(__package__).joinpath(template).read_text("utf-8").replace("{{title}}", escape(title))
    before, after = text.split("{{data}}")
    yield before
    yield from _packed(data)
    yield after


def _packed(data: dict[str, Any]) -> Iterator[str]:
    """JSON, in pieces. Inside a script element only `</` and `<!--` can end the data early."""
    mark = "{"
    for key, value in data.items():
        yield f"{mark}{_json(key)}:"
        mark = ","
        if isinstance(value, Iterator):
            yield "["
            for number, item in enumerate(value):
                yield ("," if number else "") + _json(item)
            yield "]"
        else:
            yield _json(value)
    yield "}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
