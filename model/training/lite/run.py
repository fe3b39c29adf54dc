"""`avel train lite`: from a folder of photographs and sounds to the weights that ship in the package.

    pictures   photographs → views → features → probes → evidence; again, with fewer views, by the eye of
               `full`, whose weights are unpacked from its TFLite file
    ear        sounds → mixtures with the teacher's scores → student (audio_stage), and one student a fold;
               a reader of YAMNet's embedding, likewise
    voices     the published network of men's and women's voices, fitted to the profiles' front end
    takes      ten-second takes, heard by the student of the other folds, some by the one that ships
    head       DIIA on composed scenes, a committee of heads for each light profile

Every stage keeps what it made under `work` and is skipped when that is there: a killed run goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from ...backbones.audio_cnn import AudioCNN, load_audio_cnn
from ...backbones.audio_evidence import READER, AudioEvidence, Listener, Reader, load_reader
from ...backbones.efficientnet_lite import (
    EfficientNetLite,
    load_efficientnet_lite0,
    load_efficientnet_lite3,
)
from ...backbones.registry import EFFICIENTNET_LITE3
from ...backbones.visual_evidence import LITE0_PROBES, LITE3_PROBES
from ...backbones.voices import VOICES, load_voices
from ...backbones.yamnet import Yamnet, load_yamnet
from ...formats.weights import save_weights
from .audio_augment import room_bank
from .audio_data import SoundBank, load_sounds
from .audio_measure import source_folds
from .audio_pool import Pool
from .audio_stage import SHARDS, prepare_pool, train_ear
from .audio_student import StudentConfig
from .eye import TFLITE, build_eye
from .head import HeadSettings
from .head_stage import train_committee
from .hearing import hear, hear_known, join_takes, load_takes, make_takes, save_takes
from .material import PicturePool, TakePool
from .pictures import kept, picture_pools, read_photos, view_features
from .reader import train_reader
from .stages import Report
from .takes import Takes
from .voices import KERAS, build_voices


@dataclass(frozen=True)
class LiteSettings:
    """What `avel train lite` is asked for.

    Attributes:
        data: folder with `audio/`, `photos/`, `voice_sex/`, for `lite-yamnet` and as teacher `teacher/`, and
            for `full` `eye_lite3/`.
        work: where intermediate results are kept (about 6 GB).
        out: where the weight files go.
        student: how the ear that ships is trained.
        fold: how those of the folds are.
        head: how each head is trained.
        shards: thousands of mixed seconds for the ear.
        seed: of everything that is drawn here.

    """

    data: Path
    work: Path
    out: Path
    student: StudentConfig = field(default_factory=StudentConfig)
    fold: StudentConfig = field(default_factory=lambda: StudentConfig(epochs=2))
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
    pictures = _pictures(s, load_efficientnet_lite0(), "lite", LITE0_PROBES, report)
    _big_eye(s, report)
    sounds = _Sounds(s, report)
    _ear(s, sounds, None, report)
    _voices(s, report)
    results: dict[str, Any] = {}
    teacher = s.data / "teacher" / "yamnet_spectra_in.tflite"
    if teacher.is_file():
        _reader(s, sounds, None)
    for profile in ("lite", "lite-yamnet") if teacher.is_file() else ("lite",):
        takes = _takes(s, sounds, profile, teacher if profile == "lite-yamnet" else None, report)
        target = s.out / f"{profile.replace('-', '_')}_head.safetensors"
        pools = takes["train"], takes["validation"]
        results[profile] = train_committee(profile, pictures, pools, s.work, target, s.head, s.seed, report)
    return results


def _pictures(
    s: LiteSettings, network: EfficientNetLite, profile: str, probe_file: str, report: Report
) -> tuple[PicturePool, PicturePool]:
    """What the eye of a profile sees in the photographs; its probes are fitted on the way."""
    features, evidence = kept(s.work, profile)
    if not features.is_file():
        view_features(
            read_photos(s.data / "photos"),
            network,
            features,
            s.seed,
            lambda share: report(features.stem, share, ""),
            few=profile == "full",
        )
    train, validation, probes = picture_pools(
        features, network, evidence, lambda share: report(evidence.stem, share, "")
    )
    save_weights(s.out / probe_file, probes)
    return train, validation


def _big_eye(s: LiteSettings, report: Report) -> None:
    """The eye of `full` and its probes, where its TFLite file is in the data folder."""
    source = s.data / TFLITE
    if source.is_file():
        path = s.out / EFFICIENTNET_LITE3.own().name
        build_eye(source, path)
        _pictures(s, load_efficientnet_lite3(path), "full", LITE3_PROBES, report)


class _Sounds:
    """What ears and readers learn from: made and loaded when the first of them asks, and once."""

    def __init__(self, settings: LiteSettings, report: Report) -> None:
        self._settings, self._report = settings, report

    @cached_property
    def _prepared(self) -> tuple[SoundBank, Pool, Pool]:
        s = self._settings
        return prepare_pool(s.data, s.work / "ear", shards=s.shards, report=self._report)

    def without(self, fold: int | None) -> Pool:
        """All that may be learnt from, but for the sources of a fold."""
        bank, pool, _ = self._prepared
        return pool if fold is None else pool.without(source_folds(bank)[fold])


def _ear(s: LiteSettings, sounds: _Sounds, fold: int | None, report: Report) -> AudioCNN:
    """The ear that ships, or the one that never heard the sources of this fold."""
    name = "ear/student" if fold is None else f"ear_without_{fold}"
    path = s.out / "lite_audio.safetensors" if fold is None else s.work / f"{name}.safetensors"
    if not path.is_file():
        config = s.student if fold is None else s.fold
        train_ear(sounds.without(fold), s.work / name, path, config, report=report)
    return load_audio_cnn(path)


def _reader(s: LiteSettings, sounds: _Sounds, fold: int | None) -> Reader:
    """The reader of YAMNet that ships, or the one that never heard the sources of this fold."""
    path = s.out / READER if fold is None else s.work / f"reader_without_{fold}.safetensors"
    if not path.is_file():
        save_weights(path, train_reader(sounds.without(fold)))
    return load_reader(path)


def _voices(s: LiteSettings, report: Report) -> None:
    """Who tells men's voices from women's, where its Keras file is in the data folder."""
    path, keras = s.out / VOICES, s.data / KERAS
    if keras.is_file() and not path.is_file():
        bank = load_sounds(s.data / "audio", s.work / "ear", partial(_share, report, "decode"))
        save_weights(path, build_voices(keras, bank, s.seed), stored="int8")


def _network(
    s: LiteSettings, sounds: _Sounds, fold: int | None, yamnet: Yamnet | None, report: Report
) -> AudioEvidence:
    """As at work, the ear of a profile: the one that ships, or the one that never heard this fold's sources.

    None of these sources taught the network of voices.
    """
    listener = Listener(yamnet, _reader(s, sounds, fold)) if yamnet is not None else None
    voices = load_voices(s.out / VOICES) if (s.out / VOICES).is_file() else None
    return AudioEvidence(_ear(s, sounds, fold, report), listener, voices, doubting=True).eval()


def _takes(
    s: LiteSettings, sounds: _Sounds, profile: str, teacher: Path | None, report: Report
) -> dict[str, TakePool]:
    yamnet = load_yamnet(teacher) if teacher is not None else None
    pools: dict[str, TakePool] = {}
    bank = load_sounds(s.data / "audio", s.work / "ear", partial(_share, report, "decode"))
    for part in ("train", "validation"):
        parts = []
        for fold in range(len(source_folds(bank))):
            kept = s.work / f"takes_{profile}_{part}_{fold}.npz"
            if not kept.is_file():
                takes = _drawn(s, bank, fold, part, report)
                heard = hear(takes, _network(s, sounds, fold, yamnet, report))
                if part == "train":
                    heard = hear_known(takes, heard, _network(s, sounds, None, yamnet, report))
                save_takes(kept, heard)
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
