"""ELAN documents (.eaf, formats 2.7 to 3.0): a tier is a layer, an annotation has a value and a time.

The class is the value; where it is empty, the tier. A document of `avel localize` has the confidence behind
the value and a tier of every second, which is left aside. Annotations that refer to others (subdivisions
without times, associations) carry no time of their own and are counted. A media file's TIME_ORIGIN is where
the document's time begins in it.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from ...errors import ModelFileError
from .reading import Reading

_OURS: Final = "avel-live"
_CONFIDENCE: Final = re.compile(r"(.+) (?:0\.\d\d|1\.00)")


def parse(path: Path, text: str) -> ET.Element:
    """The root of an XML file.

    Raises:
        ModelFileError: not XML, or one that declares entities: a label file has none.

    """
    if "<!ENTITY" in text or "<!DOCTYPE" in text:
        raise ModelFileError(f"labels {path}: declares entities, which no label file does; not read")
    try:
        return ET.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))
    except ET.ParseError as error:
        raise ModelFileError(f"labels {path}: no whole XML document ({error})") from error


def read_elan(path: Path, root: ET.Element, base: Path) -> Reading:
    """Every annotation with times.

    Args:
        path: the file.
        root: `ANNOTATION_DOCUMENT`.
        base: recordings are named as seen from here.

    Raises:
        ModelFileError: times that are no milliseconds.

    """
    found = Reading(path, "ELAN document")
    header = root.find("HEADER")
    units = "milliseconds" if header is None else header.get("TIME_UNITS", "milliseconds")
    if units != "milliseconds":
        raise ModelFileError(
            f"labels {path}: times in {units}; ELAN writes milliseconds since 2003, save it again"
        )
    file, also, origin = _media(path, header, base)
    times = {
        slot.get("TIME_SLOT_ID", ""): int(value) / 1000
        for slot in root.iter("TIME_SLOT")
        if (value := slot.get("TIME_VALUE")) is not None
    }
    ours = root.get("AUTHOR") == _OURS
    number = 0
    for tier in root.iter("TIER"):
        name = tier.get("TIER_ID", "")
        if ours and name == "seconds":
            found.say("its tier of every second is left aside; the events are in the others")
            continue
        for annotation in tier.iter("ANNOTATION"):
            number += 1
            timed = annotation.find("ALIGNABLE_ANNOTATION")
            if timed is None:
                found.leave(number, "belongs to another annotation, has no time of its own")
                continue
            first = times.get(timed.get("TIME_SLOT_REF1", ""))
            last = times.get(timed.get("TIME_SLOT_REF2", ""))
            if first is None or last is None:
                found.leave(number, "not aligned in time")
                continue
            value = (timed.findtext("ANNOTATION_VALUE") or "").strip()
            if ours and (match := _CONFIDENCE.fullmatch(value)):
                value = match[1]
            found.add(number, file, first + origin, last + origin, value or name, also=also)
    return found


def _media(path: Path, header: ET.Element | None, base: Path) -> tuple[str, tuple[str, ...], float]:
    """The recording, what else it may be called, and where the document's time begins in it."""
    folder = path.parent.relative_to(base)
    own = (folder / path.stem).as_posix()
    media = None if header is None else header.find("MEDIA_DESCRIPTOR")
    if media is None:
        return own, (), 0.0
    relative = unquote(media.get("RELATIVE_MEDIA_URL") or "").removeprefix("file:")
    url = unquote(media.get("MEDIA_URL") or "")
    name = PurePosixPath((relative or url).replace("\\", "/")).name
    origin = int(media.get("TIME_ORIGIN") or 0) / 1000
    return (folder / name).as_posix() if name else own, (own,), origin
