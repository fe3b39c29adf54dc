"""Label Studio's exports: JSON (whole tasks) and JSON-MIN (fields of the interface).

Read are regions of sound (`labels`) and time series, timelines of video (frames from 1; a rate is needed),
rectangles in video (their lifespans), and choices, which hold for the whole recording. Of several annotations
of a task the last one counts that was not cancelled; predictions that nobody confirmed do not.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from .cvat import needs_rate
from .reading import WHOLE, Reading

_UPLOAD: Final = re.compile(r"[0-9a-f]{8}-(.+)")
"""Label Studio stores an upload under eight hexadecimal digits and its name."""
_ABOUT: Final = frozenset({"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"})


def read_label_studio(path: Path, tasks: list[Any], fps: float | None) -> Reading:
    """Every region of every task."""
    found = Reading(path, "Label Studio export")
    for number, task in enumerate(tasks, 1):
        if not isinstance(task, dict):
            found.leave(number, "no task")
            continue
        whole = "annotations" in task or "completions" in task
        data = task.get("data", {}) if whole else task
        file, also = _recording(data, task)
        regions = list(_confirmed(found, number, task) if whole else _minimal(task))
        for kind, value in regions:
            _region(found, number, (file, also), kind, value, fps)
    return found


def _confirmed(found: Reading, number: int, task: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    given = [a for a in task.get("annotations") or task.get("completions") or () if isinstance(a, dict)]
    kept = [a for a in given if not a.get("was_cancelled")]
    if not kept:
        found.leave(number, "nobody confirmed it" if task.get("predictions") else "no annotation")
        return
    if len(kept) > 1:
        found.say("tasks with several annotations: the last of each is taken")
    for item in kept[-1].get("result") or ():
        if isinstance(item, dict) and isinstance(item.get("value"), dict):
            yield str(item.get("type")), item["value"]


def _minimal(task: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Regions of JSON-MIN, which does not name their types: told by what they hold."""
    for name, field in task.items():
        if name in _ABOUT or not isinstance(field, list):
            continue
        for value in field:
            if isinstance(value, dict):
                kind = next(
                    (k for k in ("timelinelabels", "timeserieslabels", "choices") if k in value), "labels"
                )
                yield "videorectangle" if "sequence" in value else kind, value


def _region(
    found: Reading,
    number: int,
    recording: tuple[str, tuple[str, ...]],
    kind: str,
    value: dict[str, Any],
    fps: float | None,
) -> None:
    file, also = recording
    labels = value.get(kind) or value.get("labels") or ()
    if kind in ("labels", "timeserieslabels"):
        spans = [(value.get("start"), value.get("end"))]
    elif kind == "timelinelabels":
        rate = fps or _rate(value)
        if rate is None:
            raise needs_rate(found.path)
        spans = [((r["start"] - 1) / rate, r["end"] / rate) for r in value.get("ranges") or ()]
    elif kind == "videorectangle":
        spans = list(_lifespans(value))
    elif kind == "choices":
        spans = [(0.0, WHOLE)]
    else:
        found.leave(number, f"{kind}: nothing in time")
        return
    if not labels or not spans:
        found.leave(number, "no label" if spans else "no time")
    for label in labels:
        for start, end in spans:
            found.add(number, file, start, end, label, also=also)


def _lifespans(value: dict[str, Any]) -> Iterator[tuple[float, float]]:
    """From where a rectangle is enabled to where it no longer is, or to the end of the video."""
    start: float | None = None
    for key in value.get("sequence") or ():
        at = float(key.get("time", 0.0))
        start = at if start is None else start
        if not key.get("enabled", True):
            yield start, at
            start = None
    if start is not None:
        yield start, float(value.get("duration") or WHOLE)


def _rate(value: dict[str, Any]) -> float | None:
    frames, duration = value.get("framesCount"), value.get("duration")
    return frames / duration if frames and duration else None


def _recording(data: Any, task: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The recording of a task: the field that names a medium."""
    fields = [str(v) for v in data.values() if isinstance(v, str)] if isinstance(data, dict) else []
    for text in (*fields, str(task.get("file_upload") or "")):
        name = _name(text)
        if (mimetypes.guess_type(name)[0] or "").startswith(("audio/", "video/")):
            match = _UPLOAD.fullmatch(name)
            return (match[1], (name,)) if match else (name, ())
    return "", ()


def _name(url: str) -> str:
    """The last part of an address; local files are named in its query."""
    parts = urlsplit(url)
    local = parse_qs(parts.query).get("d")
    return PurePosixPath(unquote(local[0] if local else parts.path)).name
