"""Each finding of the doctor on a machine that lacks something."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from avel_live.realtime.commands.devices import meter
from avel_live.realtime.commands.doctor import checks as diagnosis
from avel_live.realtime.sources import capture, portaudio, probe
from avel_live.realtime.sources.portaudio import InputDevice
from rich.console import Console


def only(checks: list[diagnosis.Check]) -> diagnosis.Check:
    assert len(checks) == 1
    return checks[0]


def test_every_finding_that_is_missing_comes_with_a_fix() -> None:
    quick = (
        diagnosis.packages,
        diagnosis.portaudio,
        diagnosis.opencv,
        diagnosis.cameras,
        diagnosis.av_codecs,
    )
    for check in quick:
        for found in check():
            assert found.state == "ok" or found.fix or found.state == "note"
            assert "\n" not in found.found + found.fix


def test_missing_portaudio(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> Any:
        raise diagnosis_error

    from avel_live.realtime.core.errors import SourceError

    diagnosis_error = SourceError("not installed")
    monkeypatch.setattr(portaudio, "sounddevice", absent)
    assert only(diagnosis.portaudio()).fix == "sudo apt install libportaudio2"
    assert diagnosis.microphones() == []


def test_no_microphone_and_a_monitor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portaudio, "input_devices", list)
    assert only(diagnosis.microphones()).state == "missing"
    monitor = InputDevice(0, "Monitor of HDMI", "PulseAudio", 2, 48_000, default=True)
    monkeypatch.setattr(portaudio, "input_devices", lambda: [monitor])
    assert "pactl set-default-source" in only(diagnosis.microphones()).fix


def test_a_camera_without_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "camera_paths", lambda: ["/dev/video0"])
    monkeypatch.setattr(diagnosis.os, "access", lambda path, mode: False)
    found = only(diagnosis.cameras())
    assert (found.state, found.found) == ("missing", "no permission for /dev/video0")
    assert "usermod -aG video" in found.fix


def test_groups_of_an_ordinary_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(diagnosis.os, "getgroups", list)
    found = {c.name: c for c in diagnosis.groups()}
    assert found["group video"].fix.startswith("sudo usermod -aG video")
    assert found["group audio"].state == "note"


def test_a_sound_server_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*args: Any, **kwargs: Any) -> Any:
        raise subprocess.TimeoutExpired("pactl", 3)

    monkeypatch.setattr(diagnosis.shutil, "which", lambda name: "/usr/bin/pactl")
    monkeypatch.setattr(diagnosis.subprocess, "run", hang)
    assert only(diagnosis.sound_server()).state == "missing"


def test_a_check_that_breaks_is_a_finding() -> None:
    def broken() -> list[diagnosis.Check]:
        raise RuntimeError("boom")

    found = only(diagnosis.guarded(broken))
    assert found.state == "missing"
    assert "RuntimeError: boom" in found.found


@pytest.mark.parametrize(("dbfs", "full"), [(-120.0, 0), (-60.0, 0), (-30.0, 20), (0.0, 40)])
def test_the_meter_is_linear_in_decibels(dbfs: float, full: int) -> None:
    console = Console(width=80, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(meter(dbfs))
    assert captured.get().count("█") == full
    assert captured.get().count("█") + captured.get().count("·") == 40


def test_names_shown_carry_no_credentials() -> None:
    assert probe.safe("rtsp://a:b@c/d") == "rtsp://***@c/d"
