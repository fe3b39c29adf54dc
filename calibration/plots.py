"""Pictures of a calibration, as PNG files: reliability diagrams, precision-recall, onsets.

matplotlib is imported inside and drawn without a display.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..model.probabilities import Bins

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

_GOOD, _OVER, _UNDER, _GREY = "#2a6f97", "#d1495b", "#edae49", "#8d99ae"


def reliability_png(
    path: Path,
    before: Bins,
    after: Bins,
    *,
    title: str,
    note: str = "",
    futures: Mapping[int, Sequence[float]],
) -> None:
    """Two reliability diagrams and the error by seconds of future.

    Args:
        path: where to write.
        before: bins of the raw confidences.
        after: bins of the calibrated ones.
        title: heading.
        note: a line below it.
        futures: seconds of future → (ECE before, ECE after).

    """
    figure = _figure(11, 4.6)
    axes = figure.subplots(1, 3)
    _diagram(axes[0], before, "before")
    _diagram(axes[1], after, "after")
    x = sorted(futures)
    for column, (name, colour) in enumerate((("before", _OVER), ("after", _GOOD))):
        axes[2].plot(x, [futures[f][column] for f in x], "o-", color=colour, label=name)
    axes[2].set(xlabel="seconds of future", ylabel="expected calibration error", title="by latency")
    axes[2].set_ylim(bottom=0)
    axes[2].legend(frameon=False)
    _finish(figure, path, title, note)


def _diagram(axes: Axes, bins: Bins, title: str) -> None:
    filled = bins.count > 0
    left, width = bins.edges[:-1][filled], np.diff(bins.edges)[filled]
    accuracy, confidence = bins.accuracy[filled], bins.confidence[filled]
    axes.bar(left, accuracy, width, align="edge", color=_GOOD, edgecolor="white", label="right")
    over = confidence > accuracy
    for mask, colour, name in ((over, _OVER, "too sure"), (~over, _UNDER, "too modest")):
        if mask.any():
            axes.bar(
                left[mask],
                (confidence - accuracy)[mask],
                width[mask],
                bottom=accuracy[mask],
                align="edge",
                color=colour,
                alpha=0.5,
                label=name,
            )
    axes.plot([0, 1], [0, 1], color="black", linewidth=1)
    share = bins.count / max(1, bins.count.sum())
    axes.step(np.append(bins.edges[:-1], 1.0), np.append(share, share[-1]), where="post", color=_GREY)
    axes.set(
        xlim=(0, 1),
        ylim=(0, 1),
        xlabel="stated confidence",
        ylabel="share right (grey: share of seconds)",
        title=f"{title}: ECE {bins.error:.3f}",
    )
    axes.set_aspect("equal")
    axes.legend(frameon=False, loc="upper left", fontsize=8)


def precision_recall_png(
    path: Path,
    curves: Mapping[str, tuple[Floats, Floats, Floats]],
    chosen: Mapping[str, float],
    *,
    title: str,
) -> None:
    """One precision-recall curve per class (thresholds, precision, recall), the chosen threshold marked."""
    names = [name for name, (thresholds, _, _) in curves.items() if len(thresholds)]
    columns = min(5, max(1, len(names)))
    rows = max(1, -(-len(names) // columns))
    figure = _figure(2.5 * columns + 0.4, 2.4 * rows + 0.9)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in grid.ravel()[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(grid.ravel(), names, strict=False):
        thresholds, precision, recall = curves[name]
        axes.step(recall, precision, where="post", color=_GOOD)
        at = int(np.searchsorted(-thresholds, -chosen[name], side="right")) - 1
        if at >= 0:
            axes.plot(recall[at], precision[at], "o", color=_OVER)
        axes.set_title(f"{name.split(',')[0]}\nenter {chosen[name]:.2f}", fontsize=9)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
        # Panels above an empty place carry the scale that it would have carried.
        axes.tick_params(labelbottom=True)
    figure.supxlabel("recall by the second", fontsize=9)
    figure.supylabel("precision by the second", fontsize=9)
    _finish(figure, path, title, "")


def sync_png(
    path: Path,
    heard: tuple[Floats, Floats],
    seen: tuple[Floats, Floats],
    offset_ms: float | None,
    *,
    title: str,
) -> None:
    """Onset strength of the sound over the activity in the picture, both (times, curve)."""
    figure = _figure(11, 4.2)
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(*heard, color=_GOOD, linewidth=0.8)
    above.set(ylabel="onset in sound")
    below.plot(*seen, color=_OVER, linewidth=0.8)
    below.set(ylabel="movement", xlabel="seconds")
    note = "no offset found" if offset_ms is None else f"camera {offset_ms:+.0f} ms against the microphone"
    _finish(figure, path, title, note)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _finish(figure: Figure, path: Path, title: str, note: str) -> None:
    figure.suptitle(title if not note else f"{title}\n{note}", fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png")
