"""Tracks for other programs: CSV, Audacity labels, ELAN."""

from __future__ import annotations

import csv
import io
import mimetypes
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any
from xml.etree import ElementTree as ET

from .findings import Findings, Found

EAF_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"


def seconds_csv(findings: Findings) -> str:
    """One row per settled second."""
    rows: list[Sequence[Any]] = [("index", "start_s", "end_s", "label", "confidence", "looks")]
    rows += [tuple(second[name] for name in rows[0]) for second in findings.seconds]
    return csv_text(rows)


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
    slots: dict[int, str] = {}

    def slot(seconds: float) -> str:
        return slots.setdefault(round(seconds * 1000), f"ts{len(slots) + 1}")

    tiers: dict[str, list[tuple[str, str, str]]] = {}
    for event in findings.events:
        value = f"{event.label} {event.confidence:.2f}"
        tiers.setdefault(event.label, []).append((slot(event.start_s), slot(event.end_s), value))
    for second in findings.seconds:
        value = f"{second['label']} {second['confidence']:.2f}"
        tiers.setdefault("seconds", []).append((slot(second["start_s"]), slot(second["end_s"]), value))

    document = ET.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": author,
            "DATE": datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": EAF_SCHEMA,
        },
    )
    header = ET.SubElement(document, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    mime = mimetypes.guess_type(media_url)[0] or "application/octet-stream"
    ET.SubElement(
        header,
        "MEDIA_DESCRIPTOR",
        {"MEDIA_URL": media_url, "MIME_TYPE": mime, "RELATIVE_MEDIA_URL": media_url},
    )
    count = sum(map(len, tiers.values()))
    ET.SubElement(header, "PROPERTY", {"NAME": "lastUsedAnnotationId"}).text = str(count)
    order = ET.SubElement(document, "TIME_ORDER")
    for ms, name in sorted(slots.items()):
        ET.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": name, "TIME_VALUE": str(ms)})
    number = 0
    for tier, entries in tiers.items():
        element = ET.SubElement(document, "TIER", {"LINGUISTIC_TYPE_REF": "default-lt", "TIER_ID": tier})
        for first, last, value in entries:
            number += 1
            annotation = ET.SubElement(ET.SubElement(element, "ANNOTATION"), "ALIGNABLE_ANNOTATION")
            annotation.attrib.update(
                {"ANNOTATION_ID": f"a{number}", "TIME_SLOT_REF1": first, "TIME_SLOT_REF2": last}
            )
            ET.SubElement(annotation, "ANNOTATION_VALUE").text = value
    ET.SubElement(
        document,
        "LINGUISTIC_TYPE",
        {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": "default-lt", "TIME_ALIGNABLE": "true"},
    )
    ET.indent(document)
    return bytes(ET.tostring(document, encoding="utf-8", xml_declaration=True))


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Comma-separated, with quotes where they are needed."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
