"""Frames onto the common timeline: a subtraction, and the promise that time never runs backwards."""

from __future__ import annotations

from ..messages import TimedFrame, VideoFrame


class FrameTimeline:
    """Moves grab stamps to stream time.

    `camera_delay_ns` is how much longer a picture takes to reach the machine than the sound of the
    same instant; frames are moved earlier by it.
    """

    def __init__(self, start_ns: int, camera_delay_ns: int = 0) -> None:
        self._shift_ns = start_ns + camera_delay_ns
        self._last_ns = -1

    def push(self, frame: VideoFrame) -> TimedFrame | None:
        """The frame on the common timeline; None when it lies before the start or before its elder."""
        t_ns = frame.t_ns - self._shift_ns
        if t_ns <= self._last_ns:
            return None
        self._last_ns = t_ns
        return TimedFrame(t_ns, frame.image)
