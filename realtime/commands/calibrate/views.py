"""Calibration results on a terminal: tables and a reliability diagram in characters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ....calibration.background import RoomReport
from ....calibration.rates import Rate
from ....calibration.report import ConfidenceReport, Line
from ....calibration.sync import SyncEstimate
from ....calibration.thresholds import Chosen
from ....model.labels import short_name
from ....model.probabilities import Bins


def confidence_view(report: ConfidenceReport, settled: Line | None, settle_s: int) -> RenderableType:
    """Table by seconds of future, then both reliability diagrams; 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", padding=(0, 1), pad_edge=False)
    table.add_column("future")
    for name in ("right", "T", "ECE", "adaptive ECE", "Brier", "NLL"):
        table.add_column(name, justify="right")
    for future, line in report.by_future.items():
        table.add_row(f"{future} s", *_cells(line, f"{report.calibrator.temperatures[future]:.2f}"))
    table.add_section()
    table.add_row("all looks", *_cells(report.overall, ""), style="bold")
    if settled is not None:
        table.add_row("settled", *_cells(settled, ""), style="bold")
    head = Text(
        f"Confidence of {report.overall.before.count} looks at {report.clips} clips, before → after\n"
    )
    how = "by a calibration made elsewhere" if report.given else "each judged by a fit that did not see it"
    head.append(f"{how}\n")
    lines = Text()
    for name, one in (("all looks", report.overall), (f"settled after {settle_s} s", settled)):
        if one is not None:
            lines.append(f"ECE, {name}: {_with(one.before.ece, one.before_ece)} → ")
            lines.append(f"{_with(one.after.ece, one.after_ece)} (95 %)\n")
    diagrams = Table.grid(padding=(0, 3))
    diagrams.add_row(reliability_text(report.before, "before"), reliability_text(report.after, "after"))
    return Group(head, table, lines, diagrams)


def _with(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def _cells(line: Line, temperature: str) -> list[str]:
    b, a = line.before, line.after
    return [
        f"{a.accuracy:.1%}",
        temperature,
        f"{b.ece:.3f}→{a.ece:.3f}",
        f"{b.adaptive_ece:.3f}→{a.adaptive_ece:.3f}",
        f"{b.brier:.2f}→{a.brier:.2f}",
        f"{b.nll:.2f}→{a.nll:.2f}",
    ]


def reliability_text(bins: Bins, title: str, width: int = 16) -> Text:
    """One line per bin: stated confidence, a bar of the share that was right, a mark where it should be."""
    out = Text(f"{title}: ECE {bins.error:.3f}\n", style="bold")
    out.append("said" + " " * (width + 3) + "right  looks\n", style="dim not bold")
    for k, count in enumerate(bins.count):
        if not count:
            continue
        said, right = float(bins.confidence[k]), float(bins.accuracy[k])
        filled, mark = round(right * width), min(width - 1, round(said * width))
        bar = ["█"] * filled + ["·"] * (width - filled)
        bar[mark] = "┃"
        colour = "green" if abs(said - right) < 0.05 else "red" if said > right else "yellow"
        out.append(f"{said:4.0%} ", style="not bold")
        out.append("".join(bar), style=f"{colour} not bold")
        out.append(f" {right:5.0%} {count:6d}\n", style="not bold")
    out.append("┃ where the bar should end", style="dim not bold")
    return out


def thresholds_view(chosen: Chosen, labels: Sequence[str], events: Sequence[int]) -> RenderableType:
    """The rules of the classes that have their own, and what they give against one rule for all."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column("class")
    for name in ("events", "enter", "leave", "at least", "F1", "false alarms"):
        table.add_column(name, justify="right")
    g = chosen.global_rule
    for c in range(len(chosen.rules.enter)):
        if not events[c] and not chosen.per_class_false[c]:
            continue
        table.add_row(
            short_name(labels[c]),
            str(events[c]),
            f"{chosen.rules.enter[c]:.3g}",
            f"{chosen.rules.leave[c]:.3g}",
            f"{chosen.rules.min_duration_s[c]:g} s",
            f"{chosen.tally.f1_of(c):.2f}" if events[c] else "",
            str(chosen.per_class_false[c]) if chosen.false_alarms else "",
            style="dim" if c in chosen.kept_global else "",
        )
    lines = Text()
    lines.append(
        f"event F1 {chosen.tally.f1:.3f} on the data it was chosen on; one rule for all "
        f"(enter {g.enter:g}, leave {g.enter * g.leave_ratio:.3g}, at least {g.min_duration_s:g} s): "
        f"{chosen.global_tally.f1:.3f}\n"
    )
    if chosen.kept_global:
        lines.append(f"{len(chosen.kept_global)} classes had too few events for a rule of their own (dim)\n")
    if chosen.false_alarms is not None:
        lines.append(f"false alarms on background: {rate_text(chosen.false_alarms)}\n")
    return Group(table, lines)


def rate_text(rate: Rate) -> str:
    """3 in 2 hours: 1.5 an hour (95 %: 0.3–4.4)."""
    time = f"{rate.hours:.3g} hours" if rate.hours >= 1 else f"{rate.hours * 60:.3g} minutes"
    return f"{rate.count} in {time}: {rate.per_hour:.3g} an hour (95 %: {rate.low:.2g}–{rate.high:.3g})"


def room_view(room: RoomReport, labels: Sequence[str]) -> RenderableType:
    """The room in a few lines, and the classes that come near or over their threshold."""
    lines = Text()
    lines.append(f"{room.seconds} seconds; noise floor {room.noise_dbfs:.0f} dBFS, ")
    lines.append(f"loudest twentieth {room.loud_dbfs:.0f} dBFS; ")
    lines.append(f"brightness {room.brightness:.0%}, movement {room.motion:.1%}\n")
    if room.mute:
        lines.append("the microphone delivers silence: is it muted?\n", style="bold red")
    if room.dark:
        lines.append("the picture is dark: is the lens covered?\n", style="bold red")
    lines.append(f"false alarms with the thresholds in use: {rate_text(room.false_alarms)}\n")
    order = np.argsort(-room.highest)
    shown = [int(c) for c in order if room.per_class[c] or c in room.raised][:12] or [
        int(c) for c in order[:3]
    ]
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column("class")
    for name in ("highest here", "false alarms", "enter, proposed"):
        table.add_column(name, justify="right")
    for c in shown:
        table.add_row(
            short_name(labels[c]),
            f"{room.highest[c]:.2f}",
            str(room.per_class[c]),
            "ignore it here" if c in room.hopeless else f"{room.proposed.enter[c]:.3g}",
        )
    return Group(lines, table)


def sync_view(found: SyncEstimate) -> Text:
    """The offset and what it rests on."""
    out = Text()
    out.append(f"camera {found.offset_ms:+.0f} ms", style="bold")
    out.append(
        f" against the microphone (95 %: {found.low_ms:+.0f} to {found.high_ms:+.0f} ms)\n"
        f"{found.events} {'flashes' if found.kind == 'flash' else 'claps'} agree, of {found.seen} seen and "
        f"{found.heard} heard; by chance: {found.chance:.1g}; one frame is {found.frame_ms:.0f} ms"
    )
    return out
