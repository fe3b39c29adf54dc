"""How often each kind of scene is composed, to learn from, to pick by, and to set the prior by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

PLANS: Final = ("both", "heard", "seen", "neither", "wrong", "change", "beneath", "near")


@dataclass(frozen=True)
class Recipe:
    """How often each kind of scene is composed; those of `PLANS` are shares that need not sum to 1.

    Attributes:
        both: the event is seen and heard.
        heard: only heard; something else, or nothing known, is seen.
        seen: only seen.
        neither: neither.
        wrong: one event is seen while another is heard.
        change: one event follows another, each seen and heard.
        beneath: the event is seen and heard beneath a louder one that is not seen.
        near: the event is seen while what is almost it is heard (`neighbours`).
        lend: probability that an event is shown by a lent picture although it has its own.
        relabel: probability that two events trade places.
        drop: probability that a modality is missing for some seconds.
        alike: where an event is only seen and none is heard, probability that what is heard sounds like it.
        mimic: in such scenes, probability that a voice that is no speech, or a laughing child, is heard.
        voices: probability that men's and women's voices trade places.
        slip: probability that the ear takes up to half of the seconds of a voice for one of the other kind.
        clear: probability that of two takes the one is chosen in which the ear hears the event better.
        lasting: probability that of six takes one is chosen in which the event lasts longest, and the ear
            hears it best: of AVE's annotated events two thirds fill their ten seconds.
        hush: probability that the ear's own classes hardly hear the event.
        mishear: probability that they, or a reader, hear one to four that are not there, often the one seen.
        weak: where an event is seen and heard, probability that it is far away or soft for all ten seconds.
        brief: where an event is only seen and none is heard, probability that it is heard, weakly, for a
            moment.
        pauses: where an event is seen and heard, probability that it stops for a second or two.
        steady: probability that the camera and what it films hardly move: a subject is seen in much the same
            view for as long as it is shown. Otherwise every second has a view of its own.

    """

    both: float = 0.48
    heard: float = 0.14
    seen: float = 0.12
    neither: float = 0.12
    wrong: float = 0.10
    change: float = 0.10
    beneath: float = 0.06
    near: float = 0.0
    lend: float = 0.4
    relabel: float = 0.3
    drop: float = 0.25
    alike: float = 0.4
    mimic: float = 0.5
    voices: float = 0.5
    slip: float = 0.5
    clear: float = 0.0
    lasting: float = 0.5
    hush: float = 0.3
    mishear: float = 0.5
    weak: float = 0.0
    brief: float = 0.0
    pauses: float = 0.0
    steady: float = 0.0

    @property
    def shares(self) -> tuple[float, ...]:
        """Of the kinds of scenes, in the order of `PLANS`."""
        return tuple(getattr(self, plan) for plan in PLANS)


RECIPE: Final = Recipe(
    both=0.47,
    heard=0.20,
    seen=0.10,
    neither=0.10,
    wrong=0.07,
    change=0.12,
    near=0.08,
    clear=0.7,
    pauses=0.2,
)
"""What the bundled heads learn from; what each part of it earns stands in the model card."""
PLAIN: Final = Recipe(relabel=0, hush=0, mishear=0, slip=0, mimic=0)
"""Scenes as they are, to pick checkpoints by."""
NOTHING: Final = replace(PLAIN, both=0, heard=0, seen=0, neither=1, wrong=0, change=0, beneath=0, drop=0)
