"""Does a limit of `--veto` remove events of nothing without removing true ones?

    python tests/bench/vetoes.py WORK [--profile lite] [--ear YAMNET.tflite] [--seeds 6] [--keep FOLDER]

Twenty minutes of nothing a seed (`tests/support/nothing.py`) through the live chain, then decoded with every
limit; and scenes composed from what `avel train lite` kept back in WORK, decoded the same way. For each
limit: events of nothing; of the scenes the share of event seconds in an event of their class, and events
that hold no second of their class. A limit is the score above which a second is background.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from avel_live.model.ood import OOD, veto
from avel_live.model.probabilities import softmax
from avel_live.model.profiles import get_profile
from avel_live.model.runtime.base import Engine, EngineOptions
from avel_live.model.runtime.networks import head_path
from avel_live.model.runtime.select import load_engine
from avel_live.realtime.commands.calibrate.features import scene_clips
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

LIMITS = (np.inf, 2.0, 1.0, 0.0, -1.0, -2.0, -3.0, -4.0, -5.0)


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


def main(options: argparse.Namespace) -> None:
    """Print the table."""
    ear = None if options.profile == "lite" else options.ear
    engine = load_engine(
        EngineOptions(profile=options.profile, audio_weights=ear, precision="fp32", threads=1)
    )
    hours = [nothing(seed, engine, options.keep, ear) for seed in range(options.seeds)]
    head = head_path(get_profile(options.profile), None)
    scenes = list(scene_clips(options.work, head, options.profile))
    table = Table(
        "limit", "events of nothing", "event seconds found, %", "false events", title=options.profile
    )
    for limit in LIMITS:
        said = [span for scores in hours for span in spans(scores, limited(limit))]
        of_scenes = worth(scenes, limited(limit))
        table.add_row(f"{limit:g}", str(len(said)), f"{of_scenes.found:.2f}", str(of_scenes.false))
    Console(width=100).print(table)
    for seed, scores in enumerate(hours):
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
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--keep", type=Path, required=True, help="a folder for features")
    main(parser.parse_args())
