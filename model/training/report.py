"""An evaluation as a picture and as one self-contained page."""

from __future__ import annotations

import base64
import html
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..labels import short_name
from .evaluate import Evaluation

_BAR: Final = "#2f6f8f"
_MARK: Final = "#c8553d"


def _figure(result: Evaluation) -> Any:
    from matplotlib.figure import Figure

    m, names = result.metrics, [short_name(x) for x in result.labels]
    side = max(4.5, 0.24 * len(names))
    figure = Figure(figsize=(2 * side + 2.5, 2 * side), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(1.35, 1))

    axes = figure.add_subplot(grid[0, 0])
    share = m.confusion / np.maximum(m.confusion.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set(xlabel="answer", ylabel="truth", title="Confusion (share of each class's seconds)")

    axes = figure.add_subplot(grid[0, 1])
    f1 = [0.0 if np.isnan(s.f1) else s.f1 for s in m.classes]
    axes.barh(range(len(names)), f1, color=_BAR)
    axes.set_yticks(range(len(names)), [f"{n} ({s.support})" for n, s in zip(names, m.classes, strict=True)])
    axes.tick_params(axis="y", labelsize=7)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.set(xlim=(0, 1), title="F1 of each class (seconds in brackets)")
    axes.grid(axis="x", alpha=0.3)

    if result.streaming is not None:
        s = result.streaming
        waits = range(len(s.by_latency))
        axes = figure.add_subplot(grid[1, 0])
        axes.plot(waits, 100 * s.by_latency, "o-", color=_BAR, label="accuracy")
        axes.axhline(100 * m.oracle, color=_MARK, ls="--", label="perfect video classifier")
        axes.set(xlabel="seconds waited (latency)", ylabel="%", title="What waiting buys")
        axes.set_xticks(list(waits))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)

        axes = figure.add_subplot(grid[1, 1])
        image = axes.imshow(100 * s.by_past, cmap="viridis", aspect="auto")
        for p, row in enumerate(s.by_past):
            for wait, value in enumerate(row):
                if not np.isnan(value):
                    ink = "k" if float(np.asarray(image.norm(100 * value))) > 0.6 else "w"
                    axes.text(wait, p, f"{100 * value:.0f}", ha="center", va="center", color=ink, fontsize=7)
        axes.set_xticks(list(waits))
        axes.set_yticks(list(waits))
        axes.set(
            xlabel="seconds of future",
            ylabel="seconds of past",
            title="Accuracy with exactly so much context",
        )
        figure.colorbar(image, ax=axes, label="%")
    return figure


def write_png(result: Evaluation, path: Path) -> None:
    """Confusion matrix, F1 of each class, and the streaming table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _figure(result).savefig(path, dpi=110)


def percent(value: float) -> str:
    """`0.784` → `78.4`; NaN → `–`."""
    return "–" if np.isnan(value) else f"{100 * value:.1f}"


def headline(result: Evaluation) -> list[tuple[str, str]]:
    """Names and values of the summary, for the terminal and the page alike."""
    m = result.metrics
    f1 = " / ".join(percent(s.f1) for s in m.event_f1.values())
    at = " / ".join(m.event_f1)
    return [
        ("accuracy, Eq. (13)", percent(m.accuracy)),
        ("a perfect video classifier that never says background", percent(m.oracle)),
        ("accuracy where there is an event", percent(m.event_accuracy)),
        ("background recall", percent(m.background_recall)),
        ("F1, mean over classes", percent(m.macro_f1)),
        (f"event F1 at tIoU {at}", f1),
        ("calibration error (ECE)", percent(m.calibration_error)),
    ]


_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}
body{color:#222;background:#fff}table{border-collapse:collapse;margin:1rem 0}
td,th{padding:.25rem .8rem;border-bottom:1px solid #ddd;text-align:left}
td+td,th+th{text-align:right;font-variant-numeric:tabular-nums}img{max-width:100%}
"""


def _table(head: list[str], rows: list[list[str]]) -> str:
    def line(cells: list[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(r, 'td') for r in rows)}</table>"


def write_html(result: Evaluation, path: Path, title: str) -> None:
    """One page with all tables and the picture inside it."""
    from io import BytesIO

    picture = BytesIO()
    _figure(result).savefig(picture, dpi=110, format="png")
    data = base64.b64encode(picture.getvalue()).decode()
    m = result.metrics
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>Split {html.escape(result.split)}: {m.videos} videos, {m.seconds} seconds. All values in %.</p>",
        _table(["measure", "%"], [[n, v] for n, v in headline(result)]),
    ]
    if result.streaming is not None:
        s = result.streaming
        waits = [str(x) for x in range(len(s.by_latency))]
        parts.append("<h2>What waiting buys</h2>")
        parts.append(
            _table(
                ["seconds waited", *waits],
                [
                    ["accuracy", *map(percent, s.by_latency)],
                    ["background recall", *map(percent, s.background_recall)],
                ],
            )
        )
    parts.append(f'<img alt="confusion, F1 and streaming plots" src="data:image/png;base64,{data}">')
    parts.append("<h2>Classes</h2>")
    rows = [
        [name, percent(c.precision), percent(c.recall), percent(c.f1), str(c.support)]
        for name, c in zip(result.labels, m.classes, strict=True)
    ]
    parts.append(_table(["class", "precision", "recall", "F1", "seconds"], rows))
    path.parent.mkdir(parents=True, exist_ok=True)
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
    path.write_text(f"{page}<style>{_STYLE}</style>{''.join(parts)}</html>", encoding="utf-8")
