"""A picture with the network's attention laid over it: where in the picture the sound was found."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def with_attention(image: NDArray[np.uint8], attention: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Blend the map over the picture: untouched where it is low, warm where it is high.

    Args:
        image: [H, W, 3] uint8 RGB.
        attention: [7, 7] float32, sums to 1; a flat map leaves the picture as it is.

    """
    import cv2

    height, width = image.shape[:2]
    flat = 1.0 / attention.size
    strength = np.clip((attention - flat) / max(float(attention.max()) - flat, 2 * flat), 0, 1)
    smooth = cv2.resize(strength.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    smooth = np.clip(smooth, 0, 1)
    colour: Any = cv2.applyColorMap((255 * (0.35 + 0.6 * smooth)).astype(np.uint8), cv2.COLORMAP_INFERNO)
    alpha = (0.65 * smooth)[..., None]
    mixed = image * (1 - alpha) + colour[..., ::-1] * alpha
    return np.asarray(np.clip(mixed, 0, 255), np.uint8)


def jpeg(image: NDArray[np.uint8], quality: int = 85) -> bytes:
    """[H, W, 3] RGB → JPEG."""
    import cv2

    good, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not good:
        raise ValueError(f"picture of shape {image.shape} can't be written as JPEG")
    return bytes(data)
