"""Two streams share a folder of clips, a broker and a cache, in real time: neither takes from the other.

`AVEL_TWO_STREAMS_MINUTES` says for how long (an hour for a release; two minutes unless told).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import psutil
import pytest
from support.peers import Mosquitto, Subscriber, eventually

LIVE = [sys.executable, "-c", "from avel_live.realtime.commands import live_main; live_main()"]
MINUTES = float(os.environ.get("AVEL_TWO_STREAMS_MINUTES", "2"))
ARGS = ["--demo", "--loop", "--frames", "4", "--threads", "1", "--no-ui", "--pre", "1", "--post", "1"]
NAMES = ("door", "yard")
WARM_S, EVERY_S = 240.0, 5.0
GROWTH_MB = 40.0
"""More memory than this after it is warm (buffers full, every size of picture seen) is a leak."""


def records(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def hops(log: Path) -> int:
    return log.read_text(encoding="utf-8").count('"type": "hop"') if log.exists() else 0


@pytest.mark.slow
def test_two_streams_share_folder_broker_and_cache(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    broker.start()
    watcher = Subscriber(broker.port, "avel/+/event/#")
    clips, logs = tmp_path / "clips", {name: tmp_path / f"{name}.jsonl" for name in NAMES}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AVEL_")}
    env = {**clean, "AVEL_CACHE_DIR": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    env |= {"AVEL_MQTT__URL": f"mqtt://127.0.0.1:{broker.port}"}
    processes = {
        name: subprocess.Popen(
            [*LIVE, *ARGS, "--name", name, "--log", str(logs[name]), "--record", str(clips)],
            env=env,
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for name in NAMES
    }
    memory: dict[str, list[float]] = {name: [] for name in NAMES}
    try:
        eventually(lambda: all(hops(log) > 3 for log in logs.values()), "both run", 300)
        until, broken = time.monotonic() + 60 * MINUTES, False
        while (left_s := until - time.monotonic()) > 0:
            time.sleep(min(EVERY_S, left_s))
            for name, process in processes.items():
                assert process.poll() is None, process.stderr and process.stderr.read()
                memory[name].append(psutil.Process(process.pid).memory_info().rss / 1e6)
            if not broken and left_s < 30 * MINUTES:
                broken = True
                broker.kill()
                time.sleep(3.0)
                broker.start()
        for process in processes.values():
            process.send_signal(signal.SIGTERM)
        for process in processes.values():
            _, said = process.communicate(timeout=60)
            assert (process.returncode, said) == (0, b"")
        time.sleep(1.0)  # the broker hands on the last of it
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
        watcher.close()
        broker.kill()

    notes = [json.loads(path.read_text(encoding="utf-8")) for path in clips.glob("*.json")]
    for name in NAMES:
        story = records(logs[name])
        assert story[-1]["type"] == "end"
        assert story[-1]["skipped"] == 0
        bad = ("failing", "failed", "dropping")
        assert [r for r in story if r["type"] == "status" and r["state"] in bad] == []
        events = [(r["id"], r["event"]) for r in story if r["type"] == "event"]
        assert len(events) >= 2 * MINUTES
        # At least once, in order: what the broker had when it was killed may come twice.
        sent = [(r["id"], r["event"]) for r in watcher.json(f"/{name}/event/")]
        assert list(dict.fromkeys(sent)) == events
        kept = {e["id"] for note in notes if note["stream"] == name for e in note["events"]}
        assert kept == {id_ for id_, what in events if what == "end"}
        warm = memory[name][round(WARM_S / EVERY_S) :]
        assert not warm or warm[-1] - warm[0] < GROWTH_MB, memory[name]
    for note in notes:
        with av.open(str(clips / str(note["clip"]))) as film:
            assert sum(1 for _ in film.decode(video=0)) > 0
    assert not list(clips.glob(".*"))
    assert len(list(clips.glob("*.mp4"))) == len(notes)
