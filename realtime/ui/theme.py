"""Colours and characters of the screen.

The terminal's own background is unknown, so text on it keeps the terminal's own colour (or is `dim`), and
accents sit at a lightness that reads on white and on black. Where a filled area carries text, both of its
colours are set. Nothing is told by colour alone: with `NO_COLOR` the characters say the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from rich.color import Color
from rich.style import Style

from ...model.labels import LABELS

# Kin share a hue family (degrees in OKLCH), so that a wavering answer between kin does not flash.
_FAMILIES: tuple[tuple[float, float, tuple[str, ...]], ...] = (
    (5, 30, ("Female speech, woman speaking", "Male speech, man speaking", "Baby cry, infant cry")),
    (50, 105, ("Bark", "Cat", "Goat", "Horse", "Rodents, rats, mice")),
    (135, 190, ("Frying (food)", "Toilet flush", "Chainsaw", "Clock", "Church bell")),
    (
        210,
        265,
        (
            "Fixed-wing aircraft, airplane",
            "Helicopter",
            "Race car, auto racing",
            "Motorcycle",
            "Truck",
            "Bus",
            "Train horn",
        ),
    ),
    (
        285,
        345,
        (
            "Violin, fiddle",
            "Flute",
            "Accordion",
            "Shofar",
            "Acoustic guitar",
            "Ukulele",
            "Mandolin",
            "Banjo",
        ),
    ),
)

_BRIEF = {
    "Church bell": "Bell",
    "Male speech, man speaking": "Man",
    "Fixed-wing aircraft, airplane": "Plane",
    "Race car, auto racing": "Racing",
    "Female speech, woman speaking": "Woman",
    "Helicopter": "Heli",
    "Motorcycle": "Moto",
    "Acoustic guitar": "Guitar",
    "Train horn": "Train",
    "Baby cry, infant cry": "Baby",
    "Chainsaw": "Saw",
    "Toilet flush": "Flush",
    "Rodents, rats, mice": "Rodents",
    "Accordion": "Accord.",
    "Mandolin": "Mandol.",
}


def _hues() -> dict[str, float]:
    hues = {}
    for low, high, names in _FAMILIES:
        for k, name in enumerate(names):
            hues[name] = low + (high - low) * k / (len(names) - 1)
    return hues


_HUES = _hues()
assert set(_HUES) == set(LABELS[:-1])


@cache
def hue_of(label: str) -> float:
    """Hue of a class, degrees; classes of other label sets are spread by the golden angle."""
    return _HUES.get(label, (sum(map(ord, label)) * 137.508) % 360)


def oklch(lightness: float, chroma: float, hue: float) -> tuple[int, int, int]:
    """OKLCH → sRGB 0..255, clipped (Ottosson's matrices)."""
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    l_, m_, s_ = (
        (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3,
        (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3,
        (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3,
    )
    linear = (
        4.0767416621 * l_ - 3.3077115913 * m_ + 0.2309699292 * s_,
        -1.2684380046 * l_ + 2.6097574011 * m_ - 0.3413193965 * s_,
        -0.0041960863 * l_ - 0.7034186147 * m_ + 1.7076147010 * s_,
    )

    def encode(value: float) -> int:
        value = min(1.0, max(0.0, value))
        value = 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
        return round(255 * value)

    red, green, blue = linear
    return encode(red), encode(green), encode(blue)


def rgb(lightness: float, chroma: float, hue: float) -> Color:
    """A Rich colour from OKLCH."""
    return Color.from_rgb(*oklch(lightness, chroma, hue))


def _named(hue: float) -> str:
    """The nearest of the eight colours every terminal has."""
    for end, name in ((35, "red"), (115, "yellow"), (200, "green"), (275, "blue"), (350, "magenta")):
        if hue < end:
            return name
    return "red"


@dataclass(frozen=True)
class Glyphs:
    """Characters to draw with."""

    full: str = "█"
    empty: str = "░"
    settled: str = "━"
    provisional: str = "╌"
    dot: str = "·"
    dash: str = "–"
    more: str = "…"
    on: str = "●"
    off: str = "○"
    minus: str = "−"
    eighths: str = " ▏▎▍▌▋▊▉█"
    ramp: str = " ░▒▓█"


ASCII = Glyphs(
    full="#",
    empty=".",
    settled="=",
    provisional="-",
    dot="|",
    dash="-",
    more="~",
    on="*",
    off="o",
    minus="-",
    eighths=" #",
    ramp=" .:+#",
)


@dataclass(frozen=True)
class Theme:
    """How to draw on this terminal."""

    color: bool = True
    """Whether colours show at all (`NO_COLOR`, a monochrome terminal)."""
    fine: bool = True
    """Whether there are enough colours for a picture (256 or more)."""
    glyphs: Glyphs = Glyphs()

    def accent(self, label: str, *, weak: bool = False) -> Style:
        """For characters on the terminal's own background; legible on white and on black."""
        if not self.color:
            return Style(dim=weak)
        if not self.fine:
            return Style(color=_named(hue_of(label)), dim=weak)
        return Style(color=rgb(0.62, 0.07 if weak else 0.15, hue_of(label)))

    def fill(self, label: str, level: float) -> Style:
        """A filled area with its own text colour; `level` 0 (faint) to 1 (strong)."""
        if not self.color:
            return Style()
        hue = hue_of(label)
        if not self.fine:
            # Sixteen colours look as each terminal likes: reversed text reads on all of them.
            return Style(color=_named(hue), reverse=True) if level >= 0.5 else Style()
        return Style(color=rgb(0.98, 0.01, hue), bgcolor=rgb(0.34 + 0.16 * level, 0.045 + 0.085 * level, hue))

    def quiet(self) -> Style:
        """A filled area where nothing happens."""
        if not self.color:
            return Style()
        if not self.fine:
            return Style(reverse=True)
        return Style(color=Color.from_rgb(236, 238, 242), bgcolor=Color.from_rgb(84, 90, 102))

    def warn(self) -> Style:
        """For what deserves attention."""
        if not self.color:
            return Style(bold=True)
        return Style(color=rgb(0.62, 0.18, 40) if self.fine else "red", bold=True)

    def good(self) -> Style:
        """For what is as it should be."""
        if not self.color:
            return Style()
        return Style(color=rgb(0.62, 0.13, 150) if self.fine else "green")


def brief(label: str, width: int, more: str = "…") -> str:
    """The label in at most `width` cells: whole, its first part, a short word, or cut."""
    short = label.split(",")[0].split(" (")[0]
    for name in (short, _BRIEF.get(label, short)):
        if len(name) <= width:
            return name
    name = _BRIEF.get(label, short)
    return name[: max(0, width - 1)] + more if width > 0 else ""


def clock_text(seconds: float) -> str:
    """Stream time as a person reads it: 0:07, 12:30, 1:02:30."""
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
