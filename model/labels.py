"""The 28 event classes of the AVE data set, in its published order, and *background*.

A label is an index into `LABELS`; 0..27 are events, `BACKGROUND` (28, always last) means that no
event is both seen and heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

EVENT_NAMES: Final[tuple[str, ...]] = (
    "Church bell",
    "Male speech, man speaking",
    "Bark",
    "Fixed-wing aircraft, airplane",
    "Race car, auto racing",
    "Female speech, woman speaking",
    "Helicopter",
    "Violin, fiddle",
    "Flute",
    "Ukulele",
    "Frying (food)",
    "Truck",
    "Shofar",
    "Motorcycle",
    "Acoustic guitar",
    "Train horn",
    "Clock",
    "Banjo",
    "Goat",
    "Baby cry, infant cry",
    "Bus",
    "Chainsaw",
    "Cat",
    "Horse",
    "Toilet flush",
    "Rodents, rats, mice",
    "Accordion",
    "Mandolin",
)
BACKGROUND_NAME: Final = "background"
LABELS: Final[tuple[str, ...]] = (*EVENT_NAMES, BACKGROUND_NAME)
BACKGROUND: Final = len(EVENT_NAMES)
NUM_CLASSES: Final = len(LABELS)

# What people type and what folders are called, beside the full names.
_ALIASES: Final[dict[str, str]] = {
    "male speech": "Male speech, man speaking",
    "female speech": "Female speech, woman speaking",
    "airplane": "Fixed-wing aircraft, airplane",
    "fixed-wing aircraft": "Fixed-wing aircraft, airplane",
    "fixed wing aircraft": "Fixed-wing aircraft, airplane",
    "race car": "Race car, auto racing",
    "violin": "Violin, fiddle",
    "fiddle": "Violin, fiddle",
    "frying": "Frying (food)",
    "frying food": "Frying (food)",
    "baby cry": "Baby cry, infant cry",
    "rodents": "Rodents, rats, mice",
    "guitar": "Acoustic guitar",
    "dog": "Bark",
}


def label_index(name: str, labels: Sequence[str] = LABELS) -> int:
    """Index of a class by its name or a common short form; case, `_` and spaces do not matter.

    Raises:
        ValueError: no such class; the message names the nearest ones.

    """

    def fold(text: str) -> str:
        return " ".join(text.replace("_", " ").lower().split())

    wanted = fold(name)
    folded = {fold(label): index for index, label in enumerate(labels)}
    if wanted in folded:
        return folded[wanted]
    alias = _ALIASES.get(wanted)
    if alias is not None and fold(alias) in folded:
        return folded[fold(alias)]
    near = get_close_matches(wanted, [*folded, *_ALIASES], n=3)
    hint = f"; did you mean {', '.join(near)}?" if near else f"; known: {', '.join(labels)}"
    raise ValueError(f"unknown class {name!r}{hint}")


def short_name(label: str) -> str:
    """The part before the comma or bracket: what fits on a narrow screen."""
    return label.split(",")[0].split(" (")[0]
