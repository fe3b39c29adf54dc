"""The audio half of `avel train lite`, from a folder of sounds to an ear."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from .audio_data import SoundBank, load_sounds
from .audio_pool import Pool, build_audio_pool, build_clean_pool, load_pool
from .audio_student import DEFAULT, StudentConfig, save_student, train_student
from .stages import Report
from .teacher import Teacher

SHARDS: Final = 150
"""Thousands of mixed seconds in the pool; each costs about 8 s of one core."""


def prepare_pool(
    data: Path, work: Path, *, shards: int = SHARDS, report: Report
) -> tuple[SoundBank, Pool, Pool]:
    """Decode, mix and ask the teacher, or go on where that stopped.

    Args:
        data: folder with `audio/MANIFEST.tsv` and, optionally, `teacher/yamnet_spectra_in.tflite`.
        work: where everything made is kept: about 15 MB per thousand seconds.
        shards: thousands of mixed seconds.
        report: what a progress bar listens to.

    Returns:
        the sounds; all that may be learnt from; every sound as it is, for measuring.

    """
    bank = load_sounds(data / "audio", work, lambda share: report("decode", share, ""))
    weights = data / "teacher" / "yamnet_spectra_in.tflite"
    teacher = Teacher(weights if weights.is_file() else None)
    build_clean_pool(bank, teacher, work / "clean.npz", most_per_file=6)
    mixed = work / "mixed"
    build_audio_pool(bank, teacher, mixed, shards=range(shards), progress=lambda s: report("mix", s, ""))
    clean = load_pool([work / "clean.npz"])
    parts = load_pool([mixed / f"{number:05d}.npz" for number in range(shards)])
    allowed = np.array([sound.trainable for sound in bank.sounds])[clean.files]
    return bank, parts.join(clean.take(allowed)), clean


def train_ear(
    pool: Pool,
    work: Path,
    target: Path,
    config: StudentConfig = DEFAULT,
    *,
    report: Report = lambda _stage, _share, _text: None,
) -> None:
    """Train an ear, or go on where that stopped, and write its weights.

    Args:
        pool: what may be learnt from.
        work: where the state of the training is kept.
        target: the weight file; its name is the stage that `report` is told.
        config: schedule, loss weights, seed.
        report: what a progress bar listens to.

    """
    network = train_student(pool, work, config, progress=lambda share, text: report(target.stem, share, text))
    info = {
        "teacher": "YAMNet, 8-bit weights dequantised",
        "patches": len(pool),
        "epochs": config.epochs,
        "seed": config.seed,
    }
    save_student(network, target, info)
