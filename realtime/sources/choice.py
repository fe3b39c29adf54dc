"""Which tracks of a file or stream are used: FFmpeg's own choice, or the one that was asked for."""

from __future__ import annotations

from typing import Any, Literal

from ..core.errors import SourceError
from .codecs import decodable

Kind = Literal["video", "audio"]


def choose(container: Any, kind: Kind, number: int | None = None, related: Any = None) -> Any:
    """A track, or None where there is none that can be used.

    Args:
        container: open.
        kind: of track.
        number: which of its kind, from 1; None leaves it to FFmpeg (default disposition, most detail; never
            a cover picture or a codec that nobody here decodes).
        related: the other track: of several programmes the sound of the same one is taken.

    Raises:
        SourceError: there is no such track, or it can't be decoded; says which there are.

    """
    tracks = [s for s in container.streams if s.type == kind]
    if number is not None:
        if number > len(tracks):
            there = "; ".join(f"{k}: {about(s)}" for k, s in enumerate(tracks, 1)) or "none"
            raise SourceError(f"--{kind}-track {number}: there are {len(tracks)} {kind} tracks ({there})")
        if not decodable(tracks[number - 1]):
            raise SourceError(f"--{kind}-track {number}: nothing here decodes its codec; take another track")
        return tracks[number - 1]
    usable = [s for s in tracks if decodable(s) and not _still(s)]
    if not usable:
        return None
    best = container.streams.best(kind, related=related)
    if any(best is s or (best is not None and best.index == s.index) for s in usable):
        return container.streams[best.index]
    return max(usable, key=_is_default)


def about(stream: Any) -> str:
    """A track in a few words."""
    context = stream.codec_context
    words = [context.name if context is not None else "unknown codec"]
    if stream.type == "video" and context is not None:
        words.append(f"{context.width}×{context.height}")
    if stream.type == "audio" and context is not None:
        words.append(f"{context.sample_rate} Hz {context.layout.name}")
    words += [text for text in (stream.language, stream.metadata.get("title")) if text and text != "und"]
    return " ".join(words)


def which(container: Any, stream: Any) -> str:
    """`track 2 of 3`, where there are several of its kind; else nothing."""
    tracks = [s.index for s in container.streams if s.type == stream.type]
    return f"track {tracks.index(stream.index) + 1} of {len(tracks)}" if len(tracks) > 1 else ""


def _still(stream: Any) -> bool:
    """Whether a video track is only a cover picture, or thumbnails beside the real one."""
    from av.stream import Disposition

    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _is_default(stream: Any) -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.default)
