"""`avel evaluate --clips`: labelled clips through the very chain that runs live, second by second.

    segment accuracy      seconds whose settled label is the true one
    event-second recall   of the seconds that carry an event, those named rightly
    clip top-1            event clips whose most frequent event is the true one; background clips that are
                          background for more than half of their seconds
    false-event seconds   seconds of background clips that were given an event

Intervals are 95 % bootstrap over whole clips: seconds of one clip are no independent witnesses.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ....model.probabilities import bootstrap
from ...config.schema import Frames
from ...core.errors import UsageError
from ...core.text import finite

if TYPE_CHECKING:
    from ...recordings.labelled import Clip

SETTLES = (0, 1, 2, 3, 5, 9)
_RESAMPLES = 2000
_SETTLED = 2
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """One clip: its class (background for a negative), truth and settled answers of its seconds."""

    name: str
    kind: int
    truth: Labels
    answer: Labels


def figures(clips: list[Answers], background: int) -> dict[str, float]:
    """The four figures of the module docstring, each 0..1 (NaN where nothing was to be judged)."""
    truth = np.concatenate([c.truth for c in clips])
    answer = np.concatenate([c.answer for c in clips])
    event = truth != background
    negative = [c.answer for c in clips if c.kind == background]
    false = np.concatenate(negative) != background if negative else np.zeros(0, np.bool_)
    return {
        "segment_accuracy": float((truth == answer).mean()),
        "event_second_recall": float((truth == answer)[event].mean()) if event.any() else float("nan"),
        "clip_top1": float(np.mean([_top1(c, background) for c in clips])),
        "false_event_seconds": float(false.mean()) if false.size else float("nan"),
    }


def _top1(clip: Answers, background: int) -> bool:
    if clip.kind == background:
        return bool((clip.answer == background).mean() > 0.5)
    events = Counter(clip.answer[clip.answer != background].tolist())
    return bool(events) and events.most_common(1)[0][0] == clip.kind


def intervals(clips: list[Answers], background: int, seed: int = 0) -> dict[str, tuple[float, float]]:
    """95 % intervals of `figures`, by drawing clips with replacement."""
    names = list(figures(clips, background))

    def drawn(chosen: Labels) -> list[float]:
        return list(figures([clips[i] for i in chosen], background).values())

    low, high = bootstrap(drawn, np.arange(len(clips)), rounds=_RESAMPLES, seed=seed)
    return dict(zip(names, zip(low.tolist(), high.tolist(), strict=True), strict=True))


def decode(clip: Clip, settle: int, labels: tuple[str, ...]) -> Answers:
    """Run the decoder over a clip's looks; seconds it never settled are background."""
    from ...events import Decoder, DecoderConfig

    background = len(labels) - 1
    decoder = Decoder(DecoderConfig(settle=settle, labels=labels))
    answer = np.full(len(clip.targets), background, np.int64)
    steps = [decoder.push(scores) for scores in clip.scores]
    for step in [*steps, decoder.finish()]:
        for settled in step.settled:
            if settled.index < len(answer):
                answer[settled.index] = settled.label
    events = clip.targets[clip.targets != background]
    kind = int(np.bincount(events).argmax()) if events.size else background
    return Answers(clip.name, kind, clip.targets, answer)


def score_clips(
    manifest: Path,
    *,
    checkpoint: Path | None,
    json_out: bool,
    out: Path | None,
    profile: str = "lite",
    audio_weights: Path | None = None,
    frames: Frames = "auto",
) -> None:
    """Score the clips of a manifest and print, as a table or JSON; with `out`, a contact sheet beside it.

    Raises:
        UsageError: no such manifest.
        ModelFileError: a weight file is missing or wrong.

    """
    from rich.progress import Progress

    from ....model.runtime.base import EngineOptions
    from ....model.runtime.select import load_engine
    from ...core.clock import SystemClock
    from ...recordings.labelled import is_manifest, manifest_clips
    from ...ui.console import Console

    folder = manifest.parent if manifest.is_file() else manifest
    if not is_manifest(folder):
        raise UsageError(f"--clips {manifest}: expected MANIFEST.tsv or a folder that holds it")
    engine = load_engine(EngineOptions(profile=profile, checkpoint=checkpoint, audio_weights=audio_weights))
    engine.warm_up()
    labels = engine.info.labels
    background = len(labels) - 1
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("clips", total=None)

        def told(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        clips = list(manifest_clips(folder, engine, SystemClock(), told, frames))
    engine.close()
    by_settle = {s: [decode(clip, s, labels) for clip in clips] for s in SETTLES}
    answers = by_settle[_SETTLED]
    result: dict[str, Any] = {
        "profile": profile,
        "frames": frames,
        "backend": engine.info.backend,
        "precision": engine.info.precision,
        "clips": len(clips),
        "seconds": int(sum(len(c.targets) for c in clips)),
        **figures(answers, background),
        "interval95": intervals(answers, background),
        "by_settle": {str(s): figures(a, background) for s, a in by_settle.items()},
        "per_class": per_class(answers, labels, background),
        "always_background": figures(
            [Answers(c.name, c.kind, c.truth, np.full_like(c.truth, background)) for c in answers], background
        ),
    }
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "clips.json").write_text(json.dumps(finite(result), indent=2, allow_nan=False))
        contact_sheet(answers, labels, out / "clips.png")
    if json_out:
        print(json.dumps(finite(result), allow_nan=False))
    else:
        print_tables(result)


def per_class(clips: list[Answers], labels: tuple[str, ...], background: int) -> dict[str, dict[str, float]]:
    """Seconds, recall and precision of each class that occurs or was said."""
    truth = np.concatenate([c.truth for c in clips])
    answer = np.concatenate([c.answer for c in clips])
    rows: dict[str, dict[str, float]] = {}
    for index in sorted({*truth.tolist(), *answer.tolist()}):
        seconds, said = truth == index, answer == index
        rows[labels[index]] = {
            "seconds": float(seconds.sum()),
            "recall": float(said[seconds].mean()) if seconds.any() else float("nan"),
            "precision": float(seconds[said].mean()) if said.any() else float("nan"),
        }
    return rows


def print_tables(result: dict[str, Any]) -> None:
    """The figures with their intervals, by settling time, and by class."""
    from rich.table import Table

    from ...ui.console import Console

    console = Console()
    names = ("segment_accuracy", "event_second_recall", "clip_top1", "false_event_seconds")
    table = Table(title=f"{result['clips']} clips, {result['seconds']} s, {result['profile']}, %")
    for column in ("", *(n.replace("_", " ") for n in names)):
        table.add_column(column, justify="right" if column else "left")
    spans = (result["interval95"][n] for n in names)
    cells = [
        f"{100 * result[n]:.1f} [{100 * low:.0f}–{100 * high:.0f}]"
        for n, (low, high) in zip(names, spans, strict=True)
    ]
    table.add_row(f"settled after {_SETTLED} s", *cells, style="bold")
    for settle, row in result["by_settle"].items():
        table.add_row(f"after {settle} s", *(f"{100 * row[n]:.1f}" for n in names))
    table.add_row("always background", *(f"{100 * result['always_background'][n]:.1f}" for n in names))
    console.print(table)
    table = Table(title="by class")
    for column in ("class", "seconds", "recall %", "precision %"):
        table.add_column(column, justify="left" if column == "class" else "right")
    for name, row in result["per_class"].items():
        table.add_row(
            name, f"{row['seconds']:.0f}", f"{100 * row['recall']:.0f}", f"{100 * row['precision']:.0f}"
        )
    console.print(table)


def contact_sheet(clips: list[Answers], labels: tuple[str, ...], path: Path) -> None:
    """Every clip as two strips, truth above and answer below, a colour for each class; a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import Patch

    background = len(labels) - 1
    used = sorted({k for c in clips for k in (*c.truth.tolist(), *c.answer.tolist())} - {background})
    palette = plt.get_cmap("tab20")
    colour = {k: palette(i % 20) for i, k in enumerate(used)} | {background: (0.9, 0.9, 0.9, 1.0)}
    figure, axes = plt.subplots(figsize=(11, 0.42 * len(clips) + 2))
    for row, clip in enumerate(clips):
        for second, (truth, answer) in enumerate(zip(clip.truth, clip.answer, strict=True)):
            axes.barh(row - 0.2, 1, left=second, height=0.36, color=colour[int(truth)], edgecolor="w")
            axes.barh(row + 0.2, 1, left=second, height=0.36, color=colour[int(answer)], edgecolor="w")
    axes.set_yticks(range(len(clips)), [c.name for c in clips], fontsize=7)
    axes.invert_yaxis()
    axes.set(xlabel="seconds; truth above, answer below")
    axes.legend(
        [Patch(color=colour[k]) for k in (*used, background)],
        [labels[k] for k in (*used, background)],
        fontsize=7,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
    )
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)
