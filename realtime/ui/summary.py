"""What remains on the terminal when the stream is over: one screen at most."""

from __future__ import annotations

from rich.console import Group
from rich.style import Style
from rich.text import Text

from ...model.labels import short_name
from .parts import bar, percent
from .state import ScreenState, is_well
from .theme import Theme, clock_text

_DIM = Style(dim=True)
_CLASSES = 8
_LAST = 6


def summary(state: ScreenState, width: int, theme: Theme) -> Group:
    """Totals, seconds per class, the last events, and how the machine kept up."""
    end = state.end
    assert end is not None
    g = theme.glyphs
    source = state.start.source.name if state.start is not None else "stream"
    title = Text()
    title.append("avel-live  ", Style(bold=True)).append(source)
    why = f" {g.dot} {end.reason}" if end.reason else ""
    title.append(f"   {clock_text(end.seconds)}{why}", _DIM)
    lines = [title, Text()]

    ranked = state.seconds_of.most_common(_CLASSES)
    longest = max((seconds for _, seconds in ranked), default=1) or 1
    room = max(8, min(40, width - 44))
    for label, seconds in ranked:
        name = state.name(label)
        line = Text()
        line.append(f"  {short_name(name):<22}")
        line.append_text(bar(seconds / longest, room, theme.accent(name), theme))
        times = "once" if state.counts[label] == 1 else f"{state.counts[label]} times"
        line.append(f" {clock_text(seconds):>7}")
        line.append(f"  {times}", _DIM)
        lines.append(line)
    others = len(state.seconds_of) - len(ranked)
    if others > 0:
        lines.append(Text().append(f"  and {others} more classes", _DIM))
    if not ranked:
        lines.append(Text().append("  no event: nothing was both seen and heard", _DIM))

    ended = [span for span, retracted in state.recent() if not retracted][:_LAST]
    if ended:
        lines.append(Text())
        total = sum(state.counts.values())
        if total > len(ended):
            lines.append(Text().append(f"  the last {len(ended)} of {total} events", _DIM))
        for span in reversed(ended):
            assert span.end_s is not None
            line = Text()
            line.append(f"  {clock_text(span.start_s):>7} {g.dash} {clock_text(span.end_s):<8}", _DIM)
            line.append(f"{short_name(state.name(span.label)):<22}", theme.accent(state.name(span.label)))
            line.append(f"{span.end_s - span.start_s:>5.0f} s")
            line.append(f"  {percent(span.confidence)}", _DIM)
            lines.append(line)

    lines += [Text(), *numbers(state, width)]
    troubled = [status for status in state.standing() if not is_well(status)]
    for status in troubled[:4]:
        lines.append(Text(f"  {g.off} {status.device} {status.state}: {status.reason}", style=theme.warn()))
    for line in lines:
        line.truncate(max(10, width), overflow="ellipsis")
    return Group(*lines)


def numbers(state: ScreenState, width: int) -> list[Text]:
    """How the machine kept up, in as few lines as fit."""
    end = state.end
    assert end is not None
    parts = [f"{end.hops} hops"]
    if end.latency_ms:
        p = end.latency_ms
        parts.append(f"latency p50 {p['p50']:.0f}, p95 {p['p95']:.0f}, p99 {p['p99']:.0f} ms")
    parts.append(f"real-time factor {end.real_time_factor:.2f}")
    parts.append(f"skipped {end.skipped}, dropped {end.dropped}")
    if end.skew_ms is not None:
        parts.append(f"skew {end.skew_ms:+.0f} ms")
    lines = [""]
    for part in parts:
        joined = f"{lines[-1]}   {part}" if lines[-1] else f"  {part}"
        if len(joined) > width and lines[-1]:
            lines.append(f"  {part}")
        else:
            lines[-1] = joined
    return [Text().append(line, _DIM) for line in lines]
