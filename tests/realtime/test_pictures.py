"""The pictures in the pages are what their scripts draw, from runs of today's program.

Each is compared as text, its numbers and colours with a little room: another processor rounds otherwise.
After a wanted change of the looks or of the model: `python tests/pictures/demo.py`, then look at them.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from pictures import demo, reliability, threads

ROOT = Path(__file__).resolve().parents[2]
NUMBER = re.compile(r"#[0-9a-f]{6}\b|-?\d+(?:\.\d+)?")


def assert_alike(drawn: str, kept: str, room: float = 2.0) -> None:
    """The same but for numbers: those may differ by `room`, channels of colours by 6 of 255."""
    assert NUMBER.sub("·", drawn) == NUMBER.sub("·", kept)
    for one, other in zip(NUMBER.findall(drawn), NUMBER.findall(kept), strict=True):
        if one.startswith("#"):
            ours, theirs = bytes.fromhex(one[1:]), bytes.fromhex(other[1:])
            assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) <= 6, (one, other)
        else:
            assert abs(float(one) - float(other)) <= room, (one, other)


@dataclass
class Grid:
    """A terminal's cells: characters, and how each is coloured."""

    lines: list[str]
    ink: dict[tuple[int, int], str]
    paper: dict[tuple[int, int], str]

    @classmethod
    def of(cls, svg: str) -> Grid:
        """Read back what Rich wrote: runs of text by line and column, filled boxes behind them."""
        wide, high = 12.2, 24.4
        fills = dict(re.findall(r"\.avel-live-(r\d+) \{ fill: (#[0-9a-f]{6})", svg))
        ink, paper = {}, {}
        rows = [[" "] * demo.WIDTH for _ in range(demo.HEIGHT)]
        runs = r'<text class="avel-live-(r\d+)" x="([\d.]+)" y="[\d.]+"[^>]*-line-(\d+)\)">([^<]*)</text>'
        for style, x, line, text in re.findall(runs, svg):
            for column, letter in enumerate(html.unescape(text), round(float(x) / wide)):
                if column < demo.WIDTH and letter.strip():
                    rows[int(line)][column] = letter
                    ink[int(line), column] = fills[style]
        boxes = r'<rect fill="(#[0-9a-f]{6})" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="24.65"'
        for fill, x, y, width in re.findall(boxes, svg):
            first = round(float(x) / wide)
            for column in range(first, first + round(float(width) / wide)):
                paper[round((float(y) - 1.5) / high), column] = fill
        return cls(["".join(row) for row in rows], ink, paper)


def assert_same_screen(drawn: str, kept: str) -> None:
    """The same cells, in the same colours, with a little room for both."""
    ours, theirs = Grid.of(drawn), Grid.of(kept)
    whole, other = (re.sub("[▏▎▍▌▋▊▉]", "▌", "\n".join(grid.lines)) for grid in (ours, theirs))
    assert_alike(whole, other)
    for cells, others in ((ours.ink, theirs.ink), (ours.paper, theirs.paper)):
        assert cells.keys() == others.keys()
        for place in cells:
            assert_alike(cells[place], others[place])


@pytest.fixture(scope="module")
def taken() -> demo.Taken:
    """Today's run of the demo."""
    return demo.run()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_terminal_shows_the_demo_so(taken: demo.Taken, theme: str) -> None:
    kept = demo.TERMINAL[theme].read_text(encoding="utf-8")
    latency = re.search(r">(\d+)&#160;ms", kept)
    assert latency is not None, "the one number that every run gives anew"
    drawn = demo.terminal(taken, theme, float(latency[1]))
    assert_same_screen(drawn, kept)
    for changed in (drawn.replace("Clock", "Cluck"), drawn.replace("#007a61", "#00407a")):
        with pytest.raises(AssertionError):
            assert_same_screen(changed, kept)
    assert "http" not in kept.replace("http://www.w3.org/2000/svg", ""), "it asks nobody for anything"


def test_ten_looks_at_a_second_are_these(taken: demo.Taken) -> None:
    assert_alike(demo.looks(taken).document(), demo.LOOKS.read_text(encoding="utf-8"))


def test_the_reliability_diagram_is_what_was_measured() -> None:
    kept = json.loads(reliability.KEPT.read_text(encoding="utf-8"))
    assert reliability.draw(kept).document() == reliability.PICTURE.read_text(encoding="utf-8")
    page = (ROOT / "calibration" / "README.md").read_text(encoding="utf-8")
    for side in ("before", "after"):
        low, high = kept[side]["interval"]
        assert f"{kept[side]['ece']:.3f} [{low:.3f}–{high:.3f}]" in page, "the page says the same"


def test_threads_and_queues_are_named_as_in_the_code() -> None:
    assert threads.draw().document() == threads.PICTURE.read_text(encoding="utf-8")
    for name, place in threads.THREADS.items():
        assert f'"{name}"' in (ROOT / "realtime" / place).read_text(encoding="utf-8"), (name, place)
    for name, place in threads.QUEUES.items():
        assert f"class {name}" in (ROOT / "realtime" / place).read_text(encoding="utf-8"), (name, place)


def test_a_picture_that_is_not_today_s_is_found(taken: demo.Taken) -> None:
    kept = demo.LOOKS.read_text(encoding="utf-8")
    for changed in (re.sub(r"Clock \d", "Clock 4", kept), kept.replace("Clock", "Bark"), kept + "<rect/>"):
        with pytest.raises(AssertionError):
            assert_alike(demo.looks(taken).document(), changed)
