"""The terminal as it shows the demo, and ten looks at its seconds: both from one run through the library.

    python tests/pictures/demo.py

Writes realtime/ui/pictures/terminal-{dark,light}.svg and realtime/events/pictures/looks.svg.
tests/realtime/test_pictures.py runs this again and compares.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import avel_live
from avel_live.model.labels import short_name
from avel_live.realtime.ui.layout import frame
from avel_live.realtime.ui.state import ScreenState
from avel_live.realtime.ui.theme import Theme, oklch
from rich.console import Console, Group
from rich.terminal_theme import TerminalTheme

from pictures.svg import INK, MONO, QUIET, Picture

ROOT = Path(__file__).resolve().parents[2]
TERMINAL = {n: ROOT / "realtime" / "ui" / "pictures" / f"terminal-{n}.svg" for n in ("dark", "light")}
LOOKS = ROOT / "realtime" / "events" / "pictures" / "looks.svg"
WIDTH, HEIGHT = 100, 30
SHOWN = 17
"""The hop at which the terminal is drawn: a bark is over, a clock is seen and heard."""
SECOND, LAST = 12, 21
"""The second that the picture of looks points at, and the last hop that looks at it."""
CELL, HIGH, LEFT, TOP = 62, 30, 90, 92
"""Of that picture: a cell's width and height, and where the table begins."""

_ANSI = [(0, 0, 0), (205, 49, 49), (13, 188, 121), (190, 160, 16), (36, 114, 200), (188, 63, 188)]
_ANSI += [(17, 168, 205)]
THEMES = {
    "dark": TerminalTheme((13, 17, 23), (230, 237, 243), [*_ANSI, (229, 229, 229)]),
    "light": TerminalTheme((255, 255, 255), (31, 35, 40), [*_ANSI, (85, 85, 85)]),
}
_FORMAT = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>avel-live --demo</title>
<style>
.{unique_id}-matrix {{
  font-family: FONT; font-size: {char_height}px; line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
""".replace("FONT", MONO)


@dataclass
class Taken:
    """What one run of the demo gave."""

    start: avel_live.StreamStart
    hops: list[avel_live.Hop]


def run(speed: float | None = None) -> Taken:
    """The demo up to the last hop that is drawn; None = as fast as it goes, so that latency says nothing."""
    engine = avel_live.load_engine(backend="onnxruntime", precision="fp32", threads=2)
    try:
        with avel_live.open("demo", engine=engine, speed=speed) as stream:
            hops = []
            for hop in stream:
                hops.append(hop)
                if hop.hop == LAST:
                    stream.stop()
            return Taken(stream.start, hops)
    finally:
        engine.close()


def terminal(taken: Taken, theme: str, latency_ms: float | None = None) -> str:
    """The screen after hop `SHOWN` as SVG; `latency_ms` stands in for what was measured."""
    state = ScreenState()
    state.take_start(taken.start)
    for hop in taken.hops[: SHOWN + 1]:
        state.take_hop(hop if latency_ms is None else replace(hop, latency_ms=latency_ms))
    out = Console(
        file=io.StringIO(), record=True, width=WIDTH, height=HEIGHT, force_terminal=True,
        color_system="truecolor", legacy_windows=False,
    )  # fmt: skip
    out.print(Group(*frame(state, WIDTH, HEIGHT, Theme())))
    return out.export_svg(
        title="avel-live --demo", theme=THEMES[theme], code_format=_FORMAT, unique_id="avel-live"
    )


def looks(taken: Taken) -> Picture:
    """Hops downwards, seconds to the right: a hop looks at ten seconds, a second is looked at ten times."""
    seconds, hops = range(SECOND - 3, LAST + 1), range(SECOND - 3, LAST + 1)
    below = TOP + HIGH * len(hops)
    picture = Picture(LEFT + CELL * len(seconds) + 24, below + HIGH + 72, "Ten looks at one second")
    title = f"Ten looks at second {SECOND} of the demo: a clock is seen, and not heard yet"
    picture.text(24, 32, title, bold=True, size=15)
    said = "each row is one hop: it looks at ten seconds at once, and says what each of them was"
    picture.text(24, 52, said, fill=QUIET)
    for second in seconds:
        x = LEFT + CELL * (second - seconds[0] + 0.5)
        bold = second == SECOND
        fill = INK if bold else QUIET
        picture.text(x, TOP - 8, f"{second} s", size=12, fill=fill, anchor="middle", bold=bold)
    for number in hops:
        y = TOP + HIGH * (number - hops[0])
        scores = taken.hops[number].scores
        picture.text(LEFT - 12, y + 20, f"hop {number}", size=12, fill=QUIET, anchor="end")
        for second, row in enumerate(scores.probabilities, scores.first_index):
            if second in seconds:
                label = int(row.argmax())
                x = LEFT + CELL * (second - seconds[0])
                _cell(picture, taken.start.labels, label, float(row[label]), x, y)
    picture.text(LEFT - 12, below + 32, "settled", size=12, anchor="end", bold=True)
    for settled in (s for hop in taken.hops for s in hop.settled if s.index in seconds):
        x = LEFT + CELL * (settled.index - seconds[0])
        _cell(picture, taken.start.labels, settled.label, settled.confidence, x, below + 12)
    x, first, last = LEFT + CELL * (SECOND - seconds[0]), TOP + HIGH * (SECOND - hops[0]), 3 * HIGH
    picture.line(
        [(x, first), (x + CELL, first), (x + CELL, below), (x, below), (x, first)], stroke=INK, dashed=True
    )
    picture.rect(x, first, CELL, last, "none", line=INK, radius=3)
    said = (
        "framed: its looks; the first three are fused into the settled answer (--settle 2), others come later"
    )
    picture.text(24, below + HIGH + 40, said, size=12, fill=QUIET)
    picture.text(24, below + HIGH + 58, "pale: background", size=12, fill=QUIET)
    return picture


def _cell(
    picture: Picture, labels: tuple[str, ...], label: int, confidence: float, x: float, y: float
) -> None:
    """One answer about one second."""
    background = label == len(labels) - 1
    name = short_name(labels[label])
    hue = 50.0 if name == "Bark" else 170.0
    fill = "#eef1f4" if background else "#{:02x}{:02x}{:02x}".format(*oklch(0.55, 0.11, hue))
    picture.rect(x + 1, y + 1, CELL - 2, HIGH - 2, fill, radius=3)
    said = f"{confidence:.0%}" if background else f"{name} {confidence:.0%}"
    ink = QUIET if background else "#ffffff"
    picture.text(x + CELL / 2, y + 19, said, size=10.5, fill=ink, anchor="middle")


def main() -> None:
    """All of them; slowly, so that latency is that of a machine with nothing else to do."""
    taken = run(speed=0.5)
    for name, path in TERMINAL.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(terminal(taken, name), encoding="utf-8")
    looks(taken).write(LOOKS)


if __name__ == "__main__":
    main()
