"""`avel teach NAME --define`: a class as a rule over what the networks know already; and its threshold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import typer

from ....model.teach.concepts import chosen, names
from ....model.teach.demands import threshold_of
from ....model.teach.judge import log_odds
from ....model.teach.pack import USED, Card, Mode, Pack, checked_name
from ....model.teach.probe import Doubles, both
from ....model.teach.senses import Sense, Sensed, Senses
from ...config.schema import Config
from ...core.errors import UsageError
from ...ui.console import Console
from ..calibrate.store import now, per_hour_of
from .gather import Tell, background, senses_of
from .lessons import Wanted, bank_of, new_id
from .manage import check_free, install, say

LOWEST: dict[Sense, float] = {"audio": 0.0, "visual": -1.0}
"""No threshold is lower, in log-odds: the classifier must at least say so. ImageNet's thousand share."""


def define_class(config: Config, wanted: Wanted, hears: str, sees: str) -> None:
    """Define, tell, install.

    Raises:
        UsageError: nothing to go by, or examples beside a rule.
        ModelFileError: a concept that the networks do not know.

    """
    if wanted.examples:
        raise UsageError(
            "--define takes no examples; leave --define, --hears and --sees away to teach from them"
        )
    rule: dict[Sense, list[int]] = {"audio": chosen("audio", hears), "visual": chosen("visual", sees)}
    mode: Mode = "both" if hears and sees else "heard" if hears else "seen"
    if not (hears or sees):
        raise UsageError("--define wants --hears, --sees, or both; `avel concepts WORD` finds what there is")
    name, per_hour = checked_name(wanted.name), per_hour_of(wanted.budget)
    check_free(name, replacing=wanted.replace)
    with Console(stderr=True).status("loading the networks") as status:
        senses = senses_of(config)
        for one in USED[mode]:
            if not senses.classes(one):
                raise UsageError(
                    f"profile {config.profile} has no concepts of its own; use lite, lite-yamnet or full"
                )
        card = Card(
            id=new_id(name),
            name=name,
            made=now(),
            mode=mode,
            profile=config.profile,
            senses={one: senses.digest(one) for one in USED[mode]},
            threshold=0.0,
            false_alarms_per_hour=per_hour,
            hears=rule["audio"],
            sees=rule["visual"],
            background=[str(path.resolve()) for path in wanted.background],
        )
        pack = ruled(card, senses, wanted.background, status.update)
    threshold = pack.card.threshold
    if wanted.json:
        typer.echo(json.dumps({"name": name, **{one: rule[one] for one in rule}, "threshold": threshold}))
    else:
        _tell(name, rule, threshold)
    if not wanted.dry_run:
        path = install(pack, replacing=wanted.replace)
        if not wanted.json:
            say(f"installed: {path}")


def ruled(card: Card, senses: Senses, recordings: Sequence[Path], tell: Tell) -> Pack:
    """A rule with the threshold that keeps its budget, by what ships as background and by the place's own."""
    mode, used = card.mode, USED[card.mode]
    bank = bank_of(senses, mode)
    quiet = _quiet(card, {one: senses.classified(one, bank[one]) for one in used})
    own = np.zeros(0)
    if recordings:
        seconds = background(recordings, senses, used, tell).with_all(used)
        mine = {one: senses.classified(one, seconds.arrays[one]) for one in used}
        own = log_odds(Pack(card), mine) if len(seconds) else own
    lowest = min(LOWEST[one] for one in used)
    return Pack(replace(card, threshold=max(lowest, threshold_of(quiet, own, card.false_alarms_per_hour))))


def _quiet(card: Card, sensed: dict[Sense, Sensed]) -> Doubles:
    """Log-odds of the rule over what ships as background; sounds with pictures where both are asked."""
    each = [
        log_odds(Pack(replace(card, mode="heard" if one == "audio" else "seen")), {one: made})
        for one, made in sensed.items()
    ]
    if len(each) == 1:
        return each[0]
    first, second = each
    rng = np.random.default_rng(0)
    sound = np.repeat(second, 12)
    return both(rng.choice(first, len(sound)), sound)


def _tell(name: str, rule: dict[Sense, list[int]], threshold: float) -> None:
    heard = ", ".join(names("audio")[k] for k in rule["audio"]) or "–"
    seen = ", ".join(names("visual")[k] for k in rule["visual"]) or "–"
    sure = 1 / (1 + np.exp(-threshold))
    say(f"{name}: heard as {heard}; seen as {seen}; from a probability of {sure:.2f} on")
    say("  a rule knows what the networks know; five examples usually tell it better")
    if sure > 0.95:
        say("  the threshold is high: these concepts are often said of other things, too")
