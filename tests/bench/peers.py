"""The bundled models against what one would write by hand, on labelled clips, all in one run.

    python tests/bench/peers.py CLIPS_FOLDER YAMNET.tflite

Peers see the same evidence as the networks. Each has one threshold, chosen in two ways: on all of these very
clips (flattering), and on all but the one that is judged (leave one clip out). The networks have none.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from avel_live.model.backbones.audio_concepts import CONCEPTS as HEARD
from avel_live.model.backbones.visual_concepts import CONCEPTS as SEEN
from avel_live.model.labels import BACKGROUND, LABELS
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.select import load_engine
from avel_live.realtime.commands.evaluate.clips import Answers, decode, figures, intervals
from avel_live.realtime.core.clock import SystemClock
from avel_live.realtime.recordings.labelled import Clip, manifest_clips
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

Floats = NDArray[np.float32]
Rule = Callable[[Floats, Floats], Floats]
NAMES = ("segment_accuracy", "event_second_recall", "clip_top1", "false_event_seconds")


class Listening:
    """An engine that keeps the newest second's features of every look."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.seen: list[Floats] = []
        self.heard: list[Floats] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def head(self, visual: Floats, audio: Floats, visual_mask: Any, audio_mask: Any) -> Any:
        """As the engine's, with the features kept."""
        self.seen.append(visual[-1])
        self.heard.append(audio[-1])
        return self._engine.head(visual, audio, visual_mask, audio_mask)


def gather(profile: str, folder: Path, yamnet: Path | None) -> tuple[list[Clip], list[tuple[Floats, Floats]]]:
    """Looks of the live chain, and for each clip the evidence seen and heard, [S, 28] each."""
    engine = Listening(load_engine(EngineOptions(profile=profile, audio_weights=yamnet)))
    clips, evidence = [], []
    for clip in manifest_clips(folder, engine, SystemClock()):
        whole = np.stack(engine.seen)[:, 0, 0, len(SEEN) : len(SEEN) + BACKGROUND]
        heard = np.stack(engine.heard)
        sound = heard[:, :BACKGROUND]
        if profile == "lite":  # the better of its two readings; YAMNet alone is what the teacher says
            sound = np.maximum(sound, heard[:, len(HEARD) :])
        clips.append(clip)
        evidence.append((whole, sound))
        engine.seen.clear()
        engine.heard.clear()
    return clips, evidence


def judged(clips: list[Clip], scores: list[Floats], threshold: float) -> list[Answers]:
    """The strongest event of each second where it is above the threshold."""
    out = []
    for clip, score in zip(clips, scores, strict=True):
        s = score[: len(clip.targets)]
        answer = np.where(s.max(1) > threshold, s.argmax(1), BACKGROUND)
        answer = np.pad(answer, (0, len(clip.targets) - len(answer)), constant_values=BACKGROUND)
        events = clip.targets[clip.targets != BACKGROUND]
        kind = int(np.bincount(events).argmax()) if events.size else BACKGROUND
        out.append(Answers(clip.name, kind, clip.targets, answer))
    return out


def peer(clips: list[Clip], scores: list[Floats]) -> tuple[list[Answers], list[Answers]]:
    """With the best threshold for these clips, and with each clip's chosen on the others."""
    grid = np.linspace(0.2, 2.0, 91)
    tried = [judged(clips, scores, t) for t in grid]
    right = np.array([[(a.answer == a.truth).sum() for a in answers] for answers in tried])
    tuned = tried[int(right.sum(1).argmax())]
    held = [tried[int((right.sum(1) - right[:, k]).argmax())][k] for k in range(len(clips))]
    return tuned, held


def main(folder: Path, yamnet: Path) -> None:
    """Print the table."""
    lite, lite_evidence = gather("lite", folder, None)
    yam, yam_evidence = gather("lite-yamnet", folder, yamnet)
    full, full_evidence = gather("full", folder, yamnet)
    rules: dict[str, list[Floats]] = {
        "YAMNet alone (ears)": [a for _, a in yam_evidence],
        "our ear alone": [a for _, a in lite_evidence],
        "EfficientNet-Lite0 alone (eyes)": [v for v, _ in lite_evidence],
        "EfficientNet-Lite3 alone (eyes)": [v for v, _ in full_evidence],
        "YAMNet × EfficientNet": [v + a for v, a in yam_evidence],
        "YAMNet × EfficientNet-Lite3": [v + a for v, a in full_evidence],
        "our ear × EfficientNet": [v + a for v, a in lite_evidence],
    }
    table = Table(title=f"{len(lite)} clips, {sum(len(c.targets) for c in lite)} s, %; settled after 2 s")
    for column in ("", "tuning", *(n.replace("_", " ") for n in NAMES)):
        table.add_column(column)

    def row(name: str, tuning: str, answers: list[Answers], spans: bool = False) -> None:
        values = figures(answers, BACKGROUND)
        cells = [f"{100 * values[n]:.1f}" for n in NAMES]
        if spans:
            limits = intervals(answers, BACKGROUND)
            cells = [
                f"{cell} [{100 * limits[n][0]:.0f}–{100 * limits[n][1]:.0f}]"
                for cell, n in zip(cells, NAMES, strict=True)
            ]
        table.add_row(name, tuning, *cells)

    row("always background", "none", judged(lite, [v for v, _ in lite_evidence], 9.0))
    for name, scores in rules.items():
        tuned, held = peer(lite, scores)
        row(name, "these clips", tuned)
        row("", "leave one out", held)
    row("lite", "none", [decode(c, 2, LABELS) for c in lite], spans=True)
    row("lite-yamnet", "none", [decode(c, 2, LABELS) for c in yam], spans=True)
    row("full", "none", [decode(c, 2, LABELS) for c in full], spans=True)
    Console(width=150).print(table)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
