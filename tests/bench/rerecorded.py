"""A second estimate from labelled clips: played through loudspeakers in simulated rooms, and filmed there.

    python tests/bench/rerecorded.py CLIPS OUT [--ear YAMNET.tflite] [--profiles lite lite-yamnet] [--takes 3]

Every clip of CLIPS/MANIFEST.tsv is re-recorded `--takes` times (`tests/support/rerecord.py`) into OUT, with
a manifest like that of the clips, so that `avel evaluate --clips OUT` scores it, too. What is there already
is taken as it is; the features of eye and ear are kept, so that other heads cost seconds. Prints for clips
and re-recordings, %: seconds named rightly, event seconds found, clips named, seconds of backgrounds that
got an event, settled after two seconds; then the calibration error of raw settled answers and of answers
given at once, and the temperature that would suit all looks.

It says how much of the accuracy survives other rooms and cameras. It is no new sample of the world: the
re-recordings show and sound what the clips do, and intervals (95 %, bootstrap) count each clip once.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from avel_live.calibration.confidence import fit_temperature
from avel_live.model.labels import BACKGROUND, LABELS
from avel_live.model.probabilities import bootstrap, reliability, softmax
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.select import load_engine
from avel_live.realtime.commands.evaluate.clips import decode, figures
from avel_live.realtime.events.config import DecoderConfig
from avel_live.realtime.recordings.labelled import Clip, groups_of, looks_of, settled
from avel_live.realtime.stream.window import softmax as raw
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.kept_looks import clips
from support.rerecord import rerecord, rooms

NAMES = ("segment_accuracy", "event_second_recall", "clip_top1", "false_event_seconds")


def make(folder: Path, out: Path, takes: int) -> Path:
    """Re-record what is missing; the folder with the manifest."""
    with (folder / "MANIFEST.tsv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    made = []
    for number, row in enumerate(track(rows, "re-recording", console=Console(stderr=True))):
        for take in range(takes):
            name = f"take{take}/{row['file']}"
            target = (out / name).with_suffix(".mp4")
            if not target.is_file():
                rerecord(folder / row["file"], target, 1000 * take + number, rooms())
            # Re-recordings of one clip are one witness.
            made.append(
                {**row, "file": str(target.relative_to(out)), "source": row.get("source") or row["file"]}
            )
    with (out / "MANIFEST.tsv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(made[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(made)
    return out


def scored(heard: list[Clip]) -> list[str]:
    """Cells of the table: figures with intervals, then calibration."""
    groups = np.array(groups_of(heard))
    answers = [decode(clip, 2, LABELS) for clip in heard]

    def drawn(chosen: np.ndarray) -> list[float]:
        return list(figures([answers[k] for k in chosen], BACKGROUND).values())

    values = figures(answers, BACKGROUND)
    low, high = bootstrap(drawn, groups, rounds=1000)
    spans = dict(zip(values, zip(low, high, strict=True), strict=True))
    cells = [f"{100 * values[n]:.1f} [{100 * spans[n][0]:.0f}–{100 * spans[n][1]:.0f}]" for n in NAMES]
    looks = looks_of(heard)
    return [
        *cells,
        *(f"{error:.3f}" for error in errors(heard)),
        f"{fit_temperature(looks.logits, looks.targets):.2f}",
    ]


def errors(heard: list[Clip]) -> tuple[float, float]:
    """Calibration error of raw answers: settled, and given at once."""
    rows = [settled(clip.scores, raw, DecoderConfig())[: len(clip.targets)] for clip in heard]
    p = np.concatenate(rows)
    truth = np.concatenate([clip.targets[: len(row)] for clip, row in zip(heard, rows, strict=True)])
    first = looks_of(heard).at(0)
    once = softmax(first.logits.astype(np.float64))
    return (
        reliability(p.max(-1), p.argmax(-1) == truth).error,
        reliability(once.max(-1), once.argmax(-1) == first.targets).error,
    )


def main(folder: Path, out: Path, profiles: list[str], ear: Path | None, takes: int) -> None:
    """Make what is missing and print the table."""
    again = make(folder, out, takes)
    table = Table(title=f"clips and {takes} re-recordings of each; %; ECE of raw confidences")
    for column in ("", *(n.replace("_", " ") for n in NAMES), "ECE settled", "at once", "temperature"):
        table.add_column(column)
    for profile in profiles:
        given = ear if profile != "lite" else None
        engine = load_engine(EngineOptions(profile=profile, audio_weights=given))
        for title, of in ((f"{profile}, clips", folder), (f"{profile}, re-recorded", again)):
            table.add_row(title, *scored(list(clips(of, engine, out / "kept", given))))
        engine.close()
    Console(width=170).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--ear", type=Path, help="YAMNet, for every profile but lite")
    parser.add_argument("--profiles", nargs="+", default=["lite"])
    parser.add_argument("--takes", type=int, default=3)
    chosen = parser.parse_args()
    main(chosen.clips, chosen.out, chosen.profiles, chosen.ear, chosen.takes)
