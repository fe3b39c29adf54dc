"""Small pictures as SVG: shapes in a list, one file, no font and no request to anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

SANS = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"
MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
INK, QUIET, LINE, PAPER = "#1f2328", "#59636e", "#d1d9e0", "#ffffff"
GOOD, OVER, UNDER = "#2a6f97", "#d1495b", "#edae49"


class Picture:
    """A drawing of `width` × `height` on paper of its own, so that it reads on a dark page, too."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.width, self.height = width, height
        self._title = title
        self._shapes: list[str] = []
        self.rect(0, 0, width, height, PAPER, radius=8)

    def rect(
        self, x: float, y: float, w: float, h: float, fill: str, *, line: str = "none", radius: float = 0,
        opacity: float = 1.0,
    ) -> None:  # fmt: skip
        """A filled box."""
        more = f' stroke="{line}"' * (line != "none") + f' rx="{radius:g}"' * (radius > 0)
        more += f' fill-opacity="{opacity:g}"' * (opacity < 1)
        self._shapes.append(f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" fill="{fill}"{more}/>')

    def text(
        self, x: float, y: float, text: str, *, size: float = 13, fill: str = INK, anchor: str = "start",
        bold: bool = False, mono: bool = False, italic: bool = False, turned: bool = False,
    ) -> None:  # fmt: skip
        """A line of text, `y` at its foot."""
        more = ' font-weight="600"' * bold + ' font-style="italic"' * italic
        more += f' font-family="{MONO}"' * mono + f' transform="rotate(-90 {x:g} {y:g})"' * turned
        self._shapes.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{fill}" text-anchor="{anchor}"{more}>'
            f"{escape(text)}</text>"
        )

    def line(
        self, points: Sequence[tuple[float, float]], *, stroke: str = QUIET, width: float = 1.0,
        dashed: bool = False, arrow: bool = False,
    ) -> None:  # fmt: skip
        """A line through points; with `arrow`, one at its end."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        more = ' stroke-dasharray="3 3"' * dashed + ' marker-end="url(#arrow)"' * arrow
        self._shapes.append(
            f'<polyline points="{path}" fill="none" stroke="{stroke}" stroke-width="{width:g}"{more}/>'
        )

    def write(self, path: Path) -> None:
        """The file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.document(), encoding="utf-8")

    def document(self) -> str:
        """The whole drawing."""
        arrow = (
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            f'orient="auto"><path d="M0 0 8 4 0 8z" fill="{QUIET}"/></marker></defs>'
        )
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" font-family="{SANS}" role="img">'
        )
        return "\n".join([head, f"<title>{escape(self._title)}</title>", arrow, *self._shapes, "</svg>\n"])
