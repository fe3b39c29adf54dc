"""How well the ear names sounds of publishers and speakers it never heard, beside its teacher.

    python tests/bench/sources.py WORK

WORK is the folder in which `avel train lite` kept what it made: three ears, each of which never heard a third
of the sources, are asked about that third. The ear has two readings: its own classes, learnt from labels, and
AudioSet's, learnt from the teacher and mapped as the teacher's are; whether a man or a woman speaks its
own classes say. The teacher, YAMNet, does not tell women from men: to it all speech is a man's. Last comes
what `lite-yamnet` has beside it: a reader of YAMNet's embedding, learnt from labels without that third; who
speaks the ear says.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from avel_live.model.backbones.audio_cnn import load_audio_cnn
from avel_live.model.backbones.audio_evidence import divide_speech, load_reader, read_events, women
from avel_live.model.labels import EVENT_NAMES
from avel_live.model.training.lite.audio_data import load_sounds
from avel_live.model.training.lite.audio_measure import accuracy, per_recording, source_folds
from avel_live.model.training.lite.audio_pool import load_pool
from avel_live.model.training.lite.teacher import event_scores
from rich.console import Console
from rich.table import Table


def main(work: Path) -> None:
    """Print the table."""
    bank = load_sounds(work / "ear", work / "ear")
    clean = load_pool([work / "ear" / "clean.npz"])
    files, classes, audioset, teacher, read = [], [], [], [], []
    for fold, groups in enumerate(source_folds(bank)):
        held = clean.take(np.isin(clean.groups[:, 0], list(groups)))
        ear = load_audio_cnn(work / f"ear_without_{fold}.safetensors")
        reader = load_reader(work / f"reader_without_{fold}.safetensors")
        with torch.inference_mode():
            for start in range(0, len(held), 256):
                heard = ear(torch.from_numpy(held.patches[start : start + 256].astype(np.float32)))
                logits = ear.class_logits(heard)
                events = torch.from_numpy(event_scores(ear.scores(heard).numpy()))
                classes.append(logits.numpy())
                audioset.append(divide_speech(events, women(logits)).numpy())
                embedding = torch.from_numpy(held.embedding[start : start + 256].astype(np.float32))
                read.append(read_events(reader(embedding), women(logits)).numpy())
        teacher.append(event_scores(held.scores))
        files.append(held.files)
    file = np.concatenate(files)
    readings = {"own classes": classes, "AudioSet's": audioset, "YAMNet": teacher, "YAMNet read": read}

    columns = {
        name: accuracy(bank, per_recording(file, np.concatenate(values))) for name, values in readings.items()
    }
    table = Table(title="sounds of unseen sources named rightly, %")
    for name in ("", "recordings", *columns):
        table.add_column(name)
    for name in EVENT_NAMES:
        if name in columns["YAMNet"].per_class:
            values = [c.per_class[name] for c in columns.values()]
            alone = "" if name in columns["YAMNet"].fair else " (one source)"
            table.add_row(name + alone, str(values[0][1]), *(f"{100 * v:.0f}" for v, _ in values))
    table.add_row("macro, two sources or more", "", *(f"{100 * c.macro():.1f}" for c in columns.values()))
    Console(width=120).print(table)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
