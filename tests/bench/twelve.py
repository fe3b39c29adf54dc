"""Twelve cameras on one machine: one `avel serve`, or twelve `avel-live` side by side.

    python tests/bench/twelve.py [--minutes 4] [--streams 12] [--way serve|processes] [--trouble [MINUTES]]

Half of the streams are RTSP (H.264 and sound), half MJPEG over HTTP beside no microphone, all 640 × 480, from
the servers of the tests; all of one kind read one server, so that pictures are made once. Printed are, for
the program under test alone (the servers are other processes): processor seconds a second of stream, memory
that is its own (USS, and PSS where several processes share the libraries' pages), skipped answers, and how
long after its second an answer came.

`--trouble` then goes on, for as long or for so many minutes, with three streams of servers of their own: one
is killed, one stopped in its tracks, one sends twenty times as many pictures. The other streams' latency is
printed for the time before in two halves, which differ by nothing but chance, and for the time after.

What it does not show: networks between camera and machine; microphones. Other work on the machine shows in
everything but processor seconds and memory.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.mjpeg import MjpegServer
from support.rtsp import RtspServer

PROGRAM = [sys.executable, "-c", "from avel_live.realtime.commands import main; main()"]
WARM_S = 20.0
TROUBLED = ("killed", "stalled", "floods")


def addresses(count: int, rtsp: str, mjpeg: str) -> dict[str, dict[str, str]]:
    """Name of each stream, and its source."""
    streams = {}
    for k in range(count):
        streams[f"s{k:02d}"] = {"url": rtsp} if k % 2 else {"camera": mjpeg, "mic": "none"}
    return streams


class Watched:
    """The processes under test: what they cost, and what they said."""

    def __init__(self, folder: Path, streams: dict[str, dict[str, str]], way: str) -> None:
        self._logs = {name: folder / f"{name}.jsonl" for name in streams}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AVEL_")}
        environ = {**clean, "OMP_NUM_THREADS": "1", "AVEL_DATA_DIR": str(folder)}
        quiet = {"stdout": subprocess.DEVNULL, "cwd": folder, "env": environ}
        if way == "serve":
            file = folder / "avel.toml"
            tables = []
            for name, keys in {name: {"name": name, **keys} for name, keys in streams.items()}.items():
                said = {**keys, "log.jsonl": str(self._logs[name])}
                tables.append("[[streams]]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in said.items()))
            file.write_text("\n".join(tables))
            lines = [["serve", "--config", str(file)]]
        else:
            lines = [
                ["live", "--no-ui", "--name", name, "--log", str(self._logs[name])]
                + [part for key, value in keys.items() for part in (f"--{key}", value)]
                for name, keys in streams.items()
            ]
        self.processes = [subprocess.Popen([*PROGRAM, *line], **quiet) for line in lines]  # type: ignore[call-overload]
        self._known = [psutil.Process(process.pid) for process in self.processes]

    def records(self, name: str, kind: str) -> list[dict[str, object]]:
        path = self._logs[name]
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [r for r in map(json.loads, lines) if r["type"] == kind]

    def cpu_s(self) -> float:
        return sum(t.user + t.system for t in (one.cpu_times() for one in self._known))

    def memory_mb(self) -> dict[str, float]:
        full = [one.memory_full_info() for one in self._known]
        return {kind: sum(getattr(one, kind) for one in full) / 1e6 for kind in ("uss", "pss", "rss")}

    def threads(self) -> int:
        return sum(one.num_threads() for one in self._known)

    def stop(self) -> list[int]:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        return [process.wait(60) for process in self.processes]

    def kill(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()


def said(
    watched: Watched, names: list[str], since: dict[str, int], what: str, until: dict[str, int] | None = None
) -> None:
    ms, skipped, pictures = [], 0, []
    for name in names:
        hops: list[dict[str, Any]] = watched.records(name, "hop")
        hops = hops[: None if until is None else until[name]]
        skipped += hops[-1]["skipped"] - (hops[since[name] - 1]["skipped"] if since[name] else 0)
        ms += [hop["latency_ms"] for hop in hops[since[name] :]]
        pictures += [hop["segment"]["frames"] for hop in hops[since[name] :]]
    p = np.percentile(ms, [50, 95, 99])
    print(
        f"{what}: {len(ms)} answers of {len(names)} streams, {skipped} skipped; latency p50 "
        f"{p[0]:.0f}, p95 {p[1]:.0f}, p99 {p[2]:.0f} ms; {np.mean(pictures):.1f} pictures a second",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--streams", type=int, default=12)
    parser.add_argument("--way", choices=("serve", "processes"), default="serve")
    parser.add_argument("--trouble", type=float, nargs="?", const=0.0, metavar="MINUTES")
    parser.add_argument("--keep", type=Path, help="leave the logs of the streams in this folder")
    a = parser.parse_args()
    with ExitStack() as stack:
        folder = a.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        size = {"width": 640, "height": 480, "fps": 15.0}
        rtsp = stack.enter_context(RtspServer(size=(640, 480)))
        mjpeg = stack.enter_context(MjpegServer(**size))  # type: ignore[arg-type]
        streams = addresses(a.streams, rtsp.url, mjpeg.url)
        own: dict[str, MjpegServer] = {}
        if a.trouble is not None:
            for name, replaced in zip(TROUBLED, list(streams)[::2], strict=False):
                own[name] = stack.enter_context(MjpegServer(**size))  # type: ignore[arg-type]
                del streams[replaced]
                streams[name] = {"camera": own[name].url, "mic": "none"}
        watched = Watched(folder, streams, a.way)
        stack.callback(watched.kill)
        until = time.monotonic() + 300
        while not all(len(watched.records(name, "hop")) > 3 for name in streams):
            assert time.monotonic() < until, "not all of them give answers"
            time.sleep(1)
        time.sleep(WARM_S)
        others = [name for name in streams if name not in TROUBLED]

        def now() -> dict[str, int]:
            return {name: len(watched.records(name, "hop")) for name in streams}

        since, cpu_s, began = now(), watched.cpu_s(), time.monotonic()
        load = os.getloadavg()[0]
        first = last = peak = watched.memory_mb()
        halfway: dict[str, int] = {}
        while (seconds := time.monotonic() - began) < 60 * a.minutes:
            time.sleep(5)
            last = watched.memory_mb()
            peak = {kind: max(mb, last[kind]) for kind, mb in peak.items()}
            if not halfway and seconds >= 30 * a.minutes:
                halfway = now()
        spent, seconds = watched.cpu_s() - cpu_s, time.monotonic() - began
        print(
            f"{a.way}: {len(streams)} streams, {seconds:.0f} s, load {load:.1f} to {os.getloadavg()[0]:.1f}"
        )
        each = 1000 * spent / seconds / len(streams)
        print(f"{spent:.0f} processor seconds, {each:.0f} ms a stream and second")
        memory = ", ".join(
            f"{kind} {mb:.0f} ({first[kind]:.0f} to {last[kind]:.0f})" for kind, mb in peak.items()
        )
        print(f"most memory, MB: {memory}; {watched.threads()} threads, {len(watched.processes)} processes")
        said(watched, list(streams), since, "all")
        if a.trouble is not None:
            before = now()
            said(watched, others, since, "others, first half", halfway)
            said(watched, others, halfway, "others, second half", before)
            said(watched, others, since, "others, before", before)
            own["killed"].kill()
            own["stalled"].stall()
            own["floods"].kill()
            stack.enter_context(MjpegServer(own["floods"].port, **{**size, "fps": 300.0}))  # type: ignore[arg-type]
            cpu_s, began = watched.cpu_s(), time.monotonic()
            time.sleep(60 * (a.trouble or a.minutes))
            spent, seconds = watched.cpu_s() - cpu_s, time.monotonic() - began
            each = 1000 * spent / seconds / len(streams)
            print(f"trouble: {seconds:.0f} s, {each:.0f} ms a stream and second")
            said(watched, others, before, "others, after")
            said(watched, ["floods"], before, "the flooding one")
            for name in TROUBLED:
                states = [(r["device"], r["state"]) for r in watched.records(name, "status")]
                print(f"  {name}: {', '.join(f'{d} {s}' for d, s in states[-4:])}")
        print("exit codes", sorted(set(watched.stop())))
        anew = {name: count for name in streams if (count := len(watched.records(name, "start"))) > 1}
        print(f"streams that were begun more than once: {anew or 'none'}")


if __name__ == "__main__":
    main()
