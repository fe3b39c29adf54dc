"""What the doctor says about the rate: where a live stream would settle, and what would help."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from avel_live.model.errors import ModelFileError
from avel_live.model.runtime.base import EngineInfo
from avel_live.model.runtime.probe import Machine
from avel_live.realtime.commands.doctor.throughput import Pace, can_not_load, helps, measure, rate
from avel_live.realtime.config.schema import Config
from avel_live.realtime.core.clock import ManualClock, SystemClock
from avel_live.realtime.stream.budget import TOO_MUCH, FrameBudget
from hypothesis import assume, given
from hypothesis import strategies as st
from support.loop import NS, ToyEngine

HERE = Machine("a CPU", 4, frozenset(), "", {"onnxruntime": "1.23"})


class Costly(ToyEngine):
    """Takes `picture_s` for each picture, `fixed_s` for the sound of a segment."""

    def __init__(self, clock: ManualClock, picture_s: float, fixed_s: float = 0.0) -> None:
        super().__init__()
        self._clock, self._picture_s, self._fixed_s = clock, picture_s, fixed_s

    def visual(self, frames: np.ndarray) -> np.ndarray:
        self._clock.advance(self._picture_s * len(frames))
        return super().visual(frames)

    def audio(self, samples: np.ndarray) -> np.ndarray:
        self._clock.advance(self._fixed_s)
        return super().audio(samples)


def settled(picture_s: float, fixed_s: float) -> int:
    """Where `FrameBudget` itself ends up after five minutes of a stream that costs so much."""
    effort, busy_ns = FrameBudget(4, adaptive=True), 0
    for second in range(300):
        busy_ns += round((fixed_s + picture_s * effort.frames_per_segment) * NS)
        effort.after_hop(busy_ns, second * NS)
    return effort.frames_per_segment


@given(st.floats(0.04, 1.2), st.floats(0.0, 0.3))
def test_what_is_found_is_where_a_live_stream_settles(picture_s: float, fixed_s: float) -> None:
    costs = {frames: fixed_s + picture_s * frames for frames in (4, 2, 1)}
    assume(all(abs(cost - TOO_MUCH) > 1e-3 for cost in costs.values()))
    clock = ManualClock()
    pace = measure(Costly(clock, picture_s, fixed_s), clock)
    assert pace.frames_per_segment == settled(picture_s, fixed_s)
    assert pace.load == pytest.approx(costs[pace.frames_per_segment], abs=1e-6)
    assert pace.holds == (costs[1] <= TOO_MUCH)


def test_a_hop_below_a_second_costs_as_often() -> None:
    clock = ManualClock()
    assert measure(Costly(clock, 0.08), clock).loads == ((4, pytest.approx(0.32)),)
    assert measure(Costly(clock, 0.08), clock, hop_s=0.25).loads == (
        (4, pytest.approx(1.28)),
        (2, pytest.approx(0.64)),
    )
    assert measure(Costly(clock, 0.06), clock, frames=16).loads == ((16, pytest.approx(0.96)),)


def test_the_cold_first_round_does_not_count() -> None:
    clock = ManualClock()
    engine = Costly(clock, 0.04)
    honest = engine.visual

    def cold(frames: np.ndarray) -> np.ndarray:
        if not engine.visual_calls:
            clock.advance(1.0)
        return honest(frames)

    engine.visual = cold  # type: ignore[method-assign]
    assert measure(engine, clock).load == pytest.approx(0.16)
    assert set(engine.head_calls) == {10}, "the window is full"


def test_other_programs_are_noticed() -> None:
    hog = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        clock = SystemClock()
        others = measure(ToyEngine(), clock, level_s=1.0).others
    finally:
        hog.kill()
        hog.wait()
    assert others is not None
    assert others > 0.25


@pytest.mark.parametrize(
    ("picture_s", "state", "found"),
    [
        (0.08, "ok", "held with 4 pictures a second, computing 32% of the time"),
        (0.24, "note", "held with 2 pictures a second, computing 48% of the time; 4 would take 96%"),
        (1.0, "missing", "not held even with 1 picture a second, computing 100% of the time"),
    ],
)
def test_the_finding(picture_s: float, state: str, found: str) -> None:
    clock = ManualClock()
    networks, pace = rate(Config(), Costly(clock, picture_s), clock)
    assert (networks.state, networks.found) == ("ok", "lite on torch fp32 (toy)")
    assert pace.state == state
    assert pace.found.startswith(found)
    assert bool(pace.fix) == (state != "ok"), "advice only where it is wanted"


def advice(config: Config, here: Machine, *, device: str = "cpu, 4 threads", others: float = 0.0) -> str:
    info = EngineInfo("lite", "onnxruntime", "fp32", device, (), "")
    return "\n".join(helps(config, info, Pace(((4, 2.0), (2, 1.0)), others), here))


def test_advice_fits_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert advice(Config(), HERE).splitlines() == [
        "a faster processor or an NVIDIA GPU; `avel bench` shows where the time goes"
    ]
    assert "stop what else runs here" in advice(Config(), HERE, others=2.0)
    assert "use the GPU (RTX)" in advice(Config(), replace(HERE, gpu="RTX"))
    assert "use the GPU" not in advice(Config(), replace(HERE, gpu="RTX"), device="cuda")
    assert "it may use 1 of 4" in advice(Config(), replace(HERE, cores=1))
    assert "leave out --threads 1: 4" in advice(Config(threads=1), HERE)
    assert "--hop 1 computes 4 times less" in advice(Config(hop_s=0.25), HERE)
    assert "--backend auto" in advice(Config(backend="torch"), HERE)
    assert "--profile lite" in advice(Config(profile="paper"), HERE)
    assert "--frames auto instead of 16" in advice(Config(frames="16"), HERE)


def test_eight_bits_are_advised_only_where_they_are_exact_and_absent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AVEL_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("avel_live.model.runtime.int8_graphs.WEIGHTS", tmp_path)
    quick = replace(HERE, features=frozenset({"avx512_vnni"}))
    assert "avel calibrate int8 --profile lite" in advice(Config(), quick)
    assert "int8" not in advice(Config(), HERE)
    monkeypatch.setattr(
        "avel_live.realtime.commands.doctor.throughput.has_int8", lambda profile, options: True
    )
    assert "int8" not in advice(Config(), quick)


def test_networks_that_do_not_load_are_a_finding() -> None:
    check = can_not_load(ModelFileError("x.safetensors: not there; fetch it"))
    assert (check.name, check.state) == ("networks", "missing")
    assert check.found == "x.safetensors: not there; fetch it"


def doctor(*flags: str) -> subprocess.CompletedProcess[str]:
    program = "from avel_live.realtime.commands import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, "doctor", *flags],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_command_measures_the_real_networks() -> None:
    done = doctor("--backend", "onnxruntime", "--precision", "fp32")
    assert re.search(r"✓ networks +lite on onnxruntime fp32 \(cpu, \d+ threads?\)", done.stdout), done
    measured = re.search(
        r"[✓·✗] rate +.*with (4|2|1) pictures? a second, computing (\d+)% of the time", done.stdout
    )
    assert measured, done.stdout
    assert int(measured[2]) > 0
    assert done.returncode == (3 if "✗" in done.stdout else 0)


def test_the_command_says_what_keeps_the_networks_from_loading() -> None:
    done = doctor("--checkpoint", "nowhere.safetensors")
    assert re.search(r"✗ networks +.*nowhere\.safetensors", done.stdout), done
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
