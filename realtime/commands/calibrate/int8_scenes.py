"""INT8 material for what ships: seconds composed from the training data's photographs and sounds.

A stream is one photograph as a webcam would see it from second to second, and one recording, of the same
event where there is one. Every photograph is in one stream only, so that the held-out ones are unseen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ....calibration.int8.samples import Second
from ....model.checkpoint import check_classes
from ....model.labels import BACKGROUND, EVENT_NAMES, LABELS
from ....model.sound import SAMPLE_RATE
from ....model.training.lite.audio_data import decode
from ....model.training.lite.material import PERSON, SPEECH
from ....model.training.lite.pictures import Photo, read_photos
from ....model.training.lite.scenes import plain_view, webcam_view
from ...recordings.labelled import media_files

STREAMS: Final = 120
SECONDS: Final = 5
FRAMES: Final = 2
_PER_KIND: Final = 12
_NOTHING: Final = "_bg"


def from_training_data(folder: Path, labels: Sequence[str], seed: int = 0) -> Iterator[list[Second]]:
    """Streams from a folder with `photos/` and `audio/`, as `avel train lite` reads them.

    Args:
        folder: photographs and sounds of AVE's classes.
        labels: class names of the head, background last.
        seed: of what is composed.

    Raises:
        ModelFileError: there is no manifest, or a file of it can't be read; a head of other classes.

    """
    check_classes(labels, LABELS, f"--data {folder}")
    rng = np.random.default_rng(seed)
    photos = read_photos(folder / "photos")
    behind = [photo for photo in photos if photo.kind == BACKGROUND][::8]
    chosen = _spread(photos, rng)[:STREAMS]
    for photo in chosen:
        image = photo.load()
        other = behind[rng.integers(len(behind))].load()
        event = int(rng.choice(SPEECH)) if photo.kind == PERSON else photo.kind
        sound = _sound(folder / "audio", event, rng)
        stream = []
        for second in range(SECONDS):
            views = [webcam_view(image, other, rng) for _ in range(FRAMES - 1)]
            frames = np.stack([plain_view(image), *views])
            audio = sound[second * SAMPLE_RATE : (second + 1) * SAMPLE_RATE]
            stream.append(Second(frames, audio, event))
        yield stream


def _spread(photos: list[Photo], rng: np.random.Generator) -> list[Photo]:
    """In random order, no kind more than `_PER_KIND` times."""
    kept: list[Photo] = []
    for index in rng.permutation(len(photos)):
        photo = photos[int(index)]
        if sum(k.kind == photo.kind for k in kept) < _PER_KIND:
            kept.append(photo)
    return kept


def _sound(folder: Path, event: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Five seconds of one recording of the event, said again until they are full; of nothing, one in four."""
    names = [path.name for path in sorted(folder.iterdir()) if path.is_dir()]
    wanted = _NOTHING if event == BACKGROUND or rng.random() < 0.25 else _folder_of(event, names)
    files = media_files(folder / wanted)
    wave = decode(files[int(rng.integers(len(files)))]).astype(np.float32) / 32768.0
    need = SECONDS * SAMPLE_RATE
    return np.resize(wave, need) if wave.size else np.zeros(need, np.float32)


def _folder_of(event: int, names: list[str]) -> str:
    """The folder whose name begins like the event's, else the one of other sounds."""
    key = EVENT_NAMES[event].split(",")[0].split(" (")[0].replace(" ", "_").casefold()
    return next((n for n in names if n.casefold().startswith(key) or key.startswith(n.casefold())), _NOTHING)
