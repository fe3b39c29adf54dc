"""Benchmark reports for people: one table of configurations, one of stages, one against an older run."""

from __future__ import annotations

from typing import Any, Final

from rich.table import Table

from ...ui.console import Console

STAGES: Final = ("decode", "resize", "visual", "audio", "DIIA", "decoder", "UI")
# Path in a result, heading, digits after the point, whether less is better.
FIGURES: Final = (
    (("real_time_factor",), "RTF", 3, True),
    (("cpu_s_per_s",), "CPU", 3, True),
    (("decode_cpu_s_per_s",), "decode", 3, True),
    (("live", "latency_ms", "p50"), "p50", 0, True),
    (("live", "latency_ms", "p95"), "p95", 0, True),
    (("live", "latency_ms", "p99"), "p99", 0, True),
    (("live", "first_record_s"), "start", 1, True),
    (("peak_memory_mb",), "MB", 0, True),
    (("joules_per_s",), "J/s", 1, True),
    (("window", "times_cheaper"), "ten/hop", 1, False),
)
_LEGEND: Final = (
    "RTF: time working on a second of stream, after decoding. CPU, decode: processor seconds per second. "
    "p50 p95 p99: milliseconds from the end of a second to its answer, in real time. start: seconds from "
    "process start to first answer, beyond the first second. MB: peak. ten/hop: computing all ten segments "
    "against one hop."
)


def show(report: dict[str, Any], console: Console) -> None:
    """Print a report."""
    console.print(f"{report['machine']}; {len(report['clips'])} clips", highlight=False)
    shown = [f for f in FIGURES if any(look_up(r, f[0]) is not None for r in report["results"])]
    table = Table("configuration", *(heading for _, heading, _, _ in shown), box=None, pad_edge=False)
    for column in table.columns:
        column.justify = "left" if column is table.columns[0] else "right"
        # Where it gets narrow a name is broken; a figure never is.
        column.no_wrap = column is not table.columns[0]
    table.columns[0].overflow = "fold"
    for result in report["results"]:
        if "error" not in result:
            table.add_row(name_of(result), *(_figure(result, path, digits) for path, _, digits, _ in shown))
    console.print(table)
    console.print(_LEGEND, style="dim", highlight=False)
    for result in report["results"]:
        if "error" in result:
            console.print(f"{name_of(result)}: {result['error']}", highlight=False, soft_wrap=True)
    for result in report["results"]:
        if "error" not in result:
            console.print()
            console.print(stages(result))
            if side := result.get("side_by_side"):
                console.print(_side(side), highlight=False)
            if result["note"]:
                console.print(result["note"], highlight=False, soft_wrap=True)


def stages(result: dict[str, Any]) -> Table:
    """The stages of one configuration."""
    table = Table(
        name_of(result),
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "calls/s",
        "ms per s",
        box=None,
        pad_edge=False,
    )
    for column in table.columns[1:]:
        column.justify = "right"
    seconds = max(result["seconds"], 1e-9)
    for stage in STAGES:
        if figures := result["stages"].get(stage):
            values = [f"{figures[p]:.2f}" for p in ("p50", "p95", "p99")]
            table.add_row(stage, *values, f"{figures['calls'] / seconds:.1f}", f"{figures['ms_per_s']:.1f}")
    return table


def compare(old: dict[str, Any], new: dict[str, Any], console: Console) -> None:
    """Print how each figure changed for configurations that both reports hold."""
    before = {name_of(result): result for result in old["results"] if "error" not in result}
    if old["machine"] != new["machine"]:
        console.print(f"the older run is of another machine: {old['machine']}", style="yellow")
    table = Table("configuration", "figure", "before", "now", "change", box=None, pad_edge=False)
    for result in new["results"]:
        name = name_of(result)
        if "error" in result or name not in before:
            continue
        for path, heading, digits, less in FIGURES:
            was, now = look_up(before[name], path), look_up(result, path)
            if was and now is not None:
                change = (now - was) / was
                better = change < 0 if less else change > 0
                style = "" if abs(change) < 0.05 else "green" if better else "red"
                row = (name, heading, f"{was:.{digits}f}", f"{now:.{digits}f}", f"{change:+.0%}")
                table.add_row(*row, style=style)
    console.print(table)


def name_of(result: dict[str, Any]) -> str:
    """Profile, backend and precision."""
    return f"{result['profile']} {result['backend']} {result['precision']}"


def look_up(result: dict[str, Any], path: tuple[str, ...]) -> float | None:
    """A figure deep in a result; None where it was not measured."""
    value: Any = result
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return None if value is None else float(value)


def _figure(result: dict[str, Any], path: tuple[str, ...], digits: int) -> str:
    value = look_up(result, path)
    return "–" if value is None else f"{value:.{digits}f}"


def _side(side: dict[str, Any]) -> str:
    if "error" in side:
        return f"side by side: {side['error']}"
    return (
        f"{side['streams']} streams at once: {side['late_hops']} late answers, worst p99 "
        f"{side['worst_p99_ms']:.0f} ms, {side['cpu_s_per_s']:.2f} CPU s/s, {side['memory_mb']:.0f} MB"
    )


def show_builds(found: list[dict[str, Any]], console: Console) -> None:
    """Print how two builds compare on each recording."""
    from .against import FIGURES as PAID

    table = Table("recording", "figure", "other build", "this build", "ratio", box=None, pad_edge=False)
    for column in table.columns[2:]:
        column.justify = "right"
    for one in found:
        for key, heading, digits in PAID:
            was, now = one["against"][key], one["now"][key]
            ratio = f"{now / was:.2f}" if was else "–"
            table.add_row(one["clip"], heading, f"{was:.{digits}f}", f"{now:.{digits}f}", ratio)
    console.print(table)
    for one in found:
        alike = "different numbers of seconds" if one["alike"] is None else f"{one['alike']:.1%} of seconds"
        console.print(f"{one['clip']}: {alike} named alike; medians of {one['rounds']}", highlight=False)
