"""What is almost one of the 28 events: which recordings of something else resemble which event.

The notes are those of the manifest of sounds. Where an event is seen and such a neighbour is heard, nothing
is to be said: scenes teach it (`compose`), and `tests/bench/neighbours.py` measures it.
"""

from __future__ import annotations

from typing import Final

from ...labels import BACKGROUND, EVENT_NAMES
from .audio_data import SoundBank

_PROGRAM: Final = "bank 0 program "
"""Phrases rendered from a soundfont, by their number in General MIDI."""
NEIGHBOURS: Final[dict[str, tuple[str, ...]]] = {
    "Violin, fiddle": ("cello", "Cello", "Double_bass", "saxophone", _PROGRAM + "42;"),
    "Flute": (
        *("clarinet", "Clarinet", "saxophone", "Saxophone", "french horn", "trombone"),
        *(_PROGRAM + "71;", _PROGRAM + "66;"),
    ),
    "Accordion": ("clarinet", "Saxophone", "french horn", _PROGRAM + "19;"),
    "Ukulele": (_PROGRAM + "46;", _PROGRAM + "107;"),
    "Acoustic guitar": (_PROGRAM + "46;", _PROGRAM + "104;", _PROGRAM + "107;", _PROGRAM + "30;"),
    "Banjo": (_PROGRAM + "104;", _PROGRAM + "107;"),
    "Mandolin": (_PROGRAM + "46;", _PROGRAM + "104;", _PROGRAM + "107;"),
    "Helicopter": ("drone", "Jackhammer", "stove-fan"),
    "Fixed-wing aircraft, airplane": ("drone", "Wind", "sea waves"),
    "Frying (food)": ("rain", "boiling-water", "water-flowing", "chopping", "fire"),
    "Toilet flush": ("water-flowing", "clean-dishes", "sea waves", "dishwasher"),
    "Chainsaw": ("juicer", "blender", "Jackhammer", "Sawmill", "Mining machinery"),
    "Motorcycle": ("juicer", "urban/traffic", "drone"),
    "Truck": ("urban/traffic", "Mining machinery"),
    "Bus": ("urban/traffic", "transport/train"),
    "Goat": ("Sheep", "Cow", "rooster", "sneeze"),
    "Horse": ("Cow", "Sheep", "chopping"),
    "Train horn": ("Ship horn", "Ferry horn", "Modern car horn", "Level crossing", "transport/train"),
    "Church bell": ("things/wind-chimes", "Level crossing", "cutlery"),
    "Clock": ("cutlery", "microwave", "Hi_hat", "Snare_drum"),
    "Baby cry, infant cry": ("sneeze", "rooster", "Sheep"),
    "Bark": ("sneeze", "rooster", "Snare_drum"),
    "Cat": ("rooster", "Sheep", "Tropical: Monkeys"),
    "Rodents, rats, mice": ("peel", "book", "Tropical: Bird"),
    "Male speech, man speaking": ("Applause", "places/cafe", "eat", "trombone", _PROGRAM + "52;"),
    "Female speech, woman speaking": ("Applause", "places/cafe", "eat", _PROGRAM + "52;"),
}


def near(bank: SoundBank, event: int) -> list[int]:
    """The recordings of something else that resemble an event."""
    notes = NEIGHBOURS.get(EVENT_NAMES[event], ())
    return [
        index
        for index, sound in enumerate(bank.sounds)
        if sound.label == BACKGROUND and sound.note.startswith(notes)
    ]
