"""Tracks for other programs: CSV, Audacity labels, ELAN."""

from __future__ import annotations

import csv
import io
import itertools
import mimetypes
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray

from .findings import Findings, Found

EAF_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"


def seconds_csv(findings: Findings) -> str:
    """One row per settled second."""
    return "".join(seconds_lines(findings))


def seconds_lines(findings: Findings) -> Iterator[str]:
    """The same line by line."""
    rows: list[Sequence[Any]] = [("index", "start_s", "end_s", "label", "confidence", "looks")]
    yield csv_text(rows)
    for second in findings.seconds:
        yield csv_text([tuple(second[name] for name in rows[0])])


def events_csv(events: Iterable[Found]) -> str:
    """One row per event."""
    rows: list[Sequence[Any]] = [("id", "label", "start_s", "end_s", "confidence")]
    rows += [(e.id, e.label, e.start_s, e.end_s, e.confidence) for e in events]
    return csv_text(rows)


def audacity(events: Iterable[Found]) -> str:
    """An Audacity label track (File ▸ Import ▸ Labels): start, end, text, separated by tabs."""
    return "".join(f"{e.start_s:.6f}\t{e.end_s:.6f}\t{e.label} {e.confidence:.2f}\n" for e in events)


def elan(findings: Findings, media_url: str, author: str = "avel-live") -> bytes:
    """An ELAN document (EAF 3.0): a tier per class that occurs, and one of the settled label of every second.

    Args:
        findings: what was found.
        media_url: the recording as seen from the document.
        author: who made it.

    """
    return "".join(elan_pieces(findings, media_url, author)).encode()


def elan_pieces(findings: Findings, media_url: str, author: str = "avel-live") -> Iterator[str]:
    """The same in pieces."""
    slots = _time_slots(findings)
    tiers: dict[str, list[Found]] = {}
    for event in findings.events:
        tiers.setdefault(event.label, []).append(event)
    count = len(findings.events) + len(findings.seconds)
    now = datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds")
    mime = mimetypes.guess_type(media_url)[0] or "application/octet-stream"
    yield '<?xml version="1.0" encoding="utf-8"?>\n'
    yield (
        f'<ANNOTATION_DOCUMENT AUTHOR={quoteattr(author)} DATE={quoteattr(now)} FORMAT="3.0" VERSION="3.0" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f"xsi:noNamespaceSchemaLocation={quoteattr(EAF_SCHEMA)}>\n"
        '  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">\n'
        f"    <MEDIA_DESCRIPTOR MEDIA_URL={quoteattr(media_url)} MIME_TYPE={quoteattr(mime)} "
        f"RELATIVE_MEDIA_URL={quoteattr(media_url)} />\n"
        f'    <PROPERTY NAME="lastUsedAnnotationId">{count}</PROPERTY>\n'
        "  </HEADER>\n  <TIME_ORDER>\n"
    )
    for number, ms in enumerate(slots.tolist(), 1):
        yield f'    <TIME_SLOT TIME_SLOT_ID="ts{number}" TIME_VALUE="{ms}" />\n'
    yield "  </TIME_ORDER>\n"

    ids = itertools.count(1)

    def annotation(start_s: float, end_s: float, value: str) -> str:
        first, last = (np.searchsorted(slots, [_ms(start_s), _ms(end_s)]) + 1).tolist()
        return (
            f'    <ANNOTATION>\n      <ALIGNABLE_ANNOTATION ANNOTATION_ID="a{next(ids)}" '
            f'TIME_SLOT_REF1="ts{first}" TIME_SLOT_REF2="ts{last}">\n'
            f"        <ANNOTATION_VALUE>{escape(value)}</ANNOTATION_VALUE>\n"
            "      </ALIGNABLE_ANNOTATION>\n    </ANNOTATION>\n"
        )

    opening = '  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID={}>\n'
    for tier, events in tiers.items():
        yield opening.format(quoteattr(tier))
        for event in events:
            yield annotation(event.start_s, event.end_s, f"{event.label} {event.confidence:.2f}")
        yield "  </TIER>\n"
    if len(findings.seconds):
        yield opening.format('"seconds"')
        for second in findings.seconds:
            value = f"{second['label']} {second['confidence']:.2f}"
            yield annotation(second["start_s"], second["end_s"], value)
        yield "  </TIER>\n"
    yield (
        '  <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" '
        'TIME_ALIGNABLE="true" />\n</ANNOTATION_DOCUMENT>\n'
    )


def _time_slots(findings: Findings) -> NDArray[np.int64]:
    """Every instant of the document in milliseconds, in order, none twice."""
    of_events = (_ms(t) for e in findings.events for t in (e.start_s, e.end_s))
    of_seconds = (_ms(s[name]) for s in findings.seconds for name in ("start_s", "end_s"))
    return np.unique(np.fromiter(itertools.chain(of_events, of_seconds), np.int64))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Comma-separated, with quotes where they are needed."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
