"""Does a limit of `--veto` remove events of nothing without removing true ones?

    python tests/bench/vetoes.py WORK --keep FOLDER [--profile lite] [--ear YAMNET.tflite] [--seeds 0 1 …]

Each seed is twenty minutes of nothing (`tests/support/nothing.py`) through the live chain (features are kept
in FOLDER); beside it hours of nothing known, and scenes with events, composed from what `avel train lite`
kept back in WORK. All are decoded with every limit: events of nothing; of the scenes the share of event
seconds in an event of their class, and events that hold no second of their class. A limit is the score
(`max_logit` of `model/ood.py`) above which a second is background.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from avel_live.model.checkpoint import load_checkpoint
from avel_live.model.ood import OOD, veto
from avel_live.model.probabilities import softmax
from avel_live.model.profiles import get_profile
from avel_live.model.runtime.base import Engine, EngineOptions
from avel_live.model.runtime.networks import head_path
from avel_live.model.runtime.select import load_engine
from avel_live.model.training.lite.compose import Composer
from avel_live.model.training.lite.head import tensors
from avel_live.model.training.lite.held_out import SEED, held_out_material
from avel_live.model.training.lite.recipe import NOTHING
from avel_live.realtime.commands.calibrate.features import scene_clips, window_scores
from avel_live.realtime.core.clock import ManualClock
from avel_live.realtime.core.messages import Scores
from avel_live.realtime.events import Decoder
from avel_live.realtime.stream.loop import Stream, StreamOptions
from avel_live.realtime.stream.window import Calibrate
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support import kept_looks
from support.decided import spans, worth
from support.loop import Collector, a_start
from support.nothing import Nothing, NothingSource
from support.shared import DATA

LIMITS = (np.inf, 0.0, -2.0, -3.0, -4.0, -5.0, -6.0)


def nothing(seed: int, engine: Engine, kept: Path, ear: Path | None) -> tuple[Scores, ...]:
    """Every look at twenty minutes of nothing."""
    file = kept / f"nothing{seed}-{engine.profile.name}-{kept_looks.key(engine, ear)}.npz"

    def play(listening: Engine) -> None:
        source = NothingSource(Nothing(DATA, seed))
        stream = Stream(
            source,  # type: ignore[arg-type]
            listening,
            Decoder(),
            a_start(source),  # type: ignore[arg-type]
            ManualClock(),
            StreamOptions(sparing=True),
        )
        stream.run(Collector())

    return kept_looks.looks(engine, kept_looks.features(file, engine, play))


def limited(limit: float) -> Calibrate:
    """Raw confidences, and nothing where a second is stranger."""
    return lambda logits, _length: veto(logits, softmax(logits), limit)


def composed(work: Path, profile: str, batches: int) -> list[tuple[Scores, ...]]:
    """Scenes of ten seconds of nothing known, look by look: 64 a batch."""
    head, _ = load_checkpoint(head_path(get_profile(profile), None), profile=profile)
    head.eval()
    composer = Composer(*held_out_material(work, profile), NOTHING, SEED)
    found = []
    for _ in range(batches):
        visual, audio, visual_mask, audio_mask, _label = tensors(composer.batch(64))
        inputs = (visual, audio, visual_mask, audio_mask)
        with torch.inference_mode():
            answers = [head(*(x[:, :end] for x in inputs)).logits.numpy() for end in range(1, 11)]
        found += [tuple(window_scores(hop, 0, a[i]) for hop, a in enumerate(answers)) for i in range(64)]
    return found


def main(options: argparse.Namespace) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    profile = options.profile
    ear = None if profile == "lite" else options.ear
    engine = load_engine(EngineOptions(profile=profile, audio_weights=ear, precision="fp32", threads=1))
    played = {seed: nothing(seed, engine, options.keep, ear) for seed in options.seeds}
    unknown = composed(options.work, profile, options.batches)
    scenes = list(scene_clips(options.work, head_path(get_profile(profile), None), profile))
    hours = sum(map(len, unknown)) / 3600
    title = f"{profile}: {len(played)} × 20 minutes of nothing; {hours:.1f} h composed; {len(scenes)} scenes"
    table = Table("limit", "nothing: events", "composed nothing", "scenes: found, %", "false", title=title)
    for limit in LIMITS:
        counts = [sum(len(spans(s, limited(limit))) for s in many) for many in (played.values(), unknown)]
        of_scenes = worth(scenes, limited(limit))
        table.add_row(f"{limit:g}", *map(str, counts), f"{of_scenes.found:.2f}", str(of_scenes.false))
    Console(width=100).print(table)
    for seed, scores in played.items():
        for label, start, end in spans(scores, limited(np.inf)):
            strange = [
                float(OOD(row))
                for look in scores
                for row in look.logits[max(0, start - look.first_index) : max(0, end - look.first_index)]
            ]
            name = engine.info.labels[label]
            print(
                f"seed {seed}: {name} at {start}-{end} s, looks from {min(strange):.2f} to {max(strange):.2f}"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--profile", default="lite")
    parser.add_argument("--ear", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=[])
    parser.add_argument("--batches", type=int, default=12, help="of 64 scenes of nothing, 10 s each")
    parser.add_argument("--keep", type=Path, required=True, help="a folder for features")
    main(parser.parse_args())
