"""How a recording is replayed."""

from __future__ import annotations

from dataclasses import dataclass

from ...model.profiles import FRAMES_PER_SEGMENT
from .hardware import Hwaccel


@dataclass(frozen=True)
class ReplayOptions:
    """How a recording is replayed.

    Attributes:
        speed: stream seconds per second; None = as fast as the reader takes it.
        start_s: begin this far into the recording.
        duration_s: end the stream after so long.
        loop: begin anew at the end; stream time goes on.
        video: whether the picture is used.
        audio: whether the sound is used.
        originals: deliver every picture, with its full size, for clips.
        channel: of the sound, from 1; None mixes all.
        video_track: which picture track, from 1; None leaves the choice to FFmpeg.
        audio_track: the same of sound.
        frames: pictures a second that will be looked at; others are not converted.
        sync_offset_ms: pictures are shown so much later than the recording says.
        hwaccel: what decodes pictures, see `hardware`.
        pipe: whether it may come through a pipe, which can be read once.

    """

    speed: float | None = 1.0
    start_s: float = 0.0
    duration_s: float | None = None
    loop: bool = False
    video: bool = True
    audio: bool = True
    originals: bool = False
    channel: int | None = None
    video_track: int | None = None
    audio_track: int | None = None
    frames: int = FRAMES_PER_SEGMENT
    sync_offset_ms: float = 0.0
    hwaccel: Hwaccel = "none"
    pipe: bool = False
