"""Which tracks of a container this FFmpeg can decode."""

from __future__ import annotations

from typing import Any


def decodable(stream: Any) -> bool:
    """Whether there is a decoder for a stream of PyAV's."""
    return stream.codec_context is not None


def undecodable(container: Any, *, video: bool = True, audio: bool = True) -> list[str]:
    """A line for every kind of track that is wanted and there, and that nobody here can decode."""
    lines = []
    for wanted, streams, what, left in (
        (video, container.streams.video, "picture", "sound"),
        (audio, container.streams.audio, "sound", "picture"),
    ):
        if wanted and streams and not any(map(decodable, streams)):
            codec = codec_name(streams[0]) or "of an unknown codec"
            lines.append(f"the {what} ({codec}) can't be decoded here: only the {left} is used")
    return lines


def codec_name(stream: Any) -> str:
    """The codec's name, or its four characters as the container has them; empty when neither is known."""
    if stream.codec_context is not None:
        return str(stream.codec_context.name)
    return ""
