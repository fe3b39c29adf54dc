"""`avel teach NAME --from-marks`: a class is taught with what people said of its events, if that helps.

Every third of the marks is held out. The class is taught with the others and with what its pack keeps of
earlier examples; it is installed, taught with all of them, only where it judges more of those that were held
out rightly than the class does that is there. A class that is not there yet has nothing to be better than.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import typer

from ....model.errors import ModelFileError
from ....model.teach.judge import check_fits, log_odds
from ....model.teach.lesson import LEAST, Everything, Lesson, Seconds, teach
from ....model.teach.pack import USED, Card, Pack, checked_name, find, installed, load
from ....model.teach.senses import SENSES, Sense, Sensed, Senses
from ...config.schema import Config
from ...core.errors import SourceError, UsageError
from ...ui.console import Console
from ..calibrate.store import now, per_hour_of
from .examples import Example
from .gather import Gathered, Tell, background, gather, joined, segments_of, sensed, senses_of
from .lessons import Wanted, bank_of, enough_background, keep, new_id, refuse
from .manage import check_free, install, say
from .marks import EVERY, Mark, read_marks
from .material import KEYS


@dataclass
class Looked:
    """Marks that could be looked at, and their seconds; of either kind numbered from 0."""

    right: list[Mark]
    seconds: Seconds
    wrong: list[Mark]
    others: Seconds

    def judged_rightly(self, pack: Pack) -> int:
        """Of how many marks a class says what the person said."""
        above = [
            (_best(pack, seconds, len(marks)) >= pack.card.threshold).sum()
            for marks, seconds in ((self.right, self.seconds), (self.wrong, self.others))
        ]
        return int(above[0] + len(self.wrong) - above[1])

    def __len__(self) -> int:
        return len(self.right) + len(self.wrong)


@dataclass
class Ground:
    """What a class stands on before the marks: what its pack keeps, and the background that was given."""

    names: list[str]
    seconds: Seconds
    own: Seconds
    sources: list[tuple[str, float | None, float | None]] = field(default_factory=list)
    background: list[str] = field(default_factory=list)
    material: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)

    def with_marks(self, *looked: Looked) -> Ground:
        """The same with marks."""
        names, seconds, own = list(self.names), self.seconds, self.own
        sources = self.sources[: len(names)]
        sources += [("", None, None)] * (len(names) - len(sources))
        for one in looked:
            if one.right:
                more = replace(one.seconds, of=one.seconds.of + len(names))
                seconds = joined(seconds, more) if names else more
                names += [mark.name for mark in one.right]
                sources += [(str(mark.clip.resolve()), *mark.span) for mark in one.right]
            own = joined(own, one.others)
        return replace(self, names=names, seconds=seconds, own=own, sources=sources)


def teach_from_marks(config: Config, wanted: Wanted, memory_file: Path | None) -> None:
    """Look, teach, compare, install.

    Raises:
        UsageError: too few marks, or it did not get better; nothing is installed then.
        ModelFileError: the class that is there was taught with other networks.
        MemoryFileError: the memory can't be read.

    """
    name = checked_name(wanted.name)
    if wanted.examples:
        raise UsageError("--from-marks takes no examples: the marks are the examples")
    old = _there(name)
    check_free(name, replacing=True)
    mode = old.card.mode if old is not None and not (wanted.heard or wanted.seen) else wanted.mode
    path = memory_file or config.memory.file
    marks = read_marks(path, name, old.card.marks if old is not None else ())
    notes = list(marks.notes)
    with Console(stderr=True).status("loading the networks") as status:
        senses = senses_of(config, old.card.profile if old is not None else None)
        if old is not None:
            check_fits(old, {one: senses.digest(one) for one in USED[old.card.mode]}, senses.profile.name)
        used = USED[mode]
        held, rest = (
            _looked(marks.part(held=part), senses, used, status.update, notes) for part in (True, False)
        )
        ground = _ground(old, used)
        if wanted.background:
            ground.own = joined(ground.own, background(wanted.background, senses, used, status.update))
            ground.background += [str(path.resolve()) for path in wanted.background]
        _enough(len(ground.names), rest, held, old)
        status.update("learning")
        made = _taught(_card(name, old, wanted, senses, mode), ground.with_marks(rest), senses)
        after, before = held.judged_rightly(made[0]), held.judged_rightly(old) if old is not None else None
        better = before is None or after > before
        final = _taught(made[0].card, ground.with_marks(rest, held), senses) if better else made
        refusal = refuse(final[1], mode)
    notes += _verdict(after, before, len(held))
    if better and not refusal and not wanted.dry_run:
        card = replace(
            final[0].card,
            marks=[*(old.card.marks if old is not None else ()), *(m.name for m in marks.found)],
        )
        notes.append(f"installed: {install(replace(final[0], card=card), replacing=True)}")
    if wanted.json:
        told = {
            "name": name,
            "marks": len(marks.found),
            "held_out": len(held),
            "right": after,
            "before": before,
        }
        typer.echo(json.dumps({**told, "installed": better and not (refusal or wanted.dry_run)}))
    else:
        for note in notes:
            say(f"{name}: {note}")
    if refusal or not better:
        raise UsageError(
            f"{name}: not taught: {refusal or 'it is no better with these marks; nothing changed'}"
        )


def _there(name: str) -> Pack | None:
    try:
        return load(find(name, installed()))
    except ModelFileError:
        return None


def _looked(
    marks: Sequence[Mark], senses: Senses, used: tuple[Sense, ...], tell: Tell, notes: list[str]
) -> Looked:
    """What the senses make of marks; what they can't make anything of is noted."""
    nobody = Gathered().seconds()
    right, seconds = list[Mark](), list[Seconds]()
    for mark in (mark for mark in marks if mark.is_it):
        try:
            some, _ = gather([Example(mark.clip, mark.span)], senses, used, tell, around=False)
        except SourceError as error:
            notes.append(f"event {mark.event} is left out: {error}")
            continue
        seconds.append(replace(some, of=some.of + len(right)))
        right.append(mark)
    wrong, into = list[Mark](), Gathered()
    for mark in (mark for mark in marks if not mark.is_it):
        tell(f"looking at {mark.name}")
        start, end = mark.span
        try:
            for segment in segments_of(mark.clip, start, end - start):
                into.add(sensed(senses, segment, used), len(wrong))
        except SourceError as error:
            notes.append(f"event {mark.event} is left out: {error}")
            continue
        wrong.append(mark)
    return Looked(right, joined(*seconds) if seconds else nobody, wrong, into.seconds())


def _best(pack: Pack, seconds: Seconds, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """[count] log-odds of the best second of each mark."""
    used = USED[pack.card.mode]
    some = seconds.where(~seconds.copy).with_all(used)
    best = np.full(count, -np.inf)
    if len(some):
        nothing = np.zeros((len(some), 0), np.float32)
        given: dict[Sense, Sensed] = {one: Sensed(some.arrays[one], nothing) for one in used}
        np.maximum.at(best, some.of, log_odds(pack, given))
    return best


def _ground(old: Pack | None, used: tuple[Sense, ...]) -> Ground:
    """What a pack keeps; nothing of a rule, or where senses are wanted that it was not taught with."""
    nobody = Gathered().seconds()
    if old is None or old.card.is_rule or not set(used) <= set(USED[old.card.mode]):
        return Ground([], nobody, nobody)
    of = old.kept["of"].astype(np.int64)
    return Ground(
        list(old.card.examples),
        _kept(old, used, "", of),
        _kept(old, used, "own_", None),
        list(old.card.sources),
        list(old.card.background),
        {key: value for key, value in old.kept.items() if key in KEYS},
    )


def _kept(pack: Pack, used: tuple[Sense, ...], prefix: str, of: np.ndarray | None) -> Seconds:
    rows = {one: pack.kept[f"{prefix}{one}"] for one in used if f"{prefix}{one}" in pack.kept}
    count = len(next(iter(rows.values()))) if len(rows) == len(used) else 0
    nothing = np.zeros((count, 0), np.float32)
    return Seconds(
        {one: np.asarray(rows[one], np.float32) if count and one in rows else nothing for one in SENSES},
        {one: np.full(count, one in rows) for one in SENSES},
        np.zeros(count, np.int64) if of is None else of,
        np.zeros(count, np.bool_),
    )


def _enough(kept: int, rest: Looked, held: Looked, old: Pack | None) -> None:
    """Refuse what can't be taught from, or could not be told to be better.

    Raises:
        UsageError: with what there is.

    """
    if kept + len(rest.right) < LEAST:
        raise UsageError(
            f"{len(rest.right)} marked examples, and {len(held.right)} held out: {LEAST} are the least"
        )
    if old is not None and not len(held):
        raise UsageError(
            f"{len(rest)} new marks are too few to tell whether they help: {EVERY} of a kind at least"
        )


def _card(name: str, old: Pack | None, wanted: Wanted, senses: Senses, mode: str) -> Card:
    per_hour = per_hour_of(wanted.budget)
    if old is not None and wanted.budget == Wanted.BUDGET:
        per_hour = old.card.false_alarms_per_hour
    return Card(
        id=new_id(name),
        name=old.card.name if old is not None else name,
        made=old.card.made if old is not None else now(),
        mode=mode,  # type: ignore[arg-type]  # one of the three
        profile=senses.profile.name,
        senses={one: senses.digest(one) for one in USED[mode]},  # type: ignore[index]
        threshold=0.0,
        false_alarms_per_hour=per_hour,
    )


def _taught(card: Card, ground: Ground, senses: Senses) -> tuple[Pack, Lesson]:
    other = Everything(bank_of(senses, card.mode), ground.own)
    enough_background(other, card.mode, senses)
    where = [name.partition(" in ")[2] or name.rsplit(" ", 2)[0] for name in ground.names]
    groups = [where.index(one) for one in where]
    lesson = teach(ground.seconds, groups, other, card.mode, card.false_alarms_per_hour)
    told = replace(
        card,
        threshold=lesson.threshold,
        floors=dict(lesson.floors),
        examples=ground.names,
        sources=ground.sources,
        background=ground.background,
        found=int(lesson.found.sum()),
        biases={one: probe.bias for one, probe in lesson.probes.items()},
    )
    kept = {**keep(ground.seconds, ground.own, card.mode), **ground.material}
    return Pack(told, lesson.probes, kept), lesson


def _verdict(after: int, before: int | None, count: int) -> list[str]:
    if not count:
        return ["too few marks to hold some out; what to expect is told by leaving each example out in turn"]
    was = "" if before is None else f"; the class that is there, of {before}"
    return [f"of {count} marks that were held out it judges {after} rightly{was}"]
