"""`index.csv`: a row for every recording of a batch, for scripts: what was found, what was lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ...model.files import atomic_write
from ..core.errors import writing
from .batch import Job
from .tracks import csv_text

_LOST: Final = ("by_stamp_s", "late_s", "undecodable_s")
_COLUMNS: Final = (
    *("recording", "seconds", "events"),
    *("video_delivered_s", "video_lost_s", "audio_delivered_s", "audio_lost_s"),
    *("incomplete", "remarks", "error"),
)


def write_table(
    jobs: Sequence[Job], records: Mapping[Job, dict[str, Any]], errors: Mapping[Job, str], out: Path
) -> Path:
    """Write it; `records` and `errors` hold what was found, or why a recording can't be read.

    `incomplete` is 1 where a track lost more than one percent.

    Raises:
        OutputError: it can't be written.

    """
    rows: list[Sequence[Any]] = [_COLUMNS]
    for job in jobs:
        name, record = job.name, records.get(job)
        if record is None:
            rows.append((name, *[""] * (len(_COLUMNS) - 2), errors.get(job, "")))
            continue
        tracks = [record.get("tracks", {}).get(track, {}) for track in ("video", "audio")]
        seconds: list[Any] = []
        for track in tracks:
            seconds += [track.get("delivered_s", 0.0), round(sum(track.get(c, 0.0) for c in _LOST), 3)]
        remarks = "; ".join(record.get("remarks", []))
        found = (name, record["seconds"], len(record["events"]))
        rows.append((*found, *seconds, int(bool(record.get("lost"))), remarks, ""))
    path = out / "index.csv"
    with writing(path):
        atomic_write(path, csv_text(rows))
    return path
