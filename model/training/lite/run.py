"""`avel train lite`: from a folder of photographs and sounds to the weights that ship in the package.

    pictures   photographs → views → features → probes → evidence
    ear        sounds → mixtures with the teacher's scores → student (audio_stage), and one student a fold;
               a reader of YAMNet's embedding, likewise
    takes      ten-second takes, heard by the student of the other folds
    head       DIIA on composed scenes, a committee of heads for each light profile

Every stage keeps what it made under `work` and is skipped when that is there: a killed run goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import torch

from ...backbones.audio_cnn import AudioCNN, load_audio_cnn
from ...backbones.audio_evidence import DIM as AUDIO_DIM
from ...backbones.audio_evidence import READER, AudioEvidence, Listener, Reader, load_reader
from ...backbones.visual_evidence import DIM as VISUAL_DIM
from ...backbones.yamnet import Yamnet, load_yamnet
from ...checkpoint import load_checkpoint, save_checkpoint
from ...committee import Committee
from ...diia import DIIA, DIIAConfig
from ...formats.weights import save_weights
from ...profiles import get_profile
from .audio_augment import room_bank
from .audio_data import SoundBank, load_sounds
from .audio_measure import source_folds
from .audio_stage import SHARDS, prepare_pool, train_ear
from .audio_student import StudentConfig, save_student, train_student
from .compose import Composer
from .head import HeadSettings, background_shift, scene_accuracy, train_head
from .hearing import hear, join_takes, load_takes, make_takes, save_takes
from .material import Batch, PicturePool, TakePool
from .pictures import picture_pools, read_photos, view_features
from .reader import train_reader
from .recipe import NOTHING, PLAIN, RECIPE
from .takes import Takes

Report = Callable[[str, float, str], None]
"""Called with the stage's name, the share of it done, and a line of text."""

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
FALSE_SECONDS: Final = {"lite": 0.015, "lite-yamnet": 0.01}
"""Share of the seconds of held-out scenes without any event in view or hearing that the head that ships
gives an event; see `background_shift`. The better ear is surer of what it takes for an event, and says more
of it in a quiet room: it gets less of a start."""


@dataclass(frozen=True)
class LiteSettings:
    """What `avel train lite` is asked for.

    Attributes:
        data: folder with `audio/`, `photos/` and, for `lite-yamnet` and as teacher, `teacher/`.
        work: where intermediate results are kept (about 5 GB).
        out: where the weight files go.
        student: how the ear is trained.
        head: how each head is trained.
        shards: thousands of mixed seconds for the ear.
        seed: of everything that is drawn here.

    """

    data: Path
    work: Path
    out: Path
    student: StudentConfig = field(default_factory=StudentConfig)
    head: HeadSettings = field(default_factory=HeadSettings)
    shards: int = SHARDS
    seed: int = 7


def train_lite(settings: LiteSettings, report: Report = lambda *_: None) -> dict[str, Any]:
    """Run every stage; returns the validation accuracy of each head by profile.

    Raises:
        ModelFileError: the data folder is incomplete or a file of it can't be read.

    """
    s = settings
    s.work.mkdir(parents=True, exist_ok=True)
    s.out.mkdir(parents=True, exist_ok=True)
    pictures = _pictures(s, report)
    _ear(s, report)
    results: dict[str, Any] = {}
    teacher = s.data / "teacher" / "yamnet_spectra_in.tflite"
    if teacher.is_file():
        _reader(s, None, report)
    for profile in ("lite", "lite-yamnet") if teacher.is_file() else ("lite",):
        takes = _takes(s, profile, teacher if profile == "lite-yamnet" else None, report)
        results[profile] = _head(s, profile, pictures, takes, report)
    return results


def _pictures(s: LiteSettings, report: Report) -> tuple[PicturePool, PicturePool]:
    features = s.work / "views.npz"
    if not features.is_file():
        view_features(
            read_photos(s.data / "photos"), features, s.seed, lambda share: report("views", share, "")
        )
    train, validation, probes = picture_pools(
        features, s.work / "pictures.npz", lambda share: report("evidence", share, "")
    )
    save_weights(s.out / "lite_visual.safetensors", probes)
    return train, validation


def _ear(s: LiteSettings, report: Report) -> None:
    target = s.out / "lite_audio.safetensors"
    if not target.is_file():
        train_ear(s.data, s.work / "ear", target, s.student, shards=s.shards, report=report)


def _fold_ear(s: LiteSettings, fold: int, report: Report) -> AudioCNN:
    """The student that never heard the sources of this fold."""
    path = s.work / f"ear_without_{fold}.safetensors"
    if not path.is_file():
        bank, pool, _ = prepare_pool(s.data, s.work / "ear", shards=s.shards, report=report)
        network = train_student(
            pool,
            s.work / f"ear_without_{fold}",
            s.student,
            leave_out=source_folds(bank)[fold],
            progress=lambda share, text: report(f"ear without fold {fold}", share, text),
        )
        save_student(network, path, {"fold": fold, "epochs": s.student.epochs})
    return load_audio_cnn(path)


def _reader(s: LiteSettings, fold: int | None, report: Report) -> Reader:
    """The reader of YAMNet that ships, or the one that never heard the sources of this fold."""
    path = s.out / READER if fold is None else s.work / f"reader_without_{fold}.safetensors"
    if not path.is_file():
        bank, pool, _ = prepare_pool(s.data, s.work / "ear", shards=s.shards, report=report)
        reader = train_reader(pool, () if fold is None else source_folds(bank)[fold])
        save_weights(path, reader)
    return load_reader(path)


def _network(s: LiteSettings, fold: int, yamnet: Yamnet | None, report: Report) -> AudioEvidence:
    """The ear of a profile that never heard the sources of this fold."""
    listener = Listener(yamnet, _reader(s, fold, report)) if yamnet is not None else None
    return AudioEvidence(_fold_ear(s, fold, report), listener).eval()


def _takes(s: LiteSettings, profile: str, teacher: Path | None, report: Report) -> dict[str, TakePool]:
    yamnet = load_yamnet(teacher) if teacher is not None else None
    pools: dict[str, TakePool] = {}
    bank = load_sounds(s.data / "audio", s.work / "ear", partial(_share, report, "decode"))
    for part in ("train", "validation"):
        parts = []
        for fold in range(len(source_folds(bank))):
            kept = s.work / f"takes_{profile}_{part}_{fold}.npz"
            if not kept.is_file():
                takes = _drawn(s, bank, fold, part, report)
                save_takes(kept, hear(takes, _network(s, fold, yamnet, report)))
            parts.append(load_takes(kept))
        pools[part] = join_takes(parts)
    return pools


def _drawn(s: LiteSettings, bank: SoundBank, fold: int, part: str, report: Report) -> Takes:
    """Takes of one fold's sources, drawn once and heard by every profile."""
    kept = s.work / f"drawn_{part}_{fold}.npz"
    if not kept.is_file():
        told = f"takes, {part}, fold {fold}"
        make_takes(bank, fold, part, room_bank(), s.seed, partial(_share, report, told)).save(kept)
    return Takes.load(kept)


def _share(report: Report, stage: str, share: float) -> None:
    report(stage, share, "")


def _head(
    s: LiteSettings,
    profile: str,
    pictures: tuple[PicturePool, PicturePool],
    takes: dict[str, TakePool],
    report: Report,
) -> float:
    validation = [Composer(pictures[1], takes["validation"], PLAIN, seed).batch(64) for seed in range(6)]
    members = [
        _member(s, profile, Composer(pictures[0], takes["train"], RECIPE, s.seed + k), validation, k, report)
        for k in range(MEMBERS)
    ]
    nothing = [
        Composer(pictures[1], takes["validation"], NOTHING, 20 + seed).batch(64)
        for seed in range(NOTHING_BATCHES)
    ]
    head = Committee(members)
    shift = background_shift(head, nothing, FALSE_SECONDS[profile])
    with torch.no_grad():
        for member in members:
            member.classify.bias[-1] += shift
    accuracy, _ = scene_accuracy(head, validation)
    name = f"{profile.replace('-', '_')}_head.safetensors"
    info = {"validation_accuracy": accuracy, "steps": s.head.steps, "seed": s.head.seed}
    save_checkpoint(s.out / name, head, profile=profile, info=info, stored="int8")
    return accuracy


def _member(
    s: LiteSettings, profile: str, composer: Composer, validation: list[Batch], number: int, report: Report
) -> DIIA:
    """One head of the committee."""
    path = s.work / f"head_{profile}_{number}.safetensors"
    if not path.is_file():
        stage = f"head {number + 1} of {profile}"

        def told(step: int, cost: float, accuracy: float, events: float) -> None:
            text = f"loss {cost:.3f}, validation {accuracy:.3f}, events {events:.3f}"
            report(stage, step / s.head.steps, text)

        settings = replace(s.head, seed=s.head.seed + number)
        member, accuracy = train_head(head_config(profile), settings, composer, validation, told)
        info = {"validation_accuracy": accuracy, "steps": settings.steps, "seed": settings.seed}
        save_checkpoint(path, member, profile=profile, info=info)
    return cast("DIIA", load_checkpoint(path, profile=profile)[0])
