"""What the page costs `avel serve`: while nobody looks, and while somebody does.

    python tests/bench/watched.py [--streams 3] [--seconds 20] [--rounds 3]

First a program without any stream and nobody who looks: what it spends is the page's. Then one with
recordings that play at their own speed, over and over, one picture a second each; in turn nobody looks, and
Chromium shows all of them as tiles, or one of them in full. Printed are processor seconds of the program a
second, in percent of a core; the browser's own are not in it. What the rounds differ by is chance.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.browser import chromium
from support.server_process import free_port
from support.web import Client

PROGRAM = [sys.executable, "-c", "from avel_live.realtime.commands import main; main()", "serve"]
SHOWN = "return [...document.querySelectorAll('.picture img')].filter(i => i.naturalWidth > 0).length"
SETTLED_S = 15.0


@contextmanager
def serving(folder: Path, streams: int) -> Iterator[tuple[psutil.Process, Client]]:
    folder.mkdir()
    tables = [f'[[streams]]\nname = "s{k}"\n' for k in range(streams)]
    (folder / "avel.toml").write_text('demo = true\nloop = true\nframes = "1"\n' + "\n".join(tables))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AVEL_")}
    environ = {**clean, "OMP_NUM_THREADS": "1", "AVEL_DATA_DIR": str(folder)}
    port = free_port()
    command = [*PROGRAM, "--json", "--web", str(port), "--config", str(folder / "avel.toml")]
    process = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.DEVNULL)
    try:
        client, until = Client(port), time.monotonic() + 120
        while not running(client, streams):
            assert time.monotonic() < until, "not all of them give answers"
            time.sleep(0.5)
        time.sleep(SETTLED_S)
        yield psutil.Process(process.pid), client
    finally:
        process.terminate()
        process.wait(60)


def running(client: Client, streams: int) -> bool:
    try:
        found = client.get("/api/streams").json()
    except OSError:
        return False
    return sum(one["hop"] is not None for one in found) == streams


def share(process: psutil.Process, seconds: float) -> float:
    """Percent of a core over so many seconds."""
    before, began = process.cpu_times(), time.monotonic()
    time.sleep(seconds)
    after = process.cpu_times()
    spent = after.user + after.system - before.user - before.system
    return 100 * spent / (time.monotonic() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--streams", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        with serving(Path(name) / "empty", 0) as (process, _):
            print(f"no stream, nobody looks: {share(process, a.seconds):.2f} % of a core", flush=True)
        pages = {"nobody looks": None, "all as tiles": "live", "one in full": "stream/s0"}
        shares: dict[str, list[float]] = {what: [] for what in pages}
        with (
            serving(Path(name) / "busy", a.streams) as (process, client),
            chromium(Path(name) / "profile") as browser,
        ):
            for _ in range(a.rounds):
                for what, page in pages.items():
                    browser.get("about:blank")
                    if page is not None:
                        browser.get(f"http://127.0.0.1:{client.port}/#/{page}")
                    time.sleep(3)
                    shares[what].append(share(process, a.seconds))
                    pictures = browser.execute_script(SHOWN)
                    assert pictures == {"live": a.streams, None: 0}.get(page, 1), (what, pictures)
        nobody = float(np.mean(shares["nobody looks"]))
        for what, each in shares.items():
            rounds = ", ".join(f"{one:.1f}" for one in each)
            more = (float(np.mean(each)) - nobody) / (1 if what == "one in full" else a.streams)
            print(f"{a.streams} streams, {what}: {np.mean(each):.1f} ({rounds}); {more:+.2f} a stream shown")


if __name__ == "__main__":
    main()
