"""CVAT's XML (annotations 1.1, "CVAT for video"): tracks of frames.

A track's label lasts from a frame in which the object is inside the picture to the first in which it is
outside, or through the last frame of the track. The file counts frames and does not say how many make a
second. Labels of single pictures (`image`, `tag`) last no time and are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from ...errors import ModelFileError
from .reading import Reading

_NOT_SHAPES: Final = frozenset({"attribute"})


def read_cvat(path: Path, root: ET.Element, fps: float | None) -> Reading:
    """Every stretch of every track.

    Args:
        path: the file.
        root: `annotations`.
        fps: frames a second of the recording.

    Raises:
        ModelFileError: there are tracks, and nobody said how many frames make a second.

    """
    found = Reading(path, "CVAT export")
    files = [(node.text or "").strip() for node in root.iterfind("./meta//source")]
    names = [(node.text or "").strip() for node in root.iterfind("./meta//task/name")]
    if len(set(files or names)) > 1:
        raise ModelFileError(f"labels {path}: several tasks in one export; export them one by one")
    file = next((name for name in (*files, *names) if name), path.stem)
    also = tuple(name for name in (*names, path.stem) if name and name != file)
    for number, node in enumerate(root, 1):
        if node.tag == "track":
            spans = list(_spans(node))
            if spans and fps is None:
                raise needs_rate(path)
            for first, last in spans:
                found.add(number, file, first / (fps or 1), last / (fps or 1), node.get("label"), also=also)
            if not spans:
                found.leave(number, "a track that is never in the picture")
        elif node.tag in ("image", "tag"):
            found.leave(number, "labels of a single picture")
    return found


def needs_rate(path: Path) -> ModelFileError:
    """The refusal of a file that counts frames."""
    return ModelFileError(
        f"labels {path}: counts frames; say with --fps how many of them are a second (ffprobe tells it)"
    )


def _spans(track: ET.Element) -> Iterator[tuple[int, int]]:
    """First frame inside and first one no longer, stretch by stretch."""
    shapes = sorted(
        (int(shape.get("frame", "0")), shape.get("outside") == "1")
        for shape in track
        if shape.tag not in _NOT_SHAPES and shape.get("frame") is not None
    )
    first: int | None = None
    last = 0
    for frame, outside in shapes:
        if outside and first is not None:
            yield first, frame
            first = None
        elif not outside:
            first = frame if first is None else first
        last = frame
    if first is not None:
        yield first, last + 1
