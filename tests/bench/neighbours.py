"""What is almost one of the 28 events: how many false seconds an hour it costs, neighbour by neighbour.

    python tests/bench/neighbours.py DATA WORK [YAMNET.tflite]

DATA is what `avel train lite` learns from, WORK where it keeps what it decodes. Each neighbour's recordings
become ten-second takes as training makes them (rooms, beds, microphones), before photographs of an event that
it resembles: the event is seen, its neighbour heard. Every second that gets an event is false, and counts as
one; streams would drop lone ones. Beside it the same photographs with the event's own recordings: seconds
found of those in which it is heard. Some of the recordings were learnt from, as background or as events.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from avel_live.model.backbones.audio_evidence import load_audio_evidence, load_yamnet_evidence
from avel_live.model.backbones.visual_evidence import load_visual_evidence
from avel_live.model.checkpoint import load_checkpoint
from avel_live.model.files import SHIPPED
from avel_live.model.labels import BACKGROUND, EVENT_NAMES, label_index
from avel_live.model.training.lite.audio_augment import room_bank
from avel_live.model.training.lite.audio_data import SoundBank, load_sounds
from avel_live.model.training.lite.hearing import hear
from avel_live.model.training.lite.manifests import read_manifest
from avel_live.model.training.lite.neighbours import NEIGHBOURS
from avel_live.model.training.lite.scenes import plain_view, webcam_view
from avel_live.model.training.lite.takes import TakeMaker, Takes
from rich.console import Console
from rich.table import Table

TAKES: Final = 4
"""Of each neighbour, and of each event."""
PICTURES: Final = 4
"""Of each event; with every take."""


def takes_of(bank: SoundBank, chosen: list[int], kind: int, rng: np.random.Generator) -> Takes:
    """Takes in which these sounds are the event, over beds of everyday sounds."""
    beds = [i for i, sound in enumerate(bank.sounds) if sound.label == BACKGROUND and i not in chosen]
    beds = [int(i) for i in rng.choice(beds, 60, replace=False)]
    sounds = list(bank.sounds)
    for index in chosen:
        sounds[index] = replace(sounds[index], label=kind)
    maker = TakeMaker(
        replace(bank, sounds=tuple(sounds)), chosen + beds, room_bank(), int(rng.integers(1 << 30))
    )
    return maker.make({kind: TAKES})


def pictures_of(folder: Path, event: str, rng: np.random.Generator) -> list[np.ndarray]:
    """Photographs of an event, or of people: one as it is, the others as a webcam sees them."""
    speech = "speech" in event
    files = [
        row["file"]
        for row in read_manifest(folder)
        if (row["class"] == "_person") == speech
        and (speech or (row["class"][0] != "_" and label_index(row["class"]) == EVENT_NAMES.index(event)))
    ]
    images = [
        cv2.cvtColor(cv2.imread(str(folder / file)), cv2.COLOR_BGR2RGB)
        for file in rng.permutation(files)[:PICTURES]
    ]
    return [webcam_view(image, image, rng) if n else plain_view(image) for n, image in enumerate(images)]


def said(head: Any, pictures: np.ndarray, heard: np.ndarray) -> np.ndarray:
    """[P, 7, 7, C] and [N, 10, A] → [P, N, 10]: the answer of each second of each pair."""
    with torch.inference_mode():
        sound = torch.from_numpy(heard.astype(np.float32))
        answers = []
        for picture in torch.from_numpy(pictures.astype(np.float32)):
            seen = picture.expand(len(sound), 10, *picture.shape)
            answers.append(head(seen, sound).logits.argmax(dim=-1).numpy())
    return np.stack(answers)


def main(data: Path, work: Path, yamnet: Path | None) -> None:
    """Print a table for each profile."""
    rng = np.random.default_rng(0)
    bank = load_sounds(data / "audio", work / "ear")
    notes = {row["file"]: row["note"] for row in read_manifest(data / "audio")}
    eye = load_visual_evidence()
    scenes, unseen = [], []
    for event, neighbours in NEIGHBOURS.items():
        kind = EVENT_NAMES.index(event)
        pictures = pictures_of(data / "photos", event, rng)
        if not pictures:
            unseen.append(event)
            continue
        with torch.inference_mode():
            views = eye(torch.from_numpy(np.stack(pictures))).numpy()
        own = [i for i, sound in enumerate(bank.sounds) if sound.label == kind]
        rows = [("itself", takes_of(bank, own, kind, rng))]
        for note in neighbours:
            chosen = [
                i
                for i, sound in enumerate(bank.sounds)
                if sound.label == BACKGROUND and notes[sound.file].startswith(note)
            ]
            rows.append((note, takes_of(bank, chosen, kind, rng)))
        scenes.append((event, views, rows))
    ears = {"lite": load_audio_evidence()}
    if yamnet is not None:
        ears["lite-yamnet"] = load_yamnet_evidence(yamnet)
    table = Table(
        title="an event seen, its neighbour heard: false seconds an hour; seconds found of the event, %"
    )
    for column in ("seen", "heard", *ears):
        table.add_column(column)
    heads = {n: load_checkpoint(SHIPPED / f"{n.replace('-', '_')}_head.safetensors")[0] for n in ears}
    every: dict[str, list[np.ndarray]] = {name: [] for name in ears}
    for event, views, rows in scenes:
        kind = EVENT_NAMES.index(event)
        for heard, takes in rows:
            cells = []
            for name, ear in ears.items():
                answer = said(heads[name], views, hear(takes, ear).evidence)
                if heard == "itself":
                    cells.append(f"{100 * (answer[:, takes.audible] == kind).mean():.0f} %")
                    continue
                false = answer[answer != BACKGROUND]
                every[name].append(answer != BACKGROUND)
                worst = EVENT_NAMES[int(np.bincount(false).argmax())] if false.size else ""
                other = f" ({worst})" if worst not in ("", event) else ""
                cells.append(f"{3600 * (answer != BACKGROUND).mean():.0f}{other}")
            table.add_row(event, heard, *cells)
    means = (3600 * np.mean([part.mean() for part in parts]) for parts in every.values())
    table.add_row("", "all neighbours", *(f"{mean:.0f}" for mean in means))
    console = Console(width=120)
    console.print(table)
    if unseen:
        console.print(f"left out, as there are no photographs: {', '.join(unseen)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
