"""Photographs as a webcam would see them: framed anywhere, small, dark, blurred, compressed, tinted.

The visual half of the bundled model's training data. Every picture is made from one subject photograph
and, for small subjects, a second one behind it; the random state is the caller's, so a pool is
reproduced by its seed.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE: Final = 224
Image = NDArray[np.uint8]


def _resize(image: Image, width: int, height: int) -> Image:
    out: Image = cv2.resize(image, (max(1, width), max(1, height)), interpolation=cv2.INTER_AREA)
    return out


def _crop(image: Image, rng: np.random.Generator, smallest: float) -> Image:
    """A random part of the picture, each side at least `smallest` of the whole."""
    height, width = image.shape[:2]
    h = int(height * rng.uniform(smallest, 1.0))
    w = int(width * rng.uniform(smallest, 1.0))
    top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
    return image[top : top + h, left : left + w]


def _backdrop(behind: Image, rng: np.random.Generator, width: int, height: int) -> Image:
    """Another photograph, usually blurred, to stand behind a small subject."""
    canvas = _resize(_crop(behind, rng, 0.5), width, height)
    if rng.random() < 0.6:
        canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), rng.uniform(2.0, 12.0)), np.uint8)
    return canvas


def _frame(image: Image, behind: Image, rng: np.random.Generator) -> Image:
    """The subject on a 4:3, 16:9 or 9:16 canvas, filling it or small and off-centre."""
    width, height = [(320, 240), (384, 216), (240, 400)][rng.choice(3, p=[0.45, 0.45, 0.1])]
    if rng.random() < 0.45:
        return _resize(_crop(image, rng, 0.65), width, height)
    scale = rng.uniform(0.35, 0.9)
    aspect = image.shape[1] / image.shape[0]
    h = int(height * scale)
    w = min(width, int(h * aspect))
    canvas = _backdrop(behind, rng, width, height)
    subject = _resize(image, w, h)
    top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
    # A soft edge, so that the paste's own border is not what the network learns.
    mask = np.zeros((height, width, 1), np.float32)
    mask[top : top + h, left : left + w] = 1.0
    mask = cv2.GaussianBlur(mask, (0, 0), rng.uniform(1.0, 6.0))[..., None]
    placed = canvas.astype(np.float32)
    placed[top : top + h, left : left + w] = subject * mask[top : top + h, left : left + w] + placed[
        top : top + h, left : left + w
    ] * (1 - mask[top : top + h, left : left + w])
    out: Image = placed.astype(np.uint8)
    return out


def _light(image: Image, rng: np.random.Generator) -> Image:
    """Gain, gamma, white balance and sensor noise."""
    x = image.astype(np.float32) / 255.0
    x = x ** rng.uniform(0.7, 1.6) * rng.uniform(0.45, 1.15)
    x = x * rng.uniform(0.88, 1.12, size=3).astype(np.float32)
    if rng.random() < 0.3:
        x = x.mean(axis=2, keepdims=True) * rng.uniform(0.5, 1.0) + x * 0.4
    x = x + rng.normal(0.0, rng.uniform(0.0, 0.04), size=x.shape).astype(np.float32)
    out: Image = (np.clip(x, 0.0, 1.0) * 255.0).astype(np.uint8)
    return out


def _optics(image: Image, rng: np.random.Generator) -> Image:
    """Defocus, motion blur, low resolution and JPEG compression."""
    if rng.random() < 0.35:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 2.2)), np.uint8)
    if rng.random() < 0.2:
        length = int(rng.integers(3, 12))
        kernel = np.zeros((length, length), np.float32)
        kernel[length // 2] = 1.0 / length
        turn = cv2.getRotationMatrix2D((length / 2, length / 2), rng.uniform(0, 180), 1.0)
        image = np.asarray(cv2.filter2D(image, -1, cv2.warpAffine(kernel, turn, (length, length))), np.uint8)
    if rng.random() < 0.3:
        factor = rng.uniform(0.35, 0.8)
        small = _resize(image, int(image.shape[1] * factor), int(image.shape[0] * factor))
        image = np.asarray(cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
    if rng.random() < 0.6:
        quality = int(rng.integers(20, 85))
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return image


def webcam_view(image: Image, behind: Image, rng: np.random.Generator) -> Image:
    """One view of a subject: [H, W, 3] uint8 and another photograph → [224, 224, 3] uint8 RGB."""
    view = _frame(image, behind, rng)
    if rng.random() < 0.5:
        view = np.ascontiguousarray(view[:, ::-1])
    return _resize(_optics(_light(view, rng), rng), SIZE, SIZE)


def plain_view(image: Image) -> Image:
    """The photograph as it is, squeezed to the network's input like any frame."""
    return _resize(image, SIZE, SIZE)
