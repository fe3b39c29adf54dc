"""An archive on a local Ray: the same results as without, though a worker is killed on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.media import Clip, make_clip

pytest.importorskip("ray.data", reason="pip install '.[ray]'")

LOCALIZE = [sys.executable, "-c", "from avel_live.realtime.commands import main as m; m()", "localize"]
FILES = 200
KINDS = 8


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short recordings in folders, and one file that is none."""
    folder = tmp_path_factory.mktemp("archive")
    kinds = [
        make_clip(folder / f".{n}.mp4", Clip(seconds=1.0 + n / 8, fps=10, size=(64, 48))).read_bytes()
        for n in range(KINDS)
    ]
    for number in range(FILES - 1):
        path = folder / f"day{number % 5}" / f"{number:03d}.mp4"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(kinds[number % KINDS])
    (folder / "day0" / "broken.mp4").write_bytes(b"not a film" * 200)
    return folder


def found(out: Path) -> dict[str, Any]:
    """Every record, without what depends on how quick the machine was."""
    records = {}
    for path in sorted(out.rglob("*.mp4.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        record.pop("real_time_factor")
        records[path.relative_to(out).as_posix()] = record
    return records


def workers() -> list[psutil.Process]:
    """Ray's actors that hold the networks."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if "ray::" in "".join(process.info["cmdline"] or [])
        and "RayWorker" in "".join(process.info["cmdline"])
    ]


@pytest.mark.slow
def test_two_hundred_files_and_a_worker_killed_midway(archive: Path, tmp_path: Path) -> None:
    env = os.environ | {"RAY_DISABLE_IMPORT_WARNING": "1"}
    serial = subprocess.run(
        [*LOCALIZE, str(archive), "-o", str(tmp_path / "serial"), "--jobs", "1"],
        capture_output=True, text=True, env=env, timeout=900, check=False,
    )  # fmt: skip
    with subprocess.Popen(
        [*LOCALIZE, str(archive), "-o", str(tmp_path / "ray"), "--jobs", "2", "--ray", "local"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
    ) as process:  # fmt: skip
        deadline, killed = time.monotonic() + 600, 0
        while process.poll() is None and not killed:
            assert time.monotonic() < deadline
            time.sleep(0.2)
            if len(list((tmp_path / "ray").rglob("*.mp4.json"))) >= FILES // 3 and (alive := workers()):
                os.kill(alive[0].pid, signal.SIGKILL)
                killed = alive[0].pid
        _, said = process.communicate(timeout=900)
    assert killed, said
    assert serial.returncode == process.returncode == 3, said  # one file is no recording
    assert "1 of 200 recordings can't be read" in said
    assert found(tmp_path / "ray") == found(tmp_path / "serial")
    assert len(found(tmp_path / "ray")) == FILES - 1

    again = subprocess.run(
        [*LOCALIZE, str(archive), "-o", str(tmp_path / "ray"), "--jobs", "2", "--ray", "local"],
        capture_output=True, text=True, env=env, timeout=600, check=False,
    )  # fmt: skip
    assert "199 of 200 recordings are done already" in again.stderr


def test_no_cluster_at_the_address_is_one_line(archive: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [*LOCALIZE, str(archive / "day1"), "-o", str(tmp_path), "--ray", "127.0.0.1:1"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "no cluster answers there" in done.stderr.splitlines()[-1]
