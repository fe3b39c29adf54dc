"""A sound track that is digital silence: whether another one of the recording has sound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.clock import NS_PER_S
from ..core.messages import Status
from .codecs import decodable
from .piped import is_pipe
from .recording import opened
from .track import Track

if TYPE_CHECKING:
    from av.container import InputContainer

SILENT_NS = 10 * NS_PER_S
"""Digital silence for so long from the beginning on is worth a look at the other sound tracks."""


def other_sound(path: Path, track: Track, now: int) -> Iterator[Status]:
    """The track in use is digital silence so far: whether another one has sound."""
    if is_pipe(path):
        return  # it can't be read again
    container = opened(path)
    try:
        tracks = [s.index for s in container.streams.audio]
        for number, index in enumerate(tracks, 1):
            stream = container.streams[index]
            if index != track.stream.index and decodable(stream) and _has_sound(container, stream):
                own = tracks.index(track.stream.index) + 1
                reason = f"sound track {own} is digital silence; track {number} has sound: --audio-track"
                yield Status("sound", "running", f"{reason} {number}", now, "warning")
                return
    finally:
        container.close()


def _has_sound(container: InputContainer, stream: Any) -> bool:
    """Whether anything but zeros comes within the first half minute of a track."""
    from av.error import FFmpegError

    seconds = 0.0
    try:
        container.seek(0)
        for frame in container.decode(stream):
            # Unsigned samples are silent in the middle of their range.
            samples = frame.to_ndarray()
            if (samples != (128 if samples.dtype.kind == "u" else 0)).any():
                return True
            seconds += frame.samples / (frame.sample_rate or 1)
            if seconds > SILENT_NS / NS_PER_S * 3:
                return False
    except (FFmpegError, OSError):
        return False
    return False
