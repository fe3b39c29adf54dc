"""The newest picture in character cells, with the attention map on it.

Each cell shows two pixels, one above the other: a half block whose foreground is the upper and whose
background is the lower one. Where there are no colours, shades of grey characters stand in, and dots
mark the cells the network attends to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.style import Style
from rich.text import Text

from .theme import Theme

_UPPER = "▀"
_GLOW = np.array([255.0, 176.0, 60.0])
_STEP = 8  # colours are rounded to this, so that equal neighbours share one escape sequence


def fit(height: int, width: int, rows: int, columns: int) -> tuple[int, int]:
    """Rows (each two pixels tall) and columns of a picture of that shape in a box, proportions kept."""
    scale = min(columns / width, 2 * rows / height)
    return max(1, min(rows, round(height * scale / 2))), max(1, min(columns, round(width * scale)))


def shrink(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.float64]:
    """Area mean of [H, W, 3] to [height, width, 3], float 0..255."""

    def bins(size: int, count: int) -> NDArray[np.intp]:
        return np.minimum((np.arange(count) * size) // count, size - 1)

    rows, columns = bins(image.shape[0], height), bins(image.shape[1], width)
    total = np.add.reduceat(np.add.reduceat(image.astype(np.float64), rows, axis=0), columns, axis=1)
    tall = np.maximum(1, np.diff([*rows, image.shape[0]]))
    wide = np.maximum(1, np.diff([*columns, image.shape[1]]))
    return np.asarray(total / (tall[:, None, None] * wide[None, :, None]))


def enlarge(grid: NDArray[np.float32], height: int, width: int) -> NDArray[np.float64]:
    """Bilinear [7, 7] → [height, width], cell centres aligned."""
    n, m = grid.shape

    def axis(count: int, cells: int) -> NDArray[np.float64]:
        return np.clip((np.arange(count) + 0.5) / count * cells - 0.5, 0, cells - 1)

    y, x = axis(height, n), axis(width, m)
    columns = np.stack([np.interp(x, np.arange(m), row) for row in grid])
    return np.stack([np.interp(y, np.arange(n), column) for column in columns.T], axis=1)


def overlay(
    pixels: NDArray[np.float64], attention: NDArray[np.float32] | None, strength: float
) -> NDArray[np.float64]:
    """Dim what the sound was not found in, and let what it was found in glow.

    `strength` 0 leaves the picture alone; the map is shown relative to its own peak.
    """
    if attention is None or strength <= 0:
        return pixels
    heat = enlarge(attention, *pixels.shape[:2])
    low, high = float(heat.min()), float(heat.max())
    # An even map points nowhere, and is not stretched into one that does.
    spread = max(high - low, 1e-9)
    strength *= min(1.0, (high - low) * attention.size / 2)
    heat = ((heat - low) / spread)[..., None]
    dimmed = pixels * (1 - 0.42 * strength * (1 - heat))
    return np.asarray(dimmed + (_GLOW - dimmed) * (0.42 * strength * heat**2))


def draw(
    image: NDArray[np.uint8] | None,
    attention: NDArray[np.float32] | None,
    rows: int,
    columns: int,
    theme: Theme,
    strength: float = 1.0,
    missing: str = "no picture",
) -> list[Text]:
    """Exactly `rows` lines of exactly `columns` cells; the picture stands at the top, centred.

    Without a picture `missing` says why.
    """
    if image is None or image.size == 0:
        return _nothing(rows, columns, missing)
    tall, wide = fit(image.shape[0], image.shape[1], rows, columns)
    pixels = overlay(shrink(image, 2 * tall, wide), attention, strength)
    use_blocks = theme.color and theme.fine and theme.glyphs.full == "█"
    lines = _blocks(pixels) if use_blocks else _shades(pixels, attention, strength, theme)
    left = (columns - wide) // 2
    blank = Text(" " * columns)
    framed = []
    for line in lines:
        padded = Text(" " * left)
        padded.append_text(line)
        padded.append(" " * (columns - wide - left))
        framed.append(padded)
    return framed + [blank.copy() for _ in range(rows - len(framed))]


def _blocks(pixels: NDArray[np.float64]) -> list[Text]:
    q = np.clip(np.round(pixels / _STEP) * _STEP, 0, 255).astype(int)
    lines = []
    for upper, lower in zip(q[0::2], q[1::2], strict=True):
        line = Text()
        edges = np.flatnonzero(np.any((upper[1:] != upper[:-1]) | (lower[1:] != lower[:-1]), axis=1)) + 1
        for start, stop in zip([0, *edges], [*edges, len(upper)], strict=True):
            style = Style(color=Color.from_rgb(*upper[start]), bgcolor=Color.from_rgb(*lower[start]))
            line.append(_UPPER * int(stop - start), style)
        lines.append(line)
    return lines


def _shades(
    pixels: NDArray[np.float64], attention: NDArray[np.float32] | None, strength: float, theme: Theme
) -> list[Text]:
    light = pixels.mean(axis=-1).reshape(len(pixels) // 2, 2, -1).mean(axis=1)
    spread = max(float(light.max() - light.min()), 1.0)
    ramp = theme.glyphs.ramp
    level = np.minimum(((light - light.min()) / spread * len(ramp)).astype(int), len(ramp) - 1)
    hot = np.zeros(light.shape, dtype=bool)
    if attention is not None and strength > 0.5:
        heat = enlarge(attention, *light.shape)
        hot = heat > 0.7 * heat.max()
    lines = []
    for row, marked in zip(level, hot, strict=True):
        line = Text()
        for column, (cell, mark) in enumerate(zip(row, marked, strict=True)):
            line.append(theme.glyphs.on if mark and column % 2 else " " if mark else ramp[cell])
        lines.append(line)
    return lines


def _nothing(rows: int, columns: int, words: str) -> list[Text]:
    lines = [Text(" " * columns) for _ in range(rows)]
    lines[rows // 2] = Text().append(words.center(columns)[:columns], Style(dim=True))
    return lines
