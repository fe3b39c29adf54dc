"""Does every dependency have a wheel for a Jetson's Python?

    python -m avel_live.realtime.commands.doctor.wheels

Asks the package index in use, for Python 3.10 (JetPack 6) and 3.12 (JetPack 7), with nothing built from
source. Each package is looked at alone (`--no-deps`) and nothing is installed. Exits with 1 if any has none.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.metadata import requires
from pathlib import Path
from typing import Final

PYTHONS: Final = ("3.10", "3.12")
_PLATFORMS: Final = {
    # manylinux tags up to the C library of Ubuntu 22.04 (2.35) and 24.04 (2.39)
    "3.10": ("manylinux2014", *(f"manylinux_2_{n}" for n in range(17, 36))),
    "3.12": ("manylinux2014", *(f"manylinux_2_{n}" for n in range(17, 40))),
}
_DESKTOP_ONLY: Final = ("ruff", "mypy", "pytest", "hypothesis", "psutil", "selenium", "avel-live")


def dependencies(python: str, extras: tuple[str, ...] = ("", "mqtt", "metrics", "export")) -> list[str]:
    """What avel-live requires under a Python version, of itself and by the extras a device uses."""
    from packaging.requirements import Requirement

    out = []
    for line in requires("avel-live") or []:
        wanted = Requirement(line)
        environments = [{"python_version": python, "extra": extra} for extra in extras]
        if wanted.name in _DESKTOP_ONLY:
            continue
        if wanted.marker is None or any(wanted.marker.evaluate(e) for e in environments):
            out.append(f"{wanted.name}{wanted.specifier}")
    return sorted(set(out))


def pip_command(requirement: str, python: str, report: Path) -> list[str]:
    """The question to pip."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed"]
    command += [
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
        "--target",
        str(report.parent),
    ]
    command += ["--python-version", python, "--implementation", "cp", "--report", str(report)]
    for tag in (f"cp{python.replace('.', '')}", "abi3", "none"):
        command += ["--abi", tag]
    for platform in _PLATFORMS[python]:
        command += ["--platform", f"{platform}_aarch64"]
    return [*command, requirement]


def wheel(requirement: str, python: str) -> str | None:
    """File name of the wheel that a Jetson would get; None when there is none."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        done = subprocess.run(
            pip_command(requirement, python, report), capture_output=True, text=True, check=False
        )
        if done.returncode or not report.is_file():
            return None
        url = str(json.loads(report.read_text())["install"][0]["download_info"]["url"])
        return url.rsplit("/", 1)[-1]


def main() -> None:
    """Print a line per package and Python."""
    missing = 0
    for python in PYTHONS:
        for requirement in dependencies(python):
            found = wheel(requirement, python)
            missing += found is None
            print(f"{python:<5} {requirement:<42} {found or 'NO WHEEL'}", flush=True)
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
