"""Labelled sounds in a folder, decoded once into one flat file of 16-bit samples.

The folder holds `MANIFEST.tsv` with the columns file, class, source, licence, trainable, note, seconds;
class `_bg` means none of the 28 events. Only rows with `trainable=yes` may be trained on, and of those not
the ones that are to be had under the GPL alone: whether weights learnt from them fall under it is open.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelFileError
from ...files import atomic_write
from ...labels import BACKGROUND, label_index
from ...sound import SAMPLE_RATE
from .manifests import gpl_alone, read_manifest

# Recordings of one speaker, not of one publisher, are what a speech net must not be tested on.
_SPEECH: Final = frozenset((label_index("Male speech"), label_index("Female speech")))
LONGEST_S: Final = 60.0


@dataclass(frozen=True)
class Sound:
    """One labelled recording, and where its samples lie in the flat file."""

    file: str
    label: int
    source: str
    group: str
    """What is held out together: the source, and within speech the speaker."""
    licence: str
    trainable: bool
    note: str
    start: int
    length: int


@dataclass(frozen=True)
class SoundBank:
    """All sounds and their samples: 16 kHz mono, int16, memory-mapped."""

    sounds: tuple[Sound, ...]
    samples: NDArray[np.int16]

    def wave(self, index: int) -> NDArray[np.float32]:
        """The whole recording as float32 in [-1, 1)."""
        sound = self.sounds[index]
        return self.samples[sound.start : sound.start + sound.length].astype(np.float32) / 32768.0


def decode(path: Path) -> NDArray[np.int16]:
    """A sound file as 16 kHz mono int16, at most a minute of it.

    Raises:
        ModelFileError: it can't be decoded.

    """
    import av

    blocks: list[NDArray[np.int16]] = []
    wanted = int(LONGEST_S * SAMPLE_RATE)
    try:
        with av.open(str(path)) as container:
            resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE)
            for frame in container.decode(audio=0):
                blocks += [out.to_ndarray()[0] for out in resampler.resample(frame)]
                if sum(map(len, blocks)) > wanted:
                    break
            else:
                blocks += [out.to_ndarray()[0] for out in resampler.resample(None)]
    except (OSError, IndexError, av.FFmpegError) as error:
        raise ModelFileError(f"sound {path}: can't be decoded ({error})") from error
    return np.concatenate(blocks)[:wanted] if blocks else np.zeros(0, np.int16)


def load_sounds(folder: Path, work: Path, progress: Callable[[float], None] = lambda _: None) -> SoundBank:
    """The bank of a folder, decoded on first use into `work` and mapped from there after.

    Raises:
        ModelFileError: no manifest, or a file of it can't be decoded.

    """
    index, flat = work / "sounds.json", work / "sounds.i16"
    if not index.is_file():
        _decode_all(folder, work, progress)
    sounds = tuple(Sound(**row) for row in json.loads(index.read_text()))
    return SoundBank(sounds, np.memmap(flat, np.int16, "r"))


def _decode_all(folder: Path, work: Path, progress: Callable[[float], None]) -> None:
    rows = read_manifest(folder)
    work.mkdir(parents=True, exist_ok=True)
    sounds: list[Sound] = []
    start = 0
    with (work / "sounds.i16").open("wb") as flat:
        for number, row in enumerate(rows):
            samples = decode(folder / row["file"])
            if samples.size < SAMPLE_RATE // 20:
                continue
            label = BACKGROUND if row["class"].startswith("_") else label_index(row["class"])
            sounds.append(
                Sound(
                    row["file"],
                    label,
                    row["source"],
                    f"{row['source']}/{row['note']}" if label in _SPEECH else row["source"],
                    row["licence"],
                    row["trainable"] == "yes" and not gpl_alone(row["licence"]),
                    row["note"],
                    start,
                    int(samples.size),
                )
            )
            flat.write(samples.tobytes())
            start += samples.size
            progress((number + 1) / len(rows))
    atomic_write(work / "sounds.json", json.dumps([asdict(sound) for sound in sounds]))


def loud_starts(wave: NDArray[np.float32], length: int, step: int, floor_db: float) -> NDArray[np.int64]:
    """Starts, `step` apart, of windows no more than `floor_db` below the loudest; never empty."""
    starts = np.arange(0, max(1, len(wave) - length + 1), step)
    power = np.array([float(np.mean(wave[s : s + length] ** 2)) for s in starts])
    keep: NDArray[np.int64] = starts[power >= power.max() * 10 ** (-floor_db / 10)]
    return keep
