"""A Home Assistant to talk to: installed once into a folder of its own, run as a process, watched."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from .peers import eventually

VERSION = "2026.2.3"
START_S = 120.0


def home_assistant_python() -> Path:
    """A Python that has Home Assistant; the test is skipped where there can be none."""
    folder = Path(tempfile.gettempdir()) / f"home-assistant-{VERSION}"
    python = folder / "bin" / "python"
    if (folder / "complete").exists():
        return python
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.13*/bin/python"))
    base = shutil.which("python3.13") or (str(pyenv[-1]) if pyenv else None)
    if base is None:
        pytest.skip(f"Home Assistant {VERSION} needs Python 3.13, and there is none here")
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([base, "-m", "venv", str(folder)], check=True, timeout=300)
    packages = [f"homeassistant=={VERSION}", "paho-mqtt==2.1.0"]
    # It asks for 3.13.2 and works from 3.13.0.
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "-q", "--ignore-requires-python", *packages],
        capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"Home Assistant {VERSION} can't be installed here: {done.stderr.strip()[-300:]}")
    (folder / "complete").touch()
    return python


class HomeAssistant:
    """A running core whose states and entities can be asked for. `folder` is its memory over restarts."""

    def __init__(self, python: Path, folder: Path, broker: int) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "configuration.yaml").touch()
        self.log = folder / "log.txt"
        self.changes: list[dict[str, Any]] = []
        self._said: list[dict[str, Any]] = []
        core = Path(__file__).with_name("home_assistant_core.py")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(python), str(core), str(folder), str(broker)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        try:
            eventually(lambda: self._told("ready") or self._over(), "Home Assistant is ready", START_S)
        except BaseException:
            self.close()
            raise

    def entities(self) -> dict[str, str]:
        """Entity id → name, as in its registry."""
        assert self._process.stdin is not None
        before = len(self._said)
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        eventually(lambda: len(self._said) > before or self._over(), "the registry")
        return dict(self._said[-1]["registry"])

    def state(self, entity: str) -> str | None:
        """The newest state of an entity whose id ends so."""
        found = [c["state"] for c in list(self.changes) if c["entity"].endswith(entity)]
        return found[-1] if found else None

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(10)
        self._process.stdout.close()

    def _told(self, key: str) -> bool:
        return any(key in one for one in list(self._said))

    def _over(self) -> bool:
        if self._process.poll() is not None:
            pytest.fail(f"Home Assistant ended: {self.log.read_text()[-2000:]}")
        return False

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            one = json.loads(line)
            (self.changes if "entity" in one else self._said).append(one)
