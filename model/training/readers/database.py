"""UnAV-100's annotations, and ActivityNet's, whose shape they have.

{"database": {VIDEO: {"duration": …, "subset": "train", "annotations": [{"segment": [1.2, 3], "label": …}]}}}
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .reading import Reading


def read_database(path: Path, database: Any) -> Reading:
    """Every segment of every video; a video without any has nothing in it."""
    found = Reading(path, "data base of segments")
    if not isinstance(database, dict):
        return found
    number = 0
    for video, about in database.items():
        if not isinstance(about, dict):
            number += 1
            found.leave(number, "no video")
            continue
        split = str(about.get("subset") or "")
        if split and split.lower() not in _KNOWN:
            found.say(f"subset {split!r} is none of training, validation and testing; split by name instead")
        entries = about.get("annotations")
        if entries is None:
            number += 1
            found.leave(number, "a video without annotations: they are kept back")
            continue
        if not entries:
            found.nothing(number, video, split)
        for entry in entries:
            number += 1
            segment = entry.get("segment") if isinstance(entry, dict) else None
            if not isinstance(segment, list) or len(segment) != 2:
                found.leave(number, "no segment of two times")
                continue
            found.add(number, video, segment[0], segment[1], entry.get("label"), split=split)
    return found


_KNOWN = ("train", "training", "val", "validation", "test", "testing")
