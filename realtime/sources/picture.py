"""From a decoded picture to what travels: resized once, at capture, for the networks and for the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from ..messages import FRAME_SIZE, TimedFrame

if TYPE_CHECKING:
    import av

PREVIEW_WIDTH = 160
"""Pixels; the height follows the picture's proportions, at most 160."""


def timed_frame(t_ns: int, image: NDArray[np.uint8], *, keep_original: bool = False) -> TimedFrame:
    """Squeeze the whole picture to 224×224 (no crop, as the field does) and make a small preview.

    Args:
        t_ns: instant on the common timeline.
        image: [H, W, 3] uint8 RGB, upright. Not written to afterwards by the caller when
            `keep_original` is set.
        keep_original: also carry the full picture, for clips.

    """
    import cv2

    height, width = image.shape[:2]
    size = (FRAME_SIZE, FRAME_SIZE)
    if (width, height) == size:
        squeezed = image.copy()
    else:
        method = cv2.INTER_AREA if _shrinks(width, height) else cv2.INTER_LINEAR
        squeezed = cast(NDArray[np.uint8], cv2.resize(image, size, interpolation=method))
    return TimedFrame(t_ns, squeezed, _preview(squeezed, width, height), image if keep_original else None)


class FrameConverter:
    """Does the same to the frames of a decoder, in one pass from its own colours and size.

    Three times as quick as colours first and size second. One for a stream: making the scaler's tables takes
    longer than using them.
    """

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        # Each keeps the tables of one pair of formats.
        self._small, self._full = VideoReformatter(), VideoReformatter()

    def timed(self, t_ns: int, frame: av.VideoFrame, *, keep_original: bool = False) -> TimedFrame:
        """As `timed_frame`, of a decoded frame; the file's rotation is applied."""
        method = "AREA" if _shrinks(frame.width, frame.height) else "BILINEAR"
        small = self._small.reformat(frame, FRAME_SIZE, FRAME_SIZE, "rgb24", interpolation=method)
        turns = round((frame.rotation or 0) / 90) % 4
        squeezed = _upright(small, turns)
        size = (frame.width, frame.height) if turns % 2 == 0 else (frame.height, frame.width)
        original = None
        if keep_original:
            original = _upright(self._full.reformat(frame, format="rgb24"), turns)
        return TimedFrame(t_ns, squeezed, _preview(squeezed, *size), original)


def _shrinks(width: int, height: int) -> bool:
    return width >= FRAME_SIZE and height >= FRAME_SIZE


def _upright(frame: av.VideoFrame, turns: int) -> NDArray[np.uint8]:
    """An RGB frame as an array, turned by so many quarters, counter-clockwise."""
    image = cast(NDArray[np.uint8], frame.to_ndarray())
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def _preview(squeezed: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """The squeezed picture in its true proportions again, small."""
    import cv2

    scale = min(1.0, PREVIEW_WIDTH / max(width, height))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Linear: the picture on a screen need not be exact, and there are sixteen a second.
    return cast(NDArray[np.uint8], cv2.resize(squeezed, small, interpolation=cv2.INTER_LINEAR))
