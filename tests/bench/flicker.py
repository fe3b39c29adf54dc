"""What fusing the looks buys: whole events found and label changes per minute, with it and without.

    python tests/bench/flicker.py [--clips DIR] [--settle 0,1,2,5,9] [--profile lite] [--min-event S]
    python tests/bench/flicker.py --composed WORK [--profile lite]

With --composed the streams are scenes composed from what `avel train lite` kept back in WORK: the decoder's
defaults were chosen on those. Else every labelled clip is replayed through the live loop as fast as it goes.
What the network said at each hop is kept, and decoded in several ways:

    raw        the most probable class of the newest second at each hop: what a loop without a decoder shows
    fused s    seconds settled after s more seconds were seen, and the events made of them

Columns: events F1 at tIoU 0.5 (precision, recall); label changes per minute of single seconds, and of what
is shown and sent, the events (raw: the same); seconds labelled right. Clips are short and few: read
differences, not digits.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from avel_live.model.checkpoint import load_checkpoint
from avel_live.model.labels import BACKGROUND, label_index
from avel_live.model.profiles import get_profile
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.networks import head_path
from avel_live.model.runtime.select import load_engine
from avel_live.model.training.lite.compose import Composer
from avel_live.model.training.lite.held_out import held_out_material
from avel_live.model.training.lite.recipe import PLAIN
from avel_live.model.training.metrics import event_scores
from avel_live.realtime.core.clock import SystemClock
from avel_live.realtime.core.messages import Scores
from avel_live.realtime.events import Decoder, DecoderConfig, Ledger
from avel_live.realtime.recordings.labelled import hops
from avel_live.realtime.sources.replay import Replay, ReplayOptions
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

CLIPS = Path(__file__).resolve().parents[3] / "shared" / "data" / "clips"
TIOU = 0.5


@dataclass(frozen=True)
class Clip:
    """One recording: its true label for each whole second, and every look of the network at it."""

    name: str
    truth: NDArray[np.int64]
    looks: tuple[Scores, ...]


def read_clips(folder: Path, profile: str) -> list[Clip]:
    """Every labelled clip of the folder through the live loop."""
    engine = load_engine(EngineOptions(profile=profile))
    engine.warm_up()
    with (folder / "MANIFEST.tsv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    clips = []
    for row in track(rows, description="clips"):
        clock = SystemClock()
        source = Replay(folder / row["file"], clock, ReplayOptions(speed=None))
        source.open()
        scores = [hop.scores for hop in hops(source, engine, clock) if not hop.segment.partial]
        truth = np.full(len(scores), BACKGROUND)
        marked = [int(k) for k in row["segments_audible_and_visible"].split(",") if k.strip().isdigit()]
        if marked:
            truth[[k for k in marked if k < len(truth)]] = label_index(row["class"])
        clips.append(Clip(row["file"], truth, tuple(scores)))
    engine.close()
    return clips


def composed(work: Path, profile: str) -> list[Clip]:
    """Scenes of held-out material, seen second by second as a stream is."""
    head, _ = load_checkpoint(head_path(get_profile(profile), None))
    scenes = Composer(*held_out_material(work, profile), replace(PLAIN, lend=0.2, drop=0.0), seed=77)
    clips = []
    for number in range(4):
        batch = scenes.batch(64)
        looks: list[list[Scores]] = [[] for _ in batch.label]
        for hop in range(batch.label.shape[1]):
            seen = [torch.from_numpy(x[:, : hop + 1]) for x in (batch.visual, batch.audio)]
            valid = torch.ones(len(batch.label), hop + 1, dtype=torch.bool)
            with torch.inference_mode():
                logits = head(*seen, valid, valid).logits
            p = logits.softmax(-1).numpy()
            for row, look in enumerate(looks):
                even = np.full((hop + 1, 7, 7), 1 / 49, np.float32)
                look.append(Scores(hop, 0, logits[row].numpy(), p[row], even, valid[row].numpy()))
        clips += [Clip(f"{number}/{row}", batch.label[row], tuple(look)) for row, look in enumerate(looks)]
    return clips


def raw_labels(clip: Clip) -> NDArray[np.int64]:
    """The argmax of each hop's newest second."""
    return np.asarray([int(look.probabilities[-1].argmax()) for look in clip.looks])


def decoded(clip: Clip, config: DecoderConfig) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Settled labels, the events painted on seconds, and how many events were retracted."""
    decoder, ledger = Decoder(config), Ledger()
    settled, records = [], []
    for look in clip.looks:
        step = decoder.push(look)
        settled += step.settled
        records += step.events
    last = decoder.finish()
    settled += last.settled
    records += last.events
    ledger.extend(records)
    events = np.full(len(clip.looks), BACKGROUND)
    for span in ledger.spans:
        assert span.end_s is not None
        events[round(span.start_s) : round(span.end_s)] = span.label
    retracted = sum(event.kind == "retract" for event in records)
    return np.asarray([s.label for s in settled]), events, retracted


def changes(rows: list[NDArray[np.int64]]) -> float:
    """Label changes per minute."""
    return 60 * sum(int(np.count_nonzero(np.diff(row))) for row in rows) / sum(len(row) for row in rows)


def report(clips: list[Clip], settles: list[int], config: DecoderConfig) -> Table:
    """The table."""
    truth = [clip.truth for clip in clips]
    seconds = sum(len(row) for row in truth)
    table = Table(
        title=f"{len(clips)} clips, {seconds} s; true labels change {changes(truth):.1f} times a minute"
    )
    headings = ("labels", "event F1", "precision", "recall", "changes/min", "shown", "right", "retracted")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "labels" else "right")

    def row(name: str, events: list[NDArray[np.int64]], labels: list[NDArray[np.int64]], back: str) -> None:
        score = event_scores(events, truth, BACKGROUND, TIOU)
        right = np.mean(np.concatenate(labels) == np.concatenate(truth))
        values = (score.f1, score.precision, score.recall)
        table.add_row(
            name,
            *(f"{100 * v:.1f} %" for v in values),
            f"{changes(labels):.1f}",
            f"{changes(events):.1f}",
            f"{100 * right:.1f} %",
            back,
        )

    raw = [raw_labels(clip) for clip in clips]
    row("raw, every hop", raw, raw, "")
    for settle in settles:
        answers = [decoded(clip, replace(config, settle=settle)) for clip in clips]
        back = sum(answer[2] for answer in answers)
        row(f"fused, settled after {settle} s", [a[1] for a in answers], [a[0] for a in answers], str(back))
    return table


def save(path: Path, clips: list[Clip]) -> None:
    """Keep the looks, to try other settings without running the networks again."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for number, clip in enumerate(clips):
        arrays[f"{number}/name"] = np.asarray(clip.name)
        arrays[f"{number}/truth"] = clip.truth
        for look in clip.looks:
            arrays[f"{number}/p/{look.hop}"] = look.probabilities
            arrays[f"{number}/v/{look.hop}"] = look.valid
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def load(path: Path) -> list[Clip]:
    """What `save` kept."""
    clips = []
    with np.load(path) as data:
        for number in range(sum(name.endswith("/truth") for name in data.files)):
            truth, looks = data[f"{number}/truth"], []
            for hop in range(len(truth)):
                p, valid = data[f"{number}/p/{hop}"], data[f"{number}/v/{hop}"]
                even = np.full((len(p), 7, 7), 1 / 49, np.float32)
                looks.append(Scores(hop, hop + 1 - len(p), np.log(np.maximum(p, 1e-9)), p, even, valid))
            clips.append(Clip(str(data[f"{number}/name"]), truth, tuple(looks)))
    return clips


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="what fusing the looks buys on labelled clips")
    parser.add_argument("--clips", type=Path, default=CLIPS)
    parser.add_argument("--composed", type=Path, help="work folder of `avel train lite`")
    parser.add_argument("--settle", default="0,1,2,3,5,9")
    parser.add_argument("--min-event", type=float, default=DecoderConfig().min_duration_s, help="seconds")
    parser.add_argument("--profile", default="lite")
    parser.add_argument("--save", type=Path, help="keep the looks, or use them where the file exists")
    options = parser.parse_args()
    if options.composed:
        clips = composed(options.composed, options.profile)
    elif options.save and options.save.exists():
        clips = load(options.save)
    else:
        clips = read_clips(options.clips, options.profile)
        if options.save:
            save(options.save, clips)
    config = DecoderConfig(min_duration_s=options.min_event)
    Console().print(report(clips, [int(s) for s in options.settle.split(",")], config))


if __name__ == "__main__":
    main()
