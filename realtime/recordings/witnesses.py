"""Which clips vouch for each other: the same content, or excerpts of one recording, are one witness.

Cross-validation and intervals count witnesses. A clip that is there twice would be judged by what it taught
itself, and two of them would agree perfectly.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..core.messages import Scores

_COLUMNS: Final = ("video", "video_id", "youtube_id", "recording", "source")
"""Of a manifest: what says whence a clip is, the most telling first."""
_YOUTUBE: Final = re.compile(r"([A-Za-z0-9_-]{11})_\d+(?:_\d+)?")
_EXCERPT: Final = re.compile(r"(.+?)[_-](\d+(?:\.\d+)?)[_-](\d+(?:\.\d+)?)")


def origin(row: Mapping[str, str | None], file: Path) -> str:
    """Whence a clip is: as its row says, else as its name says; empty where neither does."""
    for column in _COLUMNS:
        if value := (row.get(column) or "").strip():
            return _without_times(value) or value
    return _without_times(file.as_posix())


def _without_times(name: str) -> str:
    """`ID_START` or `NAME_START_END`, as excerpts are called, without the times; else empty."""
    path = PurePosixPath(name)
    stem = path.stem if re.fullmatch(r"\.[A-Za-z0-9]{2,4}", path.suffix) else path.name
    if match := _YOUTUBE.fullmatch(stem):
        return match[1]
    if (match := _EXCERPT.fullmatch(stem)) and float(match[2]) < float(match[3]):
        return str(path.with_name(match[1]))
    return ""


def content(scores: Sequence[Scores]) -> str:
    """What tells clips apart by what was seen and heard in them: all that the networks said."""
    said = hashlib.sha256()
    for one in scores:
        said.update(one.logits.tobytes())
    return said.hexdigest()


def witnesses(signs: Iterable[Iterable[Hashable]]) -> list[int]:
    """A number for every clip; those that share a sign, also over others, have the same one.

    Args:
        signs: of each clip, what it shares with no other witness; empty ones (`""`, None) say nothing.

    """
    parents: list[int] = []

    def root(k: int) -> int:
        while parents[k] != k:
            k = parents[k]
        return k

    owner: dict[Hashable, int] = {}
    for k, mine in enumerate(signs):
        parents.append(k)
        for sign in mine:
            if sign:
                parents[root(k)] = root(owner.setdefault(sign, k))
    return [root(k) for k in range(len(parents))]
