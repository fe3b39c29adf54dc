"""Which of AudioSet's 521 YAMNet classes speak for which event, and how strongly.

The audible twin of `visual_concepts`: a *concept* takes the largest of its classes' scores, each times
a weight: 1 where the class is the thing itself, less where it is heard with it but also with other
things ("Engine" for a truck). The first 28 concepts are the events in order; the rest are what is
commonly heard instead. Men's and women's speech share the speech classes: AudioSet's adult speech has
no gender in YAMNet, so that a trained probe divides it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..labels import EVENT_NAMES

AUDIOSET_CLASSES: Final = 521

_SPEECH: Final = "0 2 3 5:.5 6:.6 9:.6 63:.4"
_EVENTS: Final[dict[str, str]] = {
    "Church bell": "196 202 195:.7 200:.4 173:.3",
    "Male speech, man speaking": _SPEECH,
    "Bark": "70 71 73 69:.7 74:.6 117:.5 75:.4 72:.3",
    "Fixed-wing aircraft, airplane": "334 331 332:.8 330:.8 329:.6",
    "Race car, auto racing": "309 347:.6 307:.5 306:.5 308:.3 301:.2",
    "Female speech, woman speaking": _SPEECH,
    "Helicopter": "333 329:.2",
    "Violin, fiddle": "186 184:.7 187:.5 185:.5 188:.3",
    "Flute": "191 190:.5",
    "Ukulele": "146 134:.4 135:.3",
    "Frying (food)": "361 484 293:.2 449:.3",
    "Truck": "310 311:.7 343:.5 346:.4 312:.3 337:.3 313:.3 294:.25",
    "Shofar": "207 180:.2",
    "Motorcycle": "320 347:.4 346:.3 345:.2",
    "Acoustic guitar": "138 135:.7 141:.6 134:.4 139:.4 140:.4",
    "Train horn": "325 324:.8 312:.6 397:.4 323:.4 322:.3 302:.2",
    "Clock": "400 401 402 389:.5 403:.2",
    "Banjo": "142 134:.3 226:.2",
    "Goat": "90 91 92:.8 81:.2",
    "Baby cry, infant cry": "20 19:.7 21:.5",
    "Bus": "315 311:.6 310:.4 343:.3 346:.3 294:.25 300:.25",
    "Chainsaw": "341 340:.4 418:.4 338:.3 337:.2",
    "Cat": "76 78 80 77 79:.3",
    "Horse": "82 83 84",
    "Toilet flush": "368 444:.3 365:.3 366:.3 445:.3 446:.3 291:.3 282:.2",
    "Rodents, rats, mice": "118 119 120:.4",
    "Accordion": "204 203:.4 150:.2",
    "Mandolin": "144 134:.4 135:.2 146:.2",
}
_OTHERS: Final[dict[str, str]] = {
    "speech": "0 1 2 3 5 6 9 12 63 65",
    "child": "1 4 10 14 29",
    "singing": "24-32 249 250",
    "laughter": "13-18",
    "music": "132 133",
    "other instrument": "147-172 174-183 188 189 192-194 205 206",
    "bird or farm animal": "85-89 93-116",
    "insect": "121-129",
    "vehicle": "294 300-302",
    "engine": "337 342-347",
    "alarm": "304 317-319 382-396 475",
    "water": "282-291 364-366 438-448",
    "impact or tool": "352-360 411-420 431-437 454-474",
    "mechanism": "362 363 367 370 371 376 398 404-410",
    "wind or noise": "277-281 507-516",
    "silence": "494",
}
# What is almost the event. Where AudioSet hears such a neighbour as clearly as the event itself, half the
# score is left; the scale of evidence is logarithmic, so that little is lost where the event is clear.
_NEIGHBOURS: Final[dict[str, str]] = {
    "Church bell": "197 198 201 384",
    "Fixed-wing aircraft, airplane": "333 371",
    "Helicopter": "334 371",
    "Violin, fiddle": "188 189",
    "Flute": "192 193 203",
    "Frying (food)": "283-285 292 364 365",
    "Motorcycle": "340 341 363 371",
    "Train horn": "302-304 390 395",
    "Clock": "359 378 380",
    "Goat": "20 70 85 86 88 89 92:.8",
    "Baby cry, infant cry": "13-18 76 92",
    "Chainsaw": "320 339 340 363 367 371 376 405 414 418 419",
    "Cat": "20",
    "Horse": "85 86 88 89 92",
    "Toilet flush": "283 285 288 289 364-366",
    "Rodents, rats, mice": "106 355",
    "Accordion": "150 192 203",
}
CONCEPTS: Final[tuple[str, ...]] = (*EVENT_NAMES, *_OTHERS)


def concept_weights() -> NDArray[np.float32]:
    """[concepts, 521] non-negative weights, rows in the order of `CONCEPTS`."""
    return _weights({**_EVENTS, **_OTHERS}, CONCEPTS)


def neighbour_weights() -> NDArray[np.float32]:
    """[28, 521] non-negative weights of what is almost each event."""
    return _weights(_NEIGHBOURS, EVENT_NAMES)


def _weights(rows: dict[str, str], names: tuple[str, ...]) -> NDArray[np.float32]:
    weights = np.zeros((len(names), AUDIOSET_CLASSES), np.float32)
    for name, row in rows.items():
        for item in row.split():
            span, _, weight = item.partition(":")
            first, _, last = span.partition("-")
            weights[names.index(name), int(first) : int(last or first) + 1] = float(weight or 1.0)
    return weights
