"""Starts workers, one configuration after the other, and gathers what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...config.schema import Frames
from ...core.clock import SystemClock
from ...core.errors import OutputError


@dataclass(frozen=True)
class Bench:
    """What is measured.

    Attributes:
        clips: real recordings.
        duration_s: of each clip at most; None = whole.
        live_s: seconds of real-time replay.
        streams: how many streams are run side by side, beside the single one; 0 = none.
        window: repeats of the hop-against-window comparison; 0 = none.
        options: given to every engine (threads, checkpoint, weights, cache folder).
        frames: pictures a second, as `--frames`.

    """

    clips: Sequence[Path]
    duration_s: float | None = None
    live_s: float = 15.0
    streams: int = 0
    window: int = 3
    options: dict[str, Any] = field(default_factory=dict)
    frames: Frames = "auto"

    def request(self, profile: str, backend: str, precision: str, **changes: Any) -> dict[str, Any]:
        """What one worker is asked."""
        engine = {**self.options, "profile": profile, "backend": backend, "precision": precision}
        return {
            "engine": {name: value for name, value in engine.items() if value is not None},
            "clips": [str(clip) for clip in self.clips],
            "duration_s": self.duration_s,
            "frames": self.frames,
            "live_s": self.live_s,
            "stages": True,
            "window": self.window,
            **changes,
        }

    def run(self, profile: str, backend: str, precision: str) -> dict[str, Any]:
        """One configuration; `error` instead of figures where it can't run here."""
        # The first process fills the caches, so that what is measured is a start as it usually is.
        warm = ask([self.request(profile, backend, precision, live_s=0, stages=False, window=0)])[0]
        if "error" in warm:
            return {"profile": profile, "backend": backend, "precision": precision, **warm}
        result = ask([self.request(profile, backend, precision)])[0]
        if self.streams and "error" not in result:
            result["side_by_side"] = self.side_by_side(profile, backend, precision)
        return result

    def side_by_side(self, profile: str, backend: str, precision: str) -> dict[str, Any]:
        """Several streams at once in real time, each in a process with one thread for its networks."""
        request = self.request(profile, backend, precision, stages=False, window=0)
        request["engine"]["threads"] = 1
        answers = ask([request] * self.streams)
        if failed := [answer for answer in answers if "error" in answer]:
            return failed[0]
        lives = [answer["live"] for answer in answers]
        return {
            "streams": self.streams,
            "late_hops": sum(one["late_hops"] for one in lives),
            "worst_p99_ms": max(one["latency_ms"]["p99"] for one in lives),
            "cpu_s_per_s": round(sum(one["cpu_s_per_s"] for one in lives), 3),
            "memory_mb": round(sum(answer["peak_memory_mb"] for answer in answers), 1),
        }


def ask(requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Start one worker for each request at the same time and wait for all answers."""
    clock = SystemClock()
    package = __package__ or "avel_live.realtime.commands.bench"
    workers = []
    for request in requests:
        worker = subprocess.Popen(
            [sys.executable, "-m", f"{package}.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert worker.stdin is not None
        worker.stdin.write(json.dumps({**request, "spawned_ns": clock.now_ns()}))
        worker.stdin.close()
        worker.stdin = None
        workers.append(worker)
    return [_answer(worker) for worker in workers]


def _answer(worker: subprocess.Popen[str]) -> dict[str, Any]:
    try:
        out, complaint = worker.communicate()
    except BaseException:
        worker.kill()
        raise
    try:
        answer = json.loads(out.strip().splitlines()[-1])
    except (IndexError, ValueError):
        last = complaint.strip().splitlines()[-1:] or [f"exit code {worker.returncode}"]
        return {"error": last[0]}
    return dict(answer)


def run_all(
    bench: Bench, configurations: Sequence[tuple[str, str, str]], say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Every configuration in turn."""
    results = []
    for profile, backend, precision in configurations:
        say(f"{profile} on {backend} {precision}")
        results.append(bench.run(profile, backend, precision))
    return results


def save(path: Path, report: dict[str, Any]) -> None:
    """Write a report as JSON.

    Raises:
        OutputError: it can't be written.

    """
    try:
        path.write_text(json.dumps(report, indent=1) + "\n")
    except OSError as error:
        raise OutputError(f"{path}: can't be written ({error.strerror})") from error
