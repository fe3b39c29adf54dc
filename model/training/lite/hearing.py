"""Takes of sound as the head will hear them: evidence by an ear that has never heard the recording.

An ear is surest about what it learnt from. A head trained on that would trust it too much, so takes are
made fold by fold: those of a fold's sources are heard by a student trained without them. Such a student has
also learnt less than the one at work, and what people film is heard more clearly by that one than these
takes are by those: so a part of the takes of events is heard by the one at work after all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from ...backbones.audio_evidence import AudioEvidence
from ...labels import BACKGROUND
from ...profiles import PROFILES, get_profile
from .audio_data import SoundBank
from .audio_measure import source_folds
from .audio_pool import group_names
from .material import SPEECH, TakePool
from .neighbours import near
from .stages import keep_arrays
from .takes import TakeMaker, Takes, Wave, join

PER_EVENT: Final = {"train": 240, "validation": 40}
PER_NEIGHBOURS: Final = {"train": 60, "validation": 20}
"""Of what is almost one event."""
BACKGROUNDS: Final = {"train": 2_000, "validation": 300}
KNOWN: Final = 3
"""Of the takes of events to learn from, one in so many is heard by the ear that ships."""
_HELD_OUT: Final = 6
"""One recording in so many is kept for validation."""


def heard_by(profile: str) -> str:
    """The profile under whose name takes are kept: the first with the same ear; they serve all of them."""
    ear = get_profile(profile).audio
    return next(other.name for other in PROFILES.values() if other.audio == ear)


def kept_for_validation(file: str) -> bool:
    """By the hash of its name, so that adding recordings moves none of the others."""
    return sha256(file.encode()).digest()[0] % _HELD_OUT == 0


def make_takes(
    bank: SoundBank,
    fold: int,
    part: str,
    rooms: tuple[Wave, ...],
    seed: int,
    progress: Callable[[float], None],
) -> Takes:
    """The takes of one fold's sources, for `part` "train" or "validation"."""
    folds, names = source_folds(bank), group_names(bank)
    groups = [{names[g] for g in members} for members in folds]
    allowed = [i for i, s in enumerate(bank.sounds) if s.trainable]
    mine = [i for i in allowed if bank.sounds[i].group in groups[fold]]
    chosen = [i for i in mine if kept_for_validation(bank.sounds[i].file) == (part == "validation")]
    where = [{bank.sounds[i].label for i in allowed if bank.sounds[i].group in g} for g in groups]
    wanted = {
        kind: -(-PER_EVENT[part] // sum(kind in labels for labels in where))
        for kind in sorted({bank.sounds[i].label for i in chosen} - {BACKGROUND})
    }
    wanted[BACKGROUND] = BACKGROUNDS[part] // len(folds)
    parts = [TakeMaker(bank, chosen, rooms, seed + fold).make(wanted, progress)]
    nothing = {i for i in chosen if bank.sounds[i].label == BACKGROUND}
    for event in range(BACKGROUND):
        almost = {*near(bank, event)}
        here = nothing & almost
        if not here:
            continue
        sources = {bank.sounds[i].group for i in almost.intersection(allowed)}
        count = -(-PER_NEIGHBOURS[part] // sum(not sources.isdisjoint(g) for g in groups))
        parts.append(almost_event(bank, event, here, nothing - here, count, rooms, seed + 100 * fold))
    return join(parts)


def almost_event(
    bank: SoundBank,
    event: int,
    neighbours: set[int],
    beds: set[int],
    count: int,
    rooms: tuple[Wave, ...],
    seed: int,
) -> Takes:
    """Takes of nothing in which an event's neighbours sound as the event would, near or far, over anything.

    Args:
        bank: all sounds.
        event: which they are almost.
        neighbours: indices of the sounds that are.
        beds: of what is heard besides.
        count: of takes.
        rooms: impulse responses.
        seed: of this event's takes, with its number.

    """
    sounds = [replace(s, label=event) if i in neighbours else s for i, s in enumerate(bank.sounds)]
    maker = TakeMaker(
        replace(bank, sounds=tuple(sounds)), sorted(neighbours | beds), rooms, seed + 1_000 * (event + 1)
    )
    takes = maker.make({event: count})
    nothing = np.full(count, BACKGROUND)
    silent = np.zeros_like(takes.audible)
    return replace(takes, kind=nothing, audible=silent, near=np.full(count, event))


def hear_known(takes: Takes, heard: TakePool, network: AudioEvidence) -> TakePool:
    """The same pool, one take of an event in `KNOWN` heard anew by an ear that may have learnt from it.

    Takes of nothing are left: a room that is as quiet as the ear remembers it teaches nothing.
    """
    events = takes.kind < BACKGROUND
    known = np.flatnonzero(events & (np.arange(len(events)) % KNOWN == 1))
    evidence = heard.evidence.copy()
    evidence[known] = hear(takes.rows(known), network).evidence
    return replace(heard, evidence=evidence)


def hear(takes: Takes, network: AudioEvidence, batch: int = 64) -> TakePool:
    """What an ear, in eval mode, makes of takes.

    Its network of voices, the dearest part, is asked where somebody speaks; where nobody does either division
    is as good.
    """
    deaf = network
    if network.voices is not None:
        deaf = AudioEvidence(network.ear, network.listener, doubting=network.doubting).eval()
    spoken = np.isin(takes.kind, SPEECH) | np.isin(takes.beneath, SPEECH)
    order = np.argsort(~spoken, kind="stable")
    halves = (takes.patches[spoken], network), (takes.patches[~spoken], deaf)
    heard = np.concatenate([_evidence(patches, ear, batch) for patches, ear in halves if len(patches)])
    evidence = np.empty_like(heard)
    evidence[order] = heard
    return TakePool(evidence, takes.kind, takes.audible, takes.beneath, takes.faint, takes.near)


def _evidence(patches: NDArray[np.float16], ear: AudioEvidence, batch: int) -> NDArray[np.float16]:
    """[N, 10, 96, 64] → [N, 10, A]."""
    flat = patches.reshape(-1, *patches.shape[2:])
    parts: list[NDArray[np.float16]] = []
    with torch.inference_mode():
        for start in range(0, len(flat), batch):
            block = torch.from_numpy(flat[start : start + batch].astype(np.float32))
            parts.append(ear(block).half().numpy())
    return np.concatenate(parts).reshape(*patches.shape[:2], -1)


def join_takes(pools: list[TakePool]) -> TakePool:
    """Several pools as one."""
    return TakePool(*(np.concatenate([getattr(p, name) for p in pools]) for name in TakePool.__annotations__))


def save_takes(path: Path, pool: TakePool) -> None:
    """Keep a pool (npz), whole or not at all."""
    keep_arrays(path, **vars(pool))


def load_takes(path: Path) -> TakePool:
    """What `save_takes` kept; folders made before neighbours were drawn hold none."""
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return TakePool(**{"near": np.full(len(arrays["kind"]), BACKGROUND), **arrays})
