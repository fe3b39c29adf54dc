"""Frames onto the common timeline: a subtraction, and the promise that time never runs backwards."""

from __future__ import annotations


class FrameTimeline:
    """Moves grab stamps to stream time.

    `start_ns` is the instant that becomes 0. `camera_delay_ns` is how much longer a picture takes to
    reach the machine than the sound of the same instant; frames are moved earlier by it.
    """

    def __init__(self, start_ns: int, camera_delay_ns: int = 0) -> None:
        self._shift_ns = start_ns + camera_delay_ns
        self._last_ns = -1

    def stamp(self, t_ns: int) -> int | None:
        """Stream time of a frame grabbed at `t_ns`; None before the start or not after its elder."""
        stream_ns = t_ns - self._shift_ns
        if stream_ns <= self._last_ns:
            return None
        self._last_ns = stream_ns
        return stream_ns
