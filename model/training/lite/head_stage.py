"""The head's half of `avel train lite`: a committee of heads for a profile, and its prior.

Every member is kept when it is done; a killed run goes on with the next one.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final, cast

import torch

from ...backbones.audio_evidence import DIM as AUDIO_DIM
from ...backbones.visual_evidence import DIM as VISUAL_DIM
from ...checkpoint import load_checkpoint, save_checkpoint
from ...committee import Committee
from ...diia import DIIA, DIIAConfig
from ...profiles import get_profile
from .compose import Composer
from .head import HeadSettings, background_shift, scene_accuracy, train_head
from .material import Batch, PicturePool, TakePool
from .recipe import NOTHING, PLAIN, RECIPE
from .stages import Report

HEAD: Final = DIIAConfig(
    visual_dim=VISUAL_DIM,
    audio_dim=AUDIO_DIM,
    guided_dim=96,
    spatial_dim=32,
    width=128,
    ffn=192,
    dropout=0.05,
)


def head_config(profile: str) -> DIIAConfig:
    """The head of a light profile."""
    return replace(HEAD, audio_dim=get_profile(profile).audio.dim)


MEMBERS: Final = 3
"""Heads of a committee; they differ in their seeds."""
# A hundredth of six batches were three scenes, and the prior a matter of luck.
NOTHING_BATCHES: Final = 40
FALSE_SECONDS: Final = {"lite": 0.015, "lite-yamnet": 0.005}
"""Share of the seconds of held-out scenes without any event in view or hearing that the head that ships
gives an event; see `background_shift`. The better ear is surer of what it takes for an event, and says more
of it in a quiet room: it gets less of a start."""


def train_committee(
    profile: str,
    pictures: tuple[PicturePool, PicturePool],
    takes: tuple[TakePool, TakePool],
    work: Path,
    target: Path,
    settings: HeadSettings,
    seed: int,
    report: Report = lambda *_: None,
) -> float:
    """Train the heads of a profile and write them as one; returns their accuracy on held-out scenes.

    Args:
        profile: whose.
        pictures: to learn from, and held out.
        takes: heard by the profile's ear, to learn from, and held out.
        work: where members are kept.
        target: the checkpoint.
        settings: of each head; their seeds count up from its seed.
        seed: of the first head's scenes.
        report: what a progress bar listens to.

    """
    validation = [Composer(pictures[1], takes[1], PLAIN, number).batch(64) for number in range(6)]
    members = []
    for number in range(MEMBERS):
        composer = Composer(pictures[0], takes[0], RECIPE, seed + number)
        own = replace(settings, seed=settings.seed + number)
        path = work / f"head_{profile}_{number}.safetensors"
        members.append(_member(profile, own, composer, validation, path, report))
    nothing = [
        Composer(pictures[1], takes[1], NOTHING, 20 + number).batch(64) for number in range(NOTHING_BATCHES)
    ]
    head = Committee(members)
    shift = background_shift(head, nothing, FALSE_SECONDS[profile])
    with torch.no_grad():
        for member in members:
            member.classify.bias[-1] += shift
    accuracy, _ = scene_accuracy(head, validation)
    info = {"validation_accuracy": accuracy, "steps": settings.steps, "seed": settings.seed}
    save_checkpoint(target, head, profile=profile, info=info, stored="int8")
    return accuracy


def _member(
    profile: str,
    settings: HeadSettings,
    composer: Composer,
    validation: list[Batch],
    path: Path,
    report: Report,
) -> DIIA:
    """One head, trained or as it was kept."""
    if not path.is_file():

        def told(step: int, cost: float, accuracy: float, events: float) -> None:
            text = f"loss {cost:.3f}, validation {accuracy:.3f}, events {events:.3f}"
            report(path.stem, step / settings.steps, text)

        member, accuracy = train_head(head_config(profile), settings, composer, validation, told)
        info = {"validation_accuracy": accuracy, "steps": settings.steps, "seed": settings.seed}
        save_checkpoint(path, member, profile=profile, info=info)
    return cast("DIIA", load_checkpoint(path, profile=profile)[0])
