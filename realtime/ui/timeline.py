"""The last ten seconds as a strip: what each was, how sure, and whether that is settled.

Settled seconds are filled areas over a solid line; provisional ones are italic over a dashed line.
"""

from __future__ import annotations

from rich.style import Style
from rich.text import Text

from .parts import percent
from .state import CELLS, Cell, ScreenState
from .theme import Theme, brief, clock_text

_DIM = Style(dim=True)
_BOLD = Style(bold=True)


def timeline(state: ScreenState, width: int, theme: Theme) -> list[Text]:
    """Four lines: time, label, confidence, and whether each second is settled."""
    cells = state.timeline()
    gap = 1
    edges = [round(k * (width + gap) / CELLS) for k in range(CELLS + 1)]
    segment_s = state.start.segment_s if state.start is not None else 1.0
    times, labels, sure, marks = Text(), Text(), Text(), Text()
    name = ""
    for position, cell in enumerate(cells):
        each = max(3, edges[position + 1] - edges[position] - gap)
        same = position > 0 and cell is not None and _same(cells[position - 1], cell)
        style = _cell_style(cell, state, theme) if cell is not None else Style()
        if position:
            quiet = cell is None or cell.label == state.background
            joint = style if same and not quiet else None
            times.append(" " * gap)
            labels.append(name[:gap].ljust(gap) if same else " " * gap, joint)
            sure.append(" " * gap, joint)
            marks.append(" " * gap)
            name = name[gap:]
        if cell is None:
            for row in (times, labels, marks):
                row.append(" " * each)
            sure.append(theme.glyphs.dot.center(each), _DIM)
            continue
        if cell.label == state.background:
            name = _cut(cell.note or theme.glyphs.dot, each, theme).center(each)
        elif not same:
            # One name over a run of equal seconds; it may be as wide as the run.
            run = edges[position + _run(cells, position)] - edges[position] - gap
            name = brief(state.name(cell.label), run if run == each else run - 2, theme.glyphs.more)
            name = name.center(run) if run == each else f"  {name}"
        time = clock_text(cell.index * segment_s)
        times.append((time if len(time) <= each else "").ljust(each), _DIM)
        labels.append(name[:each].ljust(each), style)
        name = name[each:]
        sure.append(percent(cell.confidence)[: 4 if each > 4 else 2].center(each), style)
        mark = theme.glyphs.settled if cell.settled else theme.glyphs.provisional
        marks.append(mark * each, _mark_style(cell, state, theme))
    return [times, labels, sure, marks]


def _same(one: Cell | None, other: Cell | None) -> bool:
    return one is not None and other is not None and (one.label, one.settled) == (other.label, other.settled)


def _run(cells: list[Cell | None], position: int) -> int:
    length = 1
    while position + length < len(cells) and _same(cells[position], cells[position + length]):
        length += 1
    return length


def _cut(name: str, width: int, theme: Theme) -> str:
    return name if len(name) <= width else name[: width - 1] + theme.glyphs.more


def _cell_style(cell: Cell, state: ScreenState, theme: Theme) -> Style:
    if cell.label == state.background:
        return Style(dim=True, italic=not cell.settled)
    if cell.settled:
        return theme.fill(state.name(cell.label), 0.9) + _BOLD
    if not theme.color:
        return Style(italic=True)
    return theme.accent(state.name(cell.label)) + Style(italic=True)


def _mark_style(cell: Cell, state: ScreenState, theme: Theme) -> Style:
    if cell.label == state.background:
        return _DIM
    return theme.accent(state.name(cell.label))
