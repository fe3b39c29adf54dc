"""From a decoded picture to what travels: resized once, at capture, for the networks and for the screen."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from ..messages import FRAME_SIZE, TimedFrame

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
        shrinking = width >= FRAME_SIZE and height >= FRAME_SIZE
        squeezed = cast(
            NDArray[np.uint8],
            cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR),
        )
    scale = min(1.0, PREVIEW_WIDTH / max(width, height))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    # From the squeezed picture when that holds enough pixels: a 4K frame is then read only once.
    basis = squeezed if max(small) <= FRAME_SIZE else image
    # Linear: the picture on a screen need not be exact, and there are sixteen a second.
    preview = cast(NDArray[np.uint8], cv2.resize(basis, small, interpolation=cv2.INTER_LINEAR))
    return TimedFrame(t_ns, squeezed, preview, image if keep_original else None)
