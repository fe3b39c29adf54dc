"""`avel teach NAME --live`: Enter when it happens; the seconds before are examples, the others the place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.teach.pack import installed, load
from avel_live.model.teach.senses import Senses
from avel_live.realtime.commands import main
from avel_live.realtime.commands.teach.claps import Claps
from avel_live.realtime.commands.teach.examples import Example
from avel_live.realtime.commands.teach.lessons import Wanted, conclude
from avel_live.realtime.commands.teach.live import Watched, watch
from avel_live.realtime.core.clock import NS_PER_S, ManualClock
from avel_live.realtime.sources.replay import Replay, ReplayOptions
from support.mjpeg import MjpegServer
from support.pulse import Beeper, PulseServer
from support.taught import RATE, clap, noise, recording, ringing


class Pressed:
    """Presses at instants of the stream, handed out in the second in which they fall; `end` stops it."""

    def __init__(self, at_s: Sequence[float], end: int | None = None) -> None:
        self.at_s, self.end, self.now = at_s, end, 0

    def __call__(self) -> list[int]:
        self.now += 1
        if self.end is not None and self.now > self.end:
            raise StopIteration
        return [round(at * NS_PER_S) for at in self.at_s if int(at) == self.now - 1]


def watched(
    path: Path, pressed: Pressed, senses: Senses, told: list[int], claps: Claps | None = None
) -> Watched:
    source = Replay(path, ManualClock(), ReplayOptions(speed=None, frames=4))
    source.open()
    return watch(source, senses, ("audio",), pressed, told.append, claps)


@pytest.fixture(scope="module")
def senses() -> Senses:
    return Senses(EngineOptions())


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty-two seconds; a bell rings in the seconds 5–7, 13–15, 21–23 and 29–31."""
    quiet = [noise(5, -50, 0), *(noise(6, -50, k) for k in range(1, 4)), noise(1, -50, 9)]
    rings = [ringing(2, 0.97 + 0.02 * k, 0.2) + noise(2, -50, 20 + k) for k in range(4)]
    parts = [part for pair in zip(quiet, rings, strict=False) for part in pair] + [quiet[-1]]
    return recording(tmp_path_factory.mktemp("hall") / "hall.wav", *((part, None) for part in parts))


def test_what_was_heard_before_a_key_is_an_example_and_the_rest_is_the_place(
    hall: Path,
    senses: Senses,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told: list[int] = []
    got = watched(hall, Pressed([7.3, 7.9, 15.4, 23.6, 31.2]), senses, told)
    assert told == [1, 2, 3, 4], "the press at 7.9 s is of the same ring"
    assert [at / NS_PER_S for at in got.pressed_ns] == [7.3, 15.4, 23.6, 31.2]
    seconds, place = got.examples.seconds(), got.background
    real = seconds.where(~seconds.copy)
    # Of the three seconds before a press two ring; the third is a pause.
    assert np.bincount(real.of).tolist() == [2, 2, 2, 2]
    assert seconds.copy.sum() > 0
    # Away from 2.3–9.3, 10.4–17.4, 18.6–25.6 and 26.2–33.2 s: the seconds 0 and 1.
    assert len(place) == 2
    monkeypatch.setenv("AVEL_DATA_DIR", str(tmp_path / "data"))
    wanted = Wanted("Bell", (), True, False, (), "1/day", False, False, False)
    conclude(wanted, senses, [Example(Path(f"live, {k} s")) for k in range(4)], seconds, place)
    assert "4 of 4 examples are found" in capsys.readouterr().out
    (path,) = installed()
    assert load(path).card.examples == [f"live, {k} s" for k in range(4)]
    with pytest.raises(SystemExit) as left:
        main(["teach", "test", "Bell", str(hall), "--json"])
    assert not left.value.code
    confidence = json.loads(capsys.readouterr().out)["confidence"]
    assert [k for k, p in enumerate(confidence) if p >= 0.5] == [5, 6, 13, 14, 21, 22, 29, 30]


def test_it_ends_when_told_to_and_a_key_at_the_very_end_counts(hall: Path, senses: Senses) -> None:
    got = watched(hall, Pressed([7.3, 9.9], end=9), senses, [])
    assert [at / NS_PER_S for at in got.pressed_ns] == [7.3]
    at_end = watched(hall, Pressed([31.99]), senses, [])
    assert len(at_end.pressed_ns) == 1
    assert len(at_end.examples.of) > 0


def test_two_claps_say_it_too_and_are_no_part_of_the_example(senses: Senses, tmp_path: Path) -> None:
    wave = noise(26, -50, 3)
    for first in (5.0, 15.0):
        for start, sound in ((first, ringing(2.2, 1.0, 0.2)), (first + 3.1, clap(1)), (first + 3.5, clap(2))):
            at = round(start * RATE)
            wave[at : at + len(sound)] += sound[: len(wave) - at]
    room = recording(tmp_path / "room.wav", (wave, None))
    assert watched(room, Pressed([]), senses, []).pressed_ns == [], "nobody listens for claps unless asked to"
    told: list[int] = []
    got = watched(room, Pressed([]), senses, told, Claps())
    assert told == [1, 2]
    assert [at / NS_PER_S for at in got.pressed_ns] == pytest.approx([8.1, 18.1], abs=0.02)
    seconds = got.examples.seconds()
    real = seconds.where(~seconds.copy)
    # 5.07–8.07 s and 15.07–18.07 s; in the third second of either only a fifth still rings.
    assert np.bincount(real.of).tolist() == [3, 3]
    bells = senses.hear(ringing(1, 1.0, 0.2)).embedding[0]
    hands = senses.hear(clap(1, 0.4)[np.arange(RATE) % (RATE // 2)]).embedding[0]
    near = np.sqrt(real.arrays["audio"]) @ (np.sqrt(bells) / np.linalg.norm(np.sqrt(bells)))
    far = np.sqrt(real.arrays["audio"]) @ (np.sqrt(hands) / np.linalg.norm(np.sqrt(hands)))
    assert (near > far).all()
    # Three seconds and two before a mark, and two after it, are no background: 0–3, 11–13 and 21–26 s are.
    assert len(got.background) == 3 + 2 + 5


def test_claps_want_a_microphone_and_a_live_stream(capsys: pytest.CaptureFixture[str]) -> None:
    for args, said in (
        (["--clap", "a.wav"], "--clap goes with --live"),
        (["--live", "--clap", "--mic", "none"], "--clap needs a microphone"),
    ):
        with pytest.raises(SystemExit) as left:
            main(["teach", "Bell", *args])
        assert left.value.code == 2
        assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_beep_is_taught_through_a_camera_and_a_microphone_and_then_heard(
    pulse: PulseServer, tmp_path: Path
) -> None:
    code = "import sys; from avel_live.realtime.commands import main, live_main; "
    teach = [sys.executable, "-c", code + "main(sys.argv[1:])", "teach", "Beep", "--live", "--heard"]
    environment = {**os.environ, **pulse.env, "AVEL_DATA_DIR": str(tmp_path / "data")}
    period_s = 10.0  # room for some seconds of the place between what belongs to two presses
    with MjpegServer() as camera, Beeper(pulse, period_s):
        devices = ["--camera", camera.url, "--mic", "default"]
        teaching = subprocess.Popen(
            [*teach, *devices],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment, cwd=tmp_path,
        )  # fmt: skip
        assert teaching.stdin is not None
        assert teaching.stderr is not None
        assert "press Enter when it happens" in teaching.stderr.readline()
        for _ in range(4):
            time.sleep(period_s - time.monotonic() % period_s + 0.8)
            teaching.stdin.write("\n")
            teaching.stdin.flush()
        time.sleep(2)
        out, err = teaching.communicate("q\n", timeout=60)
        assert teaching.returncode == 0, err
        assert "of 4 examples are found" in out
        heard = subprocess.run(
            [sys.executable, "-c", code + "live_main(sys.argv[1:])", *devices, "--json", "--duration", "25"],
            env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
    events = [r for r in map(json.loads, heard.stdout.splitlines()) if r["type"] == "event"]
    beeps = [r for r in events if r["event"] == "end" and r["label"] == "Beep"]
    assert 1 <= len(beeps) <= 3, events
