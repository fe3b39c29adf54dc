"""The whole program on faked hardware: `avel-live --camera URL --mic NAME --json`, `avel devices --test`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.mjpeg import MjpegServer
from support.program import LIVE, Program
from support.pulse import Beeper, PulseServer

AVEL = "from avel_live.realtime.commands import main; main()"


@pytest.fixture(scope="module")
def pulse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PulseServer]:
    with PulseServer(Path(tmp_path_factory.mktemp("pulse"))) as server:
        yield server


class Hogs:
    """Busy processes on one processor; killed at the end."""

    def __init__(self, processor: int) -> None:
        self._processor = processor
        self._running: list[subprocess.Popen[bytes]] = []

    @property
    def count(self) -> int:
        """How many there are, or were."""
        return len(self._running)

    def leave(self, share: float) -> None:
        """Start so many that one more process gets about this share of the processor."""
        for _ in range(round(1.0 / share) - 1):
            hog = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            os.sched_setaffinity(hog.pid, {self._processor})
            self._running.append(hog)

    def __enter__(self) -> Hogs:
        return self

    def __exit__(self, *_: object) -> None:
        for hog in self._running:
            hog.kill()
            hog.wait()


def test_camera_and_microphone_drive_the_program(pulse: PulseServer) -> None:
    with MjpegServer() as camera, Beeper(pulse):
        program = Program(pulse, "--camera", camera.url, "--mic", "pulse")
        try:
            (start,) = program.until("start", 1, 300.0)
            assert start["schema"] == 1
            program.until("hop", 5, 120.0)
            camera.stall()
            program.until("status", 1, 30.0, device="camera", state="stalled")
            camera.resume()
            program.until("hop", len([r for r in program.records if r["type"] == "hop"]) + 3, 60.0)
            code = program.stop()
        finally:
            program.kill()
        assert code == 0, program.errors
        hops = [r for r in program.records if r["type"] == "hop"]
        assert [h["segment"]["index"] for h in hops] == sorted({h["segment"]["index"] for h in hops})
        assert sum(h["segment"]["video"] and h["segment"]["audio"] > 0.5 for h in hops) >= 3
        end = program.records[-1]
        assert end["type"] == "end"
        assert end["hops"] == len(hops)
        assert abs(end["skew_ms"]) < 33.0


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--camera", "none", "--mic", "nosuch"), "no input has that in its name; there are: "),
        (("--camera", "http://me:geheim@127.0.0.1:9/x", "--mic", "none"), "camera http://***@127.0.0.1:9/x"),
    ],
)
def test_what_is_not_there_is_one_line_and_exit_code_three(
    pulse: PulseServer, args: tuple[str, ...], says: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIVE, *args, "--json"],
        env={**pulse.env, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 3
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert says in errors[0]
    assert "geheim" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_devices_are_listed_and_tested(pulse: PulseServer) -> None:
    with MjpegServer() as camera, Beeper(pulse):
        done = subprocess.run(
            [sys.executable, "-c", AVEL, "devices", "--test", "--camera", camera.url, "--mic", "pulse"],
            env={**pulse.env, "OMP_NUM_THREADS": "1", "COLUMNS": "100"},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "pulse (ALSA, 32 ch, 44100 Hz)" in done.stdout
    assert "monitor of what is played (fake.monitor)" in done.stdout
    assert "✓ camera http://127.0.0.1" in done.stdout
    assert "320x240 MJPG" in done.stdout, "it does not say how many a second"
    fps = float(done.stdout.split("320x240 at ")[1].split(" fps")[0])
    assert 8.0 < fps < 30.0  # 25 on a machine that has time
    rate = float(done.stdout.split("delivers  ")[2].split(" Hz")[0])
    assert rate == pytest.approx(44_100, rel=0.01)


@pytest.mark.slow
def test_a_busy_machine_takes_fewer_pictures_and_more_again(pulse: PulseServer) -> None:
    """Left with half of the processor time it needs: latency stays bounded, pictures step down and up.

    The program and the hogs share one processor; camera and microphone keep the others. How many hogs halve
    what the program needs depends on how fast this machine is, so its need is measured first.
    """
    with MjpegServer() as camera, Beeper(pulse):
        program = Program(pulse, "--camera", camera.url, "--mic", "pulse", "--frames", "auto")
        try:
            program.until("hop", 4, 300.0)
            program.pin(0)
            with Hogs(0) as hogs:
                need = program.need(8)
                hogs.leave(need / 2)
                begun = time.monotonic()
                program.until("status", 1, 120.0, device="machine", state="effort")
                while time.monotonic() - begun < 30:
                    program.until("hop", len(program.of("hop")) + 1, 60.0)
            program.until("status", 1, 180.0, device="machine", reason="16 pictures a second")
            assert program.stop() == 0
        finally:
            program.kill()
        steps = [r["reason"] for r in program.of("status") if r["state"] == "effort"]
        assert steps[0] == "8 pictures a second"
        assert steps[-1] == "16 pictures a second"
        latencies = sorted(r["latency_ms"] for r in program.of("hop"))
        p50, p99 = (latencies[int(share * len(latencies))] for share in (0.5, 0.99))
        print(f"need {need:.2f}, {hogs.count} hogs, {steps}, p50 {p50:.0f} ms, p99 {p99:.0f} ms")
        assert p99 <= 2000.0
