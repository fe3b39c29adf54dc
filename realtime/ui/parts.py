"""The parts of the live screen, each a few lines of text of a given width."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text

from ...model.labels import short_name
from .state import ScreenState, is_well
from .theme import Theme, brief, clock_text

_DIM = Style(dim=True)
_BOLD = Style(bold=True)


def percent(p: float) -> str:
    """A probability as it is shown everywhere: whole per cent, right-aligned in four cells."""
    return f"{round(100 * p):>2} %"


def cut(text: Text, width: int, theme: Theme) -> Text:
    """At most `width` cells, with a mark where something was cut off."""
    if text.cell_len <= width:
        return text
    out = text.copy()
    out.truncate(max(0, width - 1))
    return out.append(theme.glyphs.more if width > 0 else "")


def spread(left: Text, right: Text, width: int, theme: Theme) -> Text:
    """`left` and `right` at the two ends of a line; `left` gives way."""
    out = cut(left, max(0, width - right.cell_len - 2), theme).copy()
    out.append(" " * (width - out.cell_len - right.cell_len))
    out.append_text(right)
    out.truncate(width)
    return out


def bar(p: float, width: int, style: Style, theme: Theme) -> Text:
    """A horizontal bar with eighths of a cell, padded to `width`."""
    steps = theme.glyphs.eighths
    fine = len(steps) - 1
    units = round(max(0.0, min(1.0, p)) * width * fine)
    whole, rest = divmod(units, fine)
    text = theme.glyphs.full * whole + (steps[rest] if rest else "")
    out = Text().append(text, style)
    out.append(" " * (width - len(text)))
    return out


def header(state: ScreenState, width: int, theme: Theme) -> Text:
    """Source on the left; networks, backend and stream time on the right."""
    start = state.start
    left = Text().append("avel-live", _BOLD)
    if start is None:
        left.append("  starting" + theme.glyphs.more, _DIM)
        return spread(left, Text(), width, theme)
    left.append(f"  {start.source.name}")
    parts = [start.profile, f"{start.backend} {start.precision}", start.device]
    if start.calibration:
        parts.append("calibrated")
    time = f"   {clock_text(state.now_s):>5}"
    between = f" {theme.glyphs.dot} "
    # The source's name is worth more than the details of what computes.
    while len(parts) > 1 and left.cell_len + len(between.join(parts) + time) + 2 > width:
        parts.pop()
    what = Text().append(between.join(parts), _DIM).append(time, _BOLD)
    return spread(left, what, width, theme)


# What happens now ---------------------------------------------------------------------------------


def banner(state: ScreenState, width: int, theme: Theme, rows: int = 4) -> list[Text]:
    """The event now and how sure: a filled gauge that one sees first, 2 rows or more."""
    title, right, detail, label, level = _now(state, theme)
    words = [spread(Text(f"  {title}", style=_BOLD), Text(f"{right}  ", style=_BOLD), width, theme)]
    words += [Text()] * (rows >= 5) + [Text(f"  {detail}")]
    above = (rows - len(words)) // 2
    lines = [Text()] * above + words + [Text()] * (rows - above - len(words))
    if not theme.color:
        return _plain_banner(title, right, detail, level, width, rows, theme)
    strong = theme.fill(label, 1.0) if label else theme.quiet()
    weak = theme.fill(label, 0.0) if label else theme.quiet()
    edge = round(level * width)
    out = []
    for line in lines:
        row = line.copy()
        row.truncate(width, pad=True)
        row.stylize(strong, 0, edge)
        row.stylize(weak, edge, width)
        out.append(row)
    return out


def _plain_banner(
    title: str, right: str, detail: str, level: float, width: int, rows: int, theme: Theme
) -> list[Text]:
    gauge = round(level * width)
    lines = [
        spread(Text(title, style=_BOLD), Text(right, style=_BOLD), width, theme),
        Text(theme.glyphs.full * gauge + theme.glyphs.empty * (width - gauge)),
        Text(detail),
    ]
    if rows < 3:
        return [lines[0], lines[2]]
    return [Text()] * (rows > 3) + lines + [Text()] * (rows - 4)


def _now(state: ScreenState, theme: Theme) -> tuple[str, str, str, str, float]:
    """Title, confidence, detail, class name (empty when quiet) and gauge level."""
    record, dot = state.record, f" {theme.glyphs.dot} "
    if state.start is None or record is None:
        words = "waiting for the first second" if state.start else "opening devices, loading networks"
        if state.start is None and state.devices:
            latest = next(reversed(state.devices.values()))
            words = f"{latest.device} {latest.state}" + (f": {latest.reason}" if latest.reason else "")
        return "Listening and looking", "", words, "", 0.0
    event = state.open_event
    if record.label != state.background:
        name = state.name(record.label)
        detail = ["beginning", "provisional"]
        if event is not None and event.label == record.label:
            settled = event.start_s < (state.settled_to + 1) * state.start.segment_s
            detail = [
                f"since {clock_text(event.start_s)}",
                f"{state.now_s - event.start_s:.0f} s",
                "settled" if settled else "provisional",
            ]
        return name, percent(record.confidence), dot.join(detail), name, record.confidence
    best = next(((k, p) for k, p in state.top(2) if k != state.background), None)
    also = f"closest: {short_name(state.name(best[0]))} {percent(best[1]).strip()}" if best else ""
    if event is not None:
        over = clock_text(state.last_active_s(event))
        also = (
            f"{short_name(state.name(event.label))} since {clock_text(event.start_s)}, perhaps over at {over}"
        )
    if not (record.segment.video or record.segment.sound):
        also = "no picture and no sound in this second"
    return "Quiet", "", f"nothing both seen and heard{dot}{also}", "", 0.0


# Below --------------------------------------------------------------------------------------------


def top(state: ScreenState, width: int, theme: Theme, count: int = 5) -> list[Text]:
    """The five most probable classes of the newest second."""
    name_width = min(16, max(8, width // 3))
    room = max(4, width - name_width - 6)
    lines = []
    for label, p in state.top(count):
        quiet = label == state.background
        name = brief(state.name(label), name_width - 1, theme.glyphs.more)
        line = Text().append(name.ljust(name_width), _DIM if quiet else None)
        line.append_text(bar(p, room, _DIM if quiet else theme.accent(state.name(label)), theme))
        line.append(f" {percent(p)}", _DIM if quiet else Style())
        lines.append(line)
    return lines + [Text()] * (count - len(lines))


def recent(state: ScreenState, width: int, rows: int, theme: Theme) -> list[Text]:
    """Events that are over, newest first; those that were taken back are struck out and say so."""
    g = theme.glyphs
    lines = []
    for span, retracted in state.recent()[:rows]:
        begin = clock_text(span.start_s)
        name = short_name(state.name(span.label))
        if retracted:
            line = Text().append(f"{begin:<13} ", _DIM)
            line.append(name, Style(dim=True, strike=True))
            line.append(f" {g.dot} retracted", _DIM)
        else:
            assert span.end_s is not None
            line = Text().append(f"{f'{begin} {g.dash} {clock_text(span.end_s)}':<13} ", _DIM)
            line.append(f"{name:<14}", theme.accent(state.name(span.label)))
            line.append(f"{span.end_s - span.start_s:>4.0f} s")
            line.append(f"  {percent(span.confidence)}", _DIM)
        lines.append(line)
    if not lines:
        lines = [Text("no event yet" if state.open_event is None else "none is over yet", style=_DIM)]
    return lines


def meter(state: ScreenState, width: int, theme: Theme) -> Text:
    """Sound level from −60 to 0 dBFS, with the peak."""
    g = theme.glyphs
    record = state.record
    line = Text().append("sound ", _DIM)
    room = max(8, width - 6 - 11)
    if record is not None and not record.segment.sound and state.level_dbfs <= -119:
        line.append("no sound".ljust(room), theme.warn())
        return line

    def at(dbfs: float) -> int:
        return round(min(1.0, max(0.0, (dbfs + 60) / 60)) * room)

    level, peak = at(state.level_dbfs), at(state.peak_dbfs)
    loud = at(-3.0)
    body = Text().append(g.full * level, theme.good())
    if level > loud:
        body.stylize(theme.warn(), loud, level)
    rest = g.empty * (room - level)
    if peak > level:
        body.append(rest[: peak - level - 1], _DIM).append(g.full, theme.good())
        rest = rest[peak - level :]
    body.append(rest, _DIM)
    line.append_text(body)
    shown = f"{state.level_dbfs:>5.0f} dBFS".replace("-", g.minus) if state.level_dbfs > -100 else "silence"
    line.append(shown.rjust(10), _DIM)
    return line


def devices(state: ScreenState, width: int, theme: Theme) -> Text:
    """Every device with its state; what is not well comes first and says why."""
    g = theme.glyphs
    line = Text()
    entries = state.standing()
    for status in entries:
        well = is_well(status)
        if line.cell_len:
            line.append("   ")
        line.append(g.on if well else g.off, theme.good() if well else theme.warn())
        line.append(f" {status.device} ", Style() if well else theme.warn())
        words = status.state if well or not status.reason else f"{status.state}: {status.reason}"
        line.append(words, _DIM if well else theme.warn())
    if not entries and state.start is not None:
        source = state.start.source
        media = [part for part in (source.video, source.audio) if part]
        line.append(f" {g.dot} ".join(media), _DIM)
    return cut(line, width, theme)


def counters(state: ScreenState, width: int, theme: Theme) -> Text:
    """Latency, frames, skew, what was lost, and how to stop."""
    record = state.record
    g = theme.glyphs
    right = Text("Ctrl-C stops", style=_DIM)
    if record is None:
        return spread(Text(), right, width, theme)
    entries = [
        ("latency", f"{record.latency_ms:.0f} ms", record.latency_ms > 1000),
        ("frames", f"{len(record.segment.frames) or 0}/{record.frames_per_segment}", False),
        ("skipped", str(record.skipped), state.losing and record.skipped > 0),
        ("dropped", str(record.dropped), state.losing and record.dropped > 0),
    ]
    if record.skew_ms is not None:
        skew = f"{record.skew_ms:+.0f} ms"
        if record.drift_ppm is not None:
            skew += f" {record.drift_ppm:+.0f} ppm"
        entries.insert(2, ("skew", skew.replace("-", g.minus), abs(record.skew_ms) > 80))
    line = Text()
    for name, value, alarming in entries:
        if line.cell_len:
            line.append("   ")
        line.append(f"{name} ", _DIM)
        line.append(value, theme.warn() if alarming else Style())
    if line.cell_len + right.cell_len + 2 > width:
        return cut(line, width, theme)
    return spread(line, right, width, theme)
