"""Nothing grows, drifts, slows down or gets lost: the soak bench, small, and ten minutes in real time."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from support.mjpeg import MjpegServer
from support.program import Program
from support.pulse import Beeper, PulseServer
from support.shared import ROOT
from support.soak_watch import Measured, verdict

SOAK = ROOT / "tests" / "bench" / "soak.py"
DEMO = ROOT / "realtime" / "data" / "demo.mp4"


def soak(*flags: str) -> str:
    """What the bench printed; every bound has to hold."""
    done = subprocess.run(
        [sys.executable, str(SOAK), str(DEMO), *flags], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\nok  ") == 9
    return done.stdout


def test_a_few_simulated_minutes() -> None:
    assert "180 in 180 s" in soak("--minutes", "3", "--seen", "0.5")


def steady(seconds: int) -> Measured:
    """A stream in which nothing is wrong."""
    found = Measured(seconds=float(seconds), hops=seconds)
    for second in range(1, seconds + 1):
        found.second(float(second), 50.0 + second % 7, 1.0, seen=True, deaf=False)
        if second % 60 == 0:
            found.resources.append((float(second), 200.0 + second % 3, 11, 6))
    return found


def leak(found: Measured) -> None:
    grown = 2 * max(1.0, 3600 / found.seconds)
    found.resources = [(t, mb + grown * t / 3600, fds, n) for t, mb, fds, n in found.resources]


def open_files(found: Measured) -> None:
    t, mb, fds, n = found.resources[-1]
    found.resources[-1] = (t, mb, fds + 1, n)


def start_threads(found: Measured) -> None:
    t, mb, fds, n = found.resources[-1]
    found.resources[-1] = (t, mb, fds, n + 1)


def slow_down(found: Measured) -> None:
    found.latency_ms = [(t, ms * (1 + 0.2 * t / found.seconds)) for t, ms in found.latency_ms]


FAULTS: dict[str, Callable[[Measured], None]] = {
    "memory": leak,
    "descriptors": open_files,
    "threads": start_threads,
    "latency": slow_down,
    "skew, worst": lambda found: found.second(9e9, 50.0, -20.0, seen=True, deaf=False),
    "answers skipped": lambda found: setattr(found, "skipped", 1),
    "items dropped": lambda found: setattr(found, "dropped", 1),
    "seconds unheard": lambda found: found.second(9e9, 50.0, 1.0, seen=True, deaf=True),
    "answers": lambda found: setattr(found, "hops", found.hops - 2),
}


@pytest.mark.parametrize("seconds", [600, 3 * 3600])
def test_what_is_steady_passes(seconds: int) -> None:
    assert all(good for *_, good in verdict(steady(seconds)))


@pytest.mark.parametrize("seconds", [600, 3 * 3600])
@pytest.mark.parametrize("what", FAULTS)
def test_each_bound_is_missed_by_its_fault_and_by_no_other(what: str, seconds: int) -> None:
    found = steady(seconds)
    FAULTS[what](found)
    assert [name for name, _, good in verdict(found) if not good] == [what]


def test_a_lost_camera_hides_no_latency() -> None:
    found = Measured()
    for second, seen in enumerate([True, True, True, False, False, True, True]):
        found.second(float(second), 300.0 if second == 2 else 50.0, None, seen=seen, deaf=False)
    assert found.latency_ms == [(0.0, 50.0), (1.0, 50.0), (5.0, 50.0)]


@pytest.mark.slow
def test_ten_minutes_of_clips_in_real_time() -> None:
    print(soak("--real-time", "--minutes", "10", "--frames", "16", "--seen", "1"))


@pytest.mark.slow
def test_ten_minutes_of_the_whole_program_on_real_device_layers(tmp_path: Path) -> None:
    """PortAudio and OpenCV included; watched from outside."""
    with PulseServer(tmp_path / "pulse") as pulse, MjpegServer() as camera, Beeper(pulse):
        program = Program(
            pulse,
            "--camera",
            camera.url,
            "--mic",
            "pulse",
            "--backend",
            "onnxruntime",
            "--log",
            str(tmp_path / "log.jsonl"),
        )
        found = Measured()
        try:
            program.until("hop", 1, 300.0)
            process, begun, minute = psutil.Process(program.process.pid), time.monotonic(), 0
            while (passed := time.monotonic() - begun) < 600:
                if passed >= 60 * minute:
                    memory = process.memory_info().rss / 1e6
                    found.resources.append((passed, memory, process.num_fds(), process.num_threads()))
                    minute += 1
                program.until("hop", len(program.of("hop")) + 1, 30.0)
            assert program.stop() == 0
        finally:
            program.kill()
    (end,) = program.of("end")
    hops = program.of("hop")
    found.seconds, found.hops = end["seconds"], len(hops)
    found.skipped, found.dropped = end["skipped"], end["dropped"]
    for hop in hops:
        second = hop["segment"]
        deaf = second["audio"] < 1 and not second["partial"]
        found.second(second["end_s"], hop["latency_ms"], hop["skew_ms"], seen=second["video"], deaf=deaf)
    rows = verdict(found)
    for what, figure, good in rows:
        print(f"{'ok  ' if good else 'MISS'}  {what:<16} {figure}")
    assert all(good for *_, good in rows), rows
