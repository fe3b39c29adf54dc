"""What counts as a recording in a folder: one list, for every command that takes folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

VIDEO: Final = frozenset(
    {
        *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".mkv", ".mk3d", ".webm", ".avi", ".divx"),
        *(".ts", ".mts", ".m2ts", ".m2t", ".trp", ".tp", ".mpg", ".mpeg", ".mpe", ".m1v", ".m2v", ".m2p"),
        *(".vob", ".mod", ".tod", ".wmv", ".asf", ".flv", ".ogv", ".ogm", ".mxf", ".dv", ".nut", ".wtv"),
        *(".rm", ".rmvb", ".dav", ".h264", ".264", ".h265", ".265", ".hevc", ".mjpg", ".mjpeg", ".y4m"),
    }
)
AUDIO: Final = frozenset(
    {
        *(".wav", ".w64", ".flac", ".mp3", ".mp2", ".m4a", ".m4b", ".aac", ".ogg", ".oga", ".opus", ".spx"),
        *(".wma", ".aiff", ".aif", ".aifc", ".caf", ".au", ".amr", ".ac3", ".eac3", ".dts", ".mka", ".ape"),
        *(".wv", ".tta", ".gsm"),
    }
)
MEDIA: Final = VIDEO | AUDIO


def is_recording(name: str) -> bool:
    """Whether a file is one by its name."""
    return Path(name).suffix.lower() in MEDIA


def recordings_in(
    folder: Path, keep: Callable[[Path], bool] = lambda folder: True
) -> tuple[list[Path], list[Path]]:
    """Recordings in a folder and below, and files that were passed over; both in order, hidden ones left out.

    Args:
        folder: where to look.
        keep: whether to go into a folder.

    """
    found: list[Path] = []
    passed: list[Path] = []
    for parent, folders, names in os.walk(folder):
        here = Path(parent)
        folders[:] = sorted(n for n in folders if not n.startswith(".") and keep(here / n))
        for name in sorted(names):
            if not name.startswith("."):
                (found if is_recording(name) else passed).append(here / name)
    return found, passed


def passed_over(passed: Sequence[Path]) -> str:
    """A line about files that were passed over; empty where there are none."""
    if not passed:
        return ""
    names = ", ".join(path.name for path in passed[:3])
    more = f" and {len(passed) - 3} more" if len(passed) > 3 else ""
    many = "1 file" if len(passed) == 1 else f"{len(passed)} files"
    return f"passed over {many} with endings of no recording: {names}{more}"
