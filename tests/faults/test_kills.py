"""The program is killed at any moment: what lies on disk afterwards is whole, or is not taken for whole."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import av
import pytest

CODE = "from avel_live.realtime.commands import live_main as m; m()"
LIVE = [sys.executable, "-X", "faulthandler", "-c", CODE]
KILLS = [3, pytest.param(40, marks=pytest.mark.slow)]


def records(path: Path) -> list[dict[str, object]]:
    """Whole lines are whole records; only the last line may be cut, and then it has no line end."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    whole = text[: text.rfind("\n") + 1].splitlines()
    return [json.loads(line) for line in whole]


@pytest.mark.parametrize("kills", KILLS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_half_written_is_taken_for_whole(tmp_path: Path, number: signal.Signals, kills: int) -> None:
    """Logs go on in the same file, clips in the same folder, through all the kills."""
    chance = random.Random(int(number))
    log, clips = tmp_path / "log.jsonl", tmp_path / "clips"
    cache = {"AVEL_CACHE_DIR": str(tmp_path / "cache")}
    args = ["--demo", "--speed", "8", "--loop", "--no-ui", "--log", str(log), "--record", str(clips)]
    subprocess.run([*LIVE, *args, "--duration", "1"], env=os.environ | cache, check=True, timeout=300)
    seen = 0
    for _ in range(kills):
        process = subprocess.Popen(
            [*LIVE, *args], env=os.environ | cache, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            process.wait(chance.uniform(0.3, 6.0))
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert process.returncode in (0, -number), said.decode()
        now = records(log)
        assert len(now) >= seen  # what was whole before still is
        seen = len(now)
        for clip in clips.glob("*.mp4"):
            with av.open(str(clip)) as film:
                assert sum(1 for _ in film.decode(video=0)) > 0
        for note in clips.glob("*.json"):
            json.loads(note.read_text(encoding="utf-8"))
    assert seen > 0
    assert {r["type"] for r in records(log)} >= {"start", "hop"}
