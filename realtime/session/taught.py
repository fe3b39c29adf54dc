"""Which taught classes a stream knows: those that are installed, fit its networks, and are wanted."""

from __future__ import annotations

from dataclasses import dataclass

from ...model.errors import ModelFileError
from ...model.runtime.base import Engine, EngineOptions
from ...model.teach.judge import Taught, check_fits
from ...model.teach.pack import USED, Pack, installed, load
from ...model.teach.senses import SENSES, Sense, Senses
from ..config.schema import NONE, Config, folded


@dataclass(frozen=True)
class Classes:
    """What a stream can say.

    Attributes:
        labels: of the networks, then the taught ones, *background* last.
        taught: those that were taught; None where there are none.
        note: what is installed and not used, and why.

    """

    labels: tuple[str, ...]
    taught: Taught | None = None
    note: str = ""

    @property
    def count(self) -> int:
        """How many were taught."""
        return 0 if self.taught is None else len(self.taught.names)


def classes_of(config: Config, engine: Engine) -> Classes:
    """The classes of a stream with these networks.

    Without `--taught` every installed class that fits is used, and what does not fit is noted; one that is
    named must fit. A damaged file is an error either way: nobody should miss a doorbell without a word.

    Raises:
        ModelFileError: a pack is damaged, missing, for other networks, or called like a class of theirs.

    """
    labels = engine.info.labels
    if NONE in config.taught:
        return Classes(labels)
    packs = [load(path) for path in installed()]
    chosen = _named(config.taught, packs) if config.taught else packs
    if not chosen:
        return Classes(labels)
    senses = Senses(
        EngineOptions(
            profile=engine.profile.name,
            audio_weights=config.audio_weights,
            visual_weights=config.visual_weights,
        )
    )
    wanted = {one for pack in chosen for one in USED[pack.card.mode]}
    digests: dict[Sense, str] = {one: senses.digest(one) for one in SENSES if one in wanted}
    reasons = {pack.card.id: _unfit(pack, digests, engine) for pack in chosen}
    wrong = [error for error in reasons.values() if error is not None]
    if wrong and config.taught:
        raise wrong[0]
    note = "; ".join(f"not used: {error}" for error in wrong)
    fit = [pack for pack in chosen if reasons[pack.card.id] is None]
    if not fit:
        return Classes(labels, note=note)
    names = tuple(pack.card.name for pack in fit)
    return Classes((*labels[:-1], *names, labels[-1]), Taught(fit, senses), note)


def _named(names: tuple[str, ...], packs: list[Pack]) -> list[Pack]:
    by_name = {folded(pack.card.name): pack for pack in packs} | {pack.card.id: pack for pack in packs}
    found = []
    # A list in one flag: class names of one's own may well hold commas, so whole names are tried first.
    for name in names:
        parts = [name] if folded(name) in by_name else [part.strip() for part in name.split(",")]
        for part in parts:
            if folded(part) not in by_name:
                known = ", ".join(pack.card.name for pack in packs)
                raise ModelFileError(
                    f"--taught {part!r}: no such class; "
                    + (f"taught are: {known}" if known else "none is taught yet, see `avel teach`")
                )
            found.append(by_name[folded(part)])
    return list({pack.card.id: pack for pack in found}.values())


def _unfit(pack: Pack, digests: dict[Sense, str], engine: Engine) -> ModelFileError | None:
    """Why a class can't be used with these networks; None where it can."""
    try:
        check_fits(pack, digests, engine.profile.name)
    except ModelFileError as error:
        return error
    if folded(pack.card.name) in {folded(label) for label in engine.info.labels}:
        return ModelFileError(
            f"taught class {pack.card.name!r}: the networks know a class of that name; "
            f"call yours otherwise with `avel teach rename {pack.card.id} NEW`"
        )
    return None
