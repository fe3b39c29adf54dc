"""Deployment files: all there, printed by the command, and accepted by the tools that will read them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.metadata import metadata
from pathlib import Path

import pytest
from avel_live.realtime import deploy
from avel_live.realtime.commands import main
from avel_live.realtime.core.errors import UsageError
from avel_live.realtime.deploy import FILES, text

UNITS = ("avel-live.service", "avel-live@.service", "avel-serve.service")
WORST_EXPOSURE = 4.0
"""systemd's scale from 0 to 10; a unit without any hardening has 9.6, "medium" begins at 4.5."""


def analyze(*args: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        message = "systemd-analyze is not installed (Debian package systemd)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return subprocess.run([program, *args], capture_output=True, text=True, check=False, timeout=60)


def unit(name: str, folder: Path) -> Path:
    """The unit as installed, but for the program's place: verify wants one that exists."""
    path = folder / name.replace("@", "@yard")
    program = shutil.which("true")
    assert program is not None
    path.write_text(
        text(name).replace("/opt/avel/bin/avel-live", program).replace("/opt/avel/bin/avel", program)
    )
    return path


@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_nothing_to_complain_of(name: str, tmp_path: Path) -> None:
    done = analyze("verify", "--man=no", str(unit(name, tmp_path)))
    ours = [line for line in done.stderr.splitlines() if "avel-" in line]
    assert ours == []
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", UNITS)
def test_the_units_are_hardened(name: str, tmp_path: Path) -> None:
    done = analyze("security", "--offline=true", str(unit(name, tmp_path)))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout[-500:] + done.stderr
    assert float(found[1]) <= WORST_EXPOSURE


@pytest.mark.parametrize("name", UNITS)
def test_the_units_leave_camera_and_microphone_and_the_watchdog(name: str) -> None:
    lines = text(name).splitlines()
    assert "SupplementaryGroups=video audio render" in lines
    assert "DeviceAllow=char-video4linux rw" in lines
    assert "DeviceAllow=char-alsa rw" in lines
    assert "Type=notify" in lines
    assert any(line.startswith("WatchdogSec=") for line in lines)
    assert not any(line.startswith("PrivateDevices=yes") for line in lines)


def test_the_two_units_differ_by_the_stream_alone() -> None:
    one, many = (text(name).splitlines()[1:] for name in UNITS[:2])
    assert len(one) == len(many)
    for single, template in zip(one, many, strict=True):
        plain = template.replace("%i.toml", "avel.toml").replace("/%i", "").replace(" (%i)", "")
        assert plain == single


def test_the_unit_of_several_streams_is_as_hard_as_that_of_one() -> None:
    def settings(name: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in text(name).splitlines():
            if "=" in line and not line.startswith("#"):
                found.setdefault(line.partition("=")[0], []).append(line.partition("=")[2])
        return found

    one, several = settings(UNITS[0]), settings(UNITS[2])
    assert {key for key in one | several if one.get(key) != several.get(key)} == {
        "Description", "ExecStart", "TasksMax", "TimeoutStopSec"
    }  # fmt: skip


def test_every_file_is_listed_and_every_listed_file_is_there() -> None:
    folder = Path(deploy.__file__).parent
    there = {p.name for p in folder.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")}
    assert there == set(FILES)
    for name in FILES:
        assert text(name).strip()


def test_the_command_prints_a_file_and_names_the_files_when_it_has_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["deploy", "show", "avel-live.service"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == text("avel-live.service")
    with pytest.raises(UsageError, match=r"avel-live\.service"):
        text("avel.service")


@pytest.mark.parametrize("name", [n for n in FILES if n.startswith("Dockerfile")])
def test_images_install_extras_that_exist(name: str) -> None:
    extras = metadata("avel-live").get_all("Provides-Extra") or []
    wanted = re.findall(r"\.\[([\w,]+)\]", text(name))
    assert wanted
    assert {extra for group in wanted for extra in group.split(",")} <= set(extras)


def test_the_slim_list_is_ours_without_what_live_never_needs() -> None:
    tomllib = pytest.importorskip("tomllib")

    wanted = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["project"][
        "dependencies"
    ]
    slim = [line for line in text("slim.txt").splitlines() if line and not line.startswith("#")]
    assert {line.split(">")[0] for line in set(wanted) - set(slim)} == {"torch", "h5py", "matplotlib"}
    assert set(slim) <= set(wanted)
