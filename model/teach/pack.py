"""A taught class on disk: one safetensors file, numbers and their metadata, never code.

    audio.weight, audio.mean, visual.…   the probes                       (classes taught by examples)
    kept.audio, kept.visual, kept.of     embeddings of the examples' seconds, float16, and whose each is
    kept.own_audio, kept.own_visual      the same of the user's own background
    kept.sound, kept.picture, …          with `--keep`: seconds that can be heard and seen

The metadata holds one entry, `avel_taught`: JSON with what `Card` describes. A pack is bound to the senses it
uses, by the digest of each network with its weights (`senses.sense_digest`); the head may be another one.
Without `--keep` nothing can be heard or seen again from what is kept, but the names of the example files, and
where they lie, stand in it; `handed_on` takes out both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelFileError, first_line
from ..files import data_dir, replacing
from .probe import Floats, Probe
from .senses import Sense

VERSION: Final = 1
SUFFIX: Final = ".avel-class"
"""A safetensors file; the name says that it is no network."""
_KEY: Final = "avel_taught"
_LARGEST: Final = 64_000_000
_LONGEST_NAME: Final = 80

Mode = Literal["both", "heard", "seen"]
USED: Final[dict[Mode, tuple[Sense, ...]]] = {
    "both": ("visual", "audio"),
    "heard": ("audio",),
    "seen": ("visual",),
}


@dataclass(frozen=True)
class Card:
    """What a pack says of itself.

    Attributes:
        id: stays when the class is renamed; topics and files may rely on it.
        name: how the class is called.
        made: when, ISO 8601.
        mode: which senses must agree.
        profile: whose eye and ear, for people.
        senses: digest of each sense that is used.
        threshold: log-odds from which a second by itself is the event.
        false_alarms_per_hour: what the threshold was chosen for.
        examples: names of the files it was taught with, in the order of `kept.of`.
        found: how many of the examples the others lead to.
        biases: of the probes, by sense.
        hears: AudioSet classes of a rule, by number; empty = taught by examples.
        sees: ImageNet classes of a rule.
        marks: of remembered events, which it was taught with.
        floors: log-odds that each sense by itself must reach, where two must agree.
        sources: where each example lies, in their order: path, start and end in seconds (None: all of it).
            Empty where it was taught live.
        background: paths of recordings of the place.

    """

    id: str
    name: str
    made: str
    mode: Mode
    profile: str
    senses: dict[str, str]
    threshold: float
    false_alarms_per_hour: float
    examples: list[str] = field(default_factory=list)
    found: int = 0
    biases: dict[str, float] = field(default_factory=dict)
    hears: list[int] = field(default_factory=list)
    sees: list[int] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    floors: dict[Sense, float] = field(default_factory=dict)
    sources: list[tuple[str, float | None, float | None]] = field(default_factory=list)
    background: list[str] = field(default_factory=list)

    @property
    def is_rule(self) -> bool:
        """Whether it was defined by concepts rather than taught by examples."""
        return bool(self.hears or self.sees)


@dataclass(frozen=True)
class Pack:
    """A taught class.

    Attributes:
        card: see there.
        probes: by sense; empty for a rule.
        kept: what it can be taught again from; see the module.

    """

    card: Card
    probes: dict[Sense, Probe] = field(default_factory=dict)
    kept: dict[str, NDArray[np.generic]] = field(default_factory=dict)

    def renamed(self, name: str) -> Pack:
        """The same class under another name."""
        return replace(self, card=replace(self.card, name=checked_name(name)))


def checked_name(name: str) -> str:
    """A class name that can stand in labels and lists.

    Raises:
        ModelFileError: empty, too long, or with line breaks or `;`, which separates names in lists.

    """
    plain = " ".join(name.split())
    if not plain or len(plain) > _LONGEST_NAME or ";" in plain or plain.startswith("-"):
        raise ModelFileError(
            f"class name {name!r}: expected 1 to {_LONGEST_NAME} characters, no `;`, no `-` at its beginning"
        )
    return plain


def folder() -> Path:
    """Where installed packs lie: `taught` in the user's data folder."""
    return data_dir() / "taught"


def installed() -> list[Path]:
    """Every installed pack, in the order in which they were first taught."""
    found = [path for path in folder().glob(f"*{SUFFIX}") if not path.name.startswith(".")]
    return sorted(found)


def path_of(card: Card) -> Path:
    """Where a pack is installed; the name begins with when it was made first, so that lists keep an order."""
    stem = re.sub(r"[^0-9]", "", card.made)[:14]
    return folder() / f"{stem}-{card.id}{SUFFIX}"


def save(pack: Pack, path: Path) -> None:
    """Write a pack, whole or not at all.

    Raises:
        OSError: it can't be written.

    """
    from safetensors.numpy import save_file

    arrays: dict[str, NDArray[Any]] = {f"kept.{name}": value for name, value in pack.kept.items()}
    for sense, probe in pack.probes.items():
        arrays |= {f"{sense}.weight": probe.weight, f"{sense}.mean": probe.mean}
    arrays = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    if not arrays:
        arrays = {"rule": np.zeros(1, np.uint8)}  # a file of no numbers is none to some readers
    text = json.dumps({"version": VERSION, **asdict(pack.card)}, ensure_ascii=False, sort_keys=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, fsync=True) as temporary:
        save_file(arrays, temporary, {_KEY: text})


def load(path: Path) -> Pack:
    """Read and check a pack.

    Raises:
        ModelFileError: missing, damaged, no pack, or of another version; one line with the fix.

    """
    from safetensors import SafetensorError, safe_open

    again = "teach it again, or remove it with `avel teach remove`"
    try:
        if path.stat().st_size > _LARGEST:
            raise ModelFileError(f"taught class {path}: too large to be one; {again}")
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(_KEY)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except OSError as error:
        raise ModelFileError(f"taught class {path}: can't be read ({error.strerror or error})") from error
    except (SafetensorError, ValueError, TypeError) as error:
        raise ModelFileError(f"taught class {path}: damaged ({first_line(error)}); {again}") from error
    if text is None:
        raise ModelFileError(f"taught class {path}: a safetensors file, but no taught class; {again}")
    return Pack(*_read(path, text, arrays, again))


def _read(
    path: Path, text: str, arrays: Mapping[str, NDArray[Any]], again: str
) -> tuple[Card, dict[Sense, Probe], dict[str, NDArray[np.generic]]]:
    try:
        tree = json.loads(text)
        version = tree.pop("version")
        if version != VERSION:
            raise ModelFileError(f"taught class {path}: expected version {VERSION}, got {version!r}; {again}")
        for later in ("marks", "sources", "background"):  # packs of before there were any
            tree.setdefault(later, [])
        tree["floors"] = {one: float(floor) for one, floor in tree.get("floors", {}).items()}
        tree["sources"] = [_source(row) for row in tree["sources"]]
        card = Card(**{name: tree[name] for name in (one.name for one in fields(Card))})
        name = checked_name(card.name)
        if name != card.name or card.mode not in USED or not re.fullmatch(r"[0-9a-f]{8}", card.id):
            raise ValueError("its name, id or mode")
        probes: dict[Sense, Probe] = {}
        if not card.is_rule:
            for sense in USED[card.mode]:
                weight, mean = arrays[f"{sense}.weight"], arrays[f"{sense}.mean"]
                if weight.ndim != 1 or weight.shape != mean.shape or not np.isfinite(weight).all():
                    raise ValueError(f"{sense}.weight")
                probes[sense] = Probe(_f32(mean), _f32(weight), float(card.biases[sense]))
        if not np.isfinite([card.threshold, *card.floors.values()]).all():
            raise ValueError("its threshold or floors")
        if any(one not in card.senses for one in USED[card.mode]) or set(card.floors) - set(USED[card.mode]):
            raise ValueError("its senses")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"taught class {path}: damaged ({first_line(error)}); {again}") from error
    kept = {n.removeprefix("kept."): value for n, value in arrays.items() if n.startswith("kept.")}
    return card, probes, kept


def _source(row: Any) -> tuple[str, float | None, float | None]:
    path, *span = row
    first, last = (None if one is None else float(one) for one in span)
    return str(path), first, last


def _f32(values: NDArray[Any]) -> Floats:
    return np.asarray(values, np.float32)


def find(name: str, among: Sequence[Path]) -> Path:
    """The installed pack of a class, by name (case and spaces do not matter) or id.

    Raises:
        ModelFileError: there is none; says which there are.

    """
    wanted = " ".join(name.lower().split())
    cards: dict[Path, str] = {}
    for path in among:
        try:
            card = load(path).card
        except ModelFileError:
            if wanted in (path.name.lower(), path.stem.lower(), path.stem.rpartition("-")[2]):
                return path  # a damaged one can be named by its file, to be removed
            continue
        cards[path] = card.name
        if wanted in (card.name.lower(), card.id):
            return path
    known = ", ".join(cards.values())
    raise ModelFileError(
        f"no taught class {name!r}; " + (f"there are: {known}" if known else "none is taught yet")
    )
