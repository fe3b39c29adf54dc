"""The diffs that CONTRIBUTING shows, applied to a copy of the packages, and used."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
PACKAGES = ("realtime", "model", "calibration")

USE = """
import json, sys
import numpy as np
from avel_live.realtime.commands import live_main, main
try:
    cheap = ["--backend", "torch", "--frames", "2"]
    live_main(["--url", "pattern://3", "--now", sys.argv[1], "--log", sys.argv[2], *cheap])
except SystemExit as left:
    assert left.code == 0, left.code
from avel_live.model.profiles import get_profile
ear = get_profile("lite-loud").audio
heard = ear.front_end()(np.ones(16_000, np.float32))
print("ear", heard.shape, ear.build() is not None)
main(["config", "show"])
"""


def apply(diff: str, tree: Path) -> list[str]:
    """Apply a diff whose hunks have no line numbers; gives the files that it touched."""
    touched = []
    for part in re.split(r"^--- ", diff, flags=re.M)[1:]:
        old, new, *hunks = re.split(r"^\+\+\+ (.*)\n@@\n|^@@\n", part, flags=re.M)
        path = tree / new.removeprefix("b/")
        touched.append(new.removeprefix("b/"))
        text = "" if old.strip() == "/dev/null" else path.read_text(encoding="utf-8")
        for hunk in filter(None, hunks):
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            assert not before or text.count(before) == 1, f"{path.name}: not there once: {before}"
            text = text.replace(before, after) if before else after
        path.write_text(text, encoding="utf-8")
    return touched


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages with all three diffs applied."""
    tree = tmp_path_factory.mktemp("tree")
    (tree / "avel_live").mkdir()
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        (tree / "avel_live" / name).symlink_to(tree / name)
    (tree / "avel_live" / "__init__.py").symlink_to(tree / "realtime" / "api" / "__init__.py")
    diffs = re.findall(r"^```diff\n(.*?)^```", TEXT, re.M | re.S)
    assert [len(apply(diff, tree)) for diff in diffs] == [2, 2, 3], "files that a sink, source, profile touch"
    return tree


def test_a_sink_a_source_and_a_profile_are_added_as_shown(tree: Path, tmp_path: Path) -> None:
    now, log = tmp_path / "now.txt", tmp_path / "log.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", USE, str(now), str(log)],
        env={**os.environ, "PYTHONPATH": str(tree), "AVEL_NOW__FILE": "elsewhere"},
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert now.read_text() == "background\n"
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert records[0]["source"]["name"] == "pattern"
    assert records[-1]["seconds"] == 3.0
    assert "ear (8,) True" in done.stdout
    assert "now.file" in done.stdout
    assert "AVEL_NOW__FILE" in done.stdout


@pytest.mark.parametrize("check", [["check"], ["format", "--check"]], ids=["style", "format"])
def test_what_is_shown_is_clean(tree: Path, check: list[str]) -> None:
    shown = re.findall(r"^\+\+\+ b/(.*)$", TEXT, re.M)
    command = [sys.executable, "-m", "ruff", *check, "--config", str(ROOT / "pyproject.toml"), *shown]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
