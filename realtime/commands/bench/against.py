"""`avel bench --against PROGRAM`: two builds of avel-live on the same recordings, in turn, as processes.

What is compared is what a user pays: processor seconds and wall time of one process from its start to its
end, and its peak of memory; and whether both say the same of every second. Runs alternate, so that a busy
machine is busy for both; medians are shown, and their ratio.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ...core.clock import NS_PER_S, SystemClock
from ...core.errors import UsageError

OURS: Final = (sys.executable, "-c", "from avel_live.realtime.commands import live_main; live_main()")
FIGURES: Final = (("cpu_s", "processor s", 2), ("wall_s", "wall s", 2), ("peak_mb", "peak MB", 0))


@dataclass(frozen=True)
class Run:
    """One process."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    labels: tuple[str, ...]
    """Of every settled second (records of type `segment`)."""


def compare_builds(
    other: Path, clips: Sequence[Path], rounds: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Play every clip with both builds, `rounds` times each, in turn.

    Args:
        other: the other build's `avel-live`.
        clips: recordings.
        rounds: how often; one more run of each, before, fills caches.
        say: hears what is being done.

    Returns:
        for each clip the medians of both, and the share of settled seconds that are named alike.

    Raises:
        UsageError: a program that can't be run, or that fails on a clip.

    """
    if not os.access(other, os.X_OK) or other.is_dir():
        raise UsageError(f"--against {other}: not a program; give the avel-live of the other build")
    found = []
    for clip in clips:
        runs: dict[str, list[Run]] = {"now": [], "against": []}
        for number in range(rounds + 1):
            say(f"{clip.name}: round {number} of {rounds}" if number else f"{clip.name}: filling caches")
            for name, program in (("against", (str(other),)), ("now", OURS)):
                run = play(program, clip)
                if number:
                    runs[name].append(run)
        found.append({"clip": clip.name, "rounds": rounds, **_medians(runs), "alike": _alike(runs)})
    return found


def play(program: Sequence[str], clip: Path) -> Run:
    """One run of a build, as fast as it goes."""
    clock = SystemClock()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as complaint:
        begun_ns = clock.now_ns()
        command = [*program, "--file", str(clip), "--fast", "--json"]
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=complaint)
        except OSError as error:
            raise UsageError(f"--against {program[0]}: can't be run ({error.strerror})") from error
        _, status, used = os.wait4(process.pid, 0)
        wall_s = (clock.now_ns() - begun_ns) / NS_PER_S
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        complaint.seek(0)
        lines = out.read().decode(errors="replace").splitlines()
        last = complaint.read().decode(errors="replace").strip().splitlines()[-1:]
    if process.returncode:
        why = f": {last[0]}" if last else ""
        raise UsageError(f"{program[0]} ended with exit code {process.returncode} on {clip}{why}")
    peak = used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return Run(used.ru_utime + used.ru_stime, wall_s, peak, _labels(lines))


def _labels(lines: Sequence[str]) -> tuple[str, ...]:
    """The label of every settled second of a JSON-lines output."""
    settled: dict[int, str] = {}
    for line in lines:
        record = json.loads(line)
        if record["type"] == "segment":
            settled[record["index"]] = record["label"]
    return tuple(settled[second] for second in sorted(settled))


def _medians(runs: dict[str, list[Run]]) -> dict[str, Any]:
    def of(name: str) -> dict[str, float]:
        return {
            key: round(statistics.median(getattr(r, key) for r in runs[name]), 3) for key, _, _ in FIGURES
        }

    return {name: of(name) for name in runs}


def _alike(runs: dict[str, list[Run]]) -> float | None:
    """Share of seconds that both name alike; None where they settle different numbers of them."""
    one, other = runs["now"][-1].labels, runs["against"][-1].labels
    if len(one) != len(other) or not one:
        return None
    return round(sum(a == b for a, b in zip(one, other, strict=True)) / len(one), 4)
