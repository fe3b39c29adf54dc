"""Men and women told apart by a network that never heard our ten speakers, as they are and made strange.

    python tests/bench/voices.py DATA WORK

DATA is what `avel train lite` learns from, WORK where it keeps what it decodes. Twenty recordings of each
speaker, up to four loud seconds of each, at −15 to −35 dB: as recorded, pitched by 0.85 to 1.4, in rooms, in
noise 5 to 25 dB below, and all of these by chance. Shares are means over speakers.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from avel_live.model.backbones.voices import load_voices
from avel_live.model.labels import EVENT_NAMES, label_index
from avel_live.model.logmel import PATCH_SAMPLES, log_mel
from avel_live.model.training.lite import audio_augment as augment
from avel_live.model.training.lite.audio_data import load_sounds, loud_starts
from rich.console import Console
from rich.table import Table

CONDITIONS = ("as recorded", "pitched", "in rooms", "in noise", "all of it")


def changed(wave: augment.Wave, condition: str, rng: np.random.Generator) -> augment.Wave:
    """A second of it at some level: [15600]."""
    every = condition == "all of it"
    if condition == "pitched" or (every and rng.random() < 0.5):
        wave = augment.raise_voice(wave, float(rng.uniform(0.85, 1.4)))
    if condition == "in rooms" or (every and rng.random() < 0.6):
        rooms = augment.room_bank()
        wave = augment.colour(rng, wave, rooms[int(rng.integers(len(rooms)))], 9.0)
    wave = np.pad(wave[:PATCH_SAMPLES], (0, max(0, PATCH_SAMPLES - len(wave))))
    if condition == "in noise" or (every and rng.random() < 0.6):
        loud = np.sqrt(augment.power(wave)) * 10 ** (-rng.uniform(5, 25) / 20)
        wave = wave + augment.noise(rng, PATCH_SAMPLES) * np.float32(loud)
    wave = wave * 10 ** (rng.uniform(-35, -15) / 20) / (np.sqrt(np.mean(wave**2)) + 1e-6)
    return np.clip(wave, -1, 1).astype(np.float32)


def main(data: Path, work: Path) -> None:
    """Print the table."""
    bank = load_sounds(data / "audio", work / "ear")
    rng = np.random.default_rng(0)
    network = load_voices()
    kinds = {label_index("Male speech"): -1, label_index("Female speech"): 1}
    speakers: dict[tuple[int, str], list[int]] = {}
    for index, sound in enumerate(bank.sounds):
        if sound.label in kinds:
            speakers.setdefault((sound.label, sound.group), []).append(index)
    table = Table(title=f"voices of {len(speakers)} speakers that it never heard, named rightly, %")
    for column in ("", *(f"{EVENT_NAMES[k]}, {of}" for of in ("recordings", "seconds") for k in kinds)):
        table.add_column(column)
    for condition in CONDITIONS:
        shares: dict[tuple[str, int], list[float]] = {}
        for (label, _), files in speakers.items():
            recordings, seconds = [], []
            for index in rng.permutation(files)[:20]:
                wave = bank.wave(int(index))
                starts = loud_starts(wave, PATCH_SAMPLES, PATCH_SAMPLES, 20.0)[:4]
                cut = [changed(wave[s : s + PATCH_SAMPLES + 8_000], condition, rng) for s in starts]
                with torch.inference_mode():
                    odds = network(torch.from_numpy(log_mel(np.stack(cut)))).numpy()
                recordings.append(odds.mean() * kinds[label] > 0)
                seconds += list(odds * kinds[label] > 0)
            shares.setdefault(("recordings", label), []).append(float(np.mean(recordings)))
            shares.setdefault(("seconds", label), []).append(float(np.mean(seconds)))
        cells = (100 * np.mean(shares[of, k]) for of in ("recordings", "seconds") for k in kinds)
        table.add_row(condition, *(f"{cell:.1f}" for cell in cells))
    Console(width=150).print(table)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
