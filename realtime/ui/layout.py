"""The live screen as lines of text: a pure function of what is known, the size and the theme.

80 × 24 and up; what does not fit is left out from the bottom of this list:
header, what happens now, timeline, probabilities and picture, recent events, sound, devices and numbers.
"""

from __future__ import annotations

from rich.text import Text

from .parts import banner, counters, devices, header, meter, recent, top
from .picture import draw
from .state import ScreenState
from .theme import Theme
from .timeline import timeline

_MARGIN = 2
_GAP = 3


def frame(state: ScreenState, width: int, height: int, theme: Theme) -> list[Text]:
    """Exactly `height` lines, each `width` cells wide."""
    return compose(state, width, height, theme)[0]


def meter_line(state: ScreenState, width: int, theme: Theme) -> Text:
    """The line of the sound meter alone, `width` cells wide: what moves between hops."""
    return _set(meter(state, _inner(width), theme), width)


def _inner(width: int) -> int:
    return max(20, width - 2 * _MARGIN)


def compose(state: ScreenState, width: int, height: int, theme: Theme) -> tuple[list[Text], int | None]:
    """The lines of a frame, and which of them is the sound meter."""
    inner = _inner(width)
    tall = height >= 30
    lines: list[Text] = []
    if height >= 8:
        lines += [header(state, inner, theme)] + [Text()] * tall
    lines += banner(state, inner, theme, rows=5 if tall else 4 if height >= 20 else 2)
    if height >= 12:
        lines += [Text(), *timeline(state, inner, theme)]
    foot = [meter(state, inner, theme), devices(state, inner, theme), counters(state, inner, theme)]
    if tall:
        foot = [Text(), foot[0], Text(), *foot[1:]]
    room = height - len(lines) - len(foot) - 2
    if room >= 6:
        lines += [Text(), *_middle(state, inner, room, theme), Text()]
    elif height - len(lines) > len(foot):
        lines += [Text()] * (height - len(lines) - len(foot))
    sound = len(lines) + (1 if tall else 0)
    lines += foot[: max(0, height - len(lines))]
    lines = lines[:height] + [Text()] * (height - len(lines))
    return [_set(line, width) for line in lines], sound if sound < height else None


def _middle(state: ScreenState, inner: int, rows: int, theme: Theme) -> list[Text]:
    """Probabilities and recent events on the left, the picture on the right."""
    right = min(inner // 2 - _GAP, (rows * 32 + 8) // 9, 72)
    left = inner - right - _GAP
    record = state.record
    strength = 0.0
    if record is not None:
        strength = 0.35 if record.label == state.background else 1.0
    picture = draw(
        record.segment.preview if record is not None else None,
        record.scores.attention[-1] if record is not None else None,
        rows,
        right,
        theme,
        strength,
        "no picture" if record is not None else "",
    )
    bars = top(state, left, theme)[:rows]
    spare = rows - len(bars)
    column = bars
    if spare >= 2:
        column = [*bars, Text(), *recent(state, left, spare - 1, theme)]
    column += [Text()] * (rows - len(column))
    joined = []
    for one, other in zip(column, picture, strict=True):
        line = _fill(one, left + _GAP)
        line.append_text(other)
        joined.append(line)
    return joined


def _fill(line: Text, width: int) -> Text:
    line = line.copy()
    line.truncate(width, pad=True)
    return line


def _set(line: Text, width: int) -> Text:
    out = Text(" " * min(_MARGIN, width), no_wrap=True)
    out.append_text(line)
    out.truncate(width, pad=True)
    return out
