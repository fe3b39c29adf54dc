"""`avel bench`: what every backend costs on this machine, on real clips."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ....model.profiles import PROFILES
from ...config.schema import Frames
from ...core.errors import UsageError


def bench(
    clips: Annotated[
        list[Path] | None, typer.Argument(help="recordings to run on; the demo clip if none is given")
    ] = None,
    profile: Annotated[list[str] | None, typer.Option(help=f"{', '.join(PROFILES)} (repeatable)")] = None,
    backend: Annotated[
        list[str] | None, typer.Option(help="torch, onnxruntime, tensorrt or auto (repeatable)")
    ] = None,
    precision: Annotated[list[str] | None, typer.Option(help="fp32, fp16, bf16, int8 (repeatable)")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="trained head")] = None,
    visual_weights: Annotated[Path | None, typer.Option(help="weights of the visual network")] = None,
    audio_weights: Annotated[Path | None, typer.Option(help="weights of the audio network")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads for the networks")] = None,
    frames: Annotated[Frames, typer.Option(help="pictures a second, as for avel-live")] = "auto",
    seconds: Annotated[float | None, typer.Option(help="use only the first seconds of each clip")] = None,
    live: Annotated[float, typer.Option(help="seconds of real-time replay; 0 = none")] = 15.0,
    streams: Annotated[int, typer.Option(help="also run so many streams at once; 0 = no")] = 0,
    json_out: Annotated[Path | None, typer.Option("--json", help="write the report here")] = None,
    compare: Annotated[Path | None, typer.Option(help="an older report to compare with")] = None,
    against: Annotated[
        Path | None,
        typer.Option(metavar="PROGRAM", help="avel-live of another build: run both in turn instead"),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="runs of each build, with --against")] = 5,
) -> None:
    """Measure each stage, real-time factor, latency, CPU, memory and start-up, backend by backend.

    Each configuration runs in a process of its own. Without --backend every one that is available is
    measured in every precision it offers here.
    """
    from ....model.runtime.probe import machine
    from ...ui.console import Console
    from .against import compare_builds
    from .runs import Bench, run_all, save
    from .tables import compare as show_changes
    from .tables import show, show_builds

    older = _read(compare) if compare else None
    if not clips:
        from ...session.sources import demo_path

        clips = [demo_path()]
    if missing := [str(clip) for clip in clips if not clip.is_file()]:
        raise UsageError(f"no such file: {', '.join(missing)}")
    errors = Console(stderr=True)
    if against is not None:
        builds = compare_builds(against, clips, rounds, lambda text: errors.print(text, highlight=False))
        if json_out:
            save(json_out, {"bench": 1, "machine": machine().describe(), "against": builds})
        show_builds(builds, Console())
        return
    options: dict[str, Any] = {
        "threads": threads,
        "checkpoint": str(checkpoint) if checkpoint else None,
        "visual_weights": str(visual_weights) if visual_weights else None,
        "audio_weights": str(audio_weights) if audio_weights else None,
    }
    chosen = [
        (p, b, q)
        for p in profile or ["lite"]
        for b in backend or backends()
        for q in precision or precisions(b)
    ]
    measured = run_all(
        Bench(clips, seconds, live, streams, options=options, frames=frames),
        chosen,
        lambda text: errors.print(text, highlight=False),
    )
    report = {
        "bench": 1,
        "machine": machine().describe(),
        "versions": machine().versions,
        "python": sys.version.split()[0],
        "clips": [clip.name for clip in clips],
        "frames": frames,
        "results": measured,
    }
    if json_out:
        save(json_out, report)
    console = Console()
    show(report, console)
    if older:
        console.print()
        show_changes(older, report, console)


def backends() -> list[str]:
    """The runtimes that could run here."""
    from ....model.runtime.probe import installed, machine

    found = [name for name in ("onnxruntime", "torch") if installed(name)]
    return [*found, "tensorrt"] if machine().gpu else found


def precisions(backend: str) -> list[str]:
    """What a backend offers here; int8 says for itself when it lacks a calibration."""
    from ....model.runtime.probe import machine

    here = machine()
    if backend == "auto":
        return ["auto"]
    if backend == "tensorrt":
        return ["fp16", "fp32", "int8"]
    if backend == "onnxruntime":
        return ["fp32", "int8"]
    return ["fp32", *(["fp16"] if here.gpu else []), *(["bf16"] if here.fast_bf16 else [])]


def _read(path: Path) -> dict[str, Any]:
    try:
        report = json.loads(path.read_text())
        if report["bench"] != 1:
            raise ValueError(f"version {report['bench']}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"--compare {path}: not a report of `avel bench --json` ({error})") from error
    return dict(report)
