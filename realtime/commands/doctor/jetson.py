"""Make a Jetson ready (`python -m avel_live.realtime.commands.doctor.jetson`): pass or fail for each item.

Not yet run on a Jetson: what the tools print there is known from NVIDIA's documentation and from what
others published, and the tests read such outputs (tests/data/jetson). Without `--apply` nothing changes.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from ....model.profiles import get_profile
from ....model.runtime.base import NETWORKS
from ....model.runtime.trt_build import Batch, trtexec_command

RELEASE_FILE: Final = Path("/etc/nv_tegra_release")
JETPACKS: Final = {36: "6", 38: "7.0 or 7.1", 39: "7.2"}
"""L4T release → JetPack, of those that the guide knows."""
_BUILD_S: Final = 3600.0


class Output(NamedTuple):
    """What a program said: exit status (127 = not there), and both streams together."""

    status: int
    text: str


Runner = Callable[[Sequence[str]], Output]


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the report; `fix` is what to do about a failure."""

    name: str
    result: Literal["pass", "fail", "note"]
    found: str
    fix: str = ""


def run_program(command: Sequence[str]) -> Output:
    """Run a program; one that is missing or hangs is an outcome, too."""
    try:
        done = subprocess.run(
            list(command),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_BUILD_S,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        return Output(127, f"{command[0]}: not installed")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Output(126, str(error))
    return Output(done.returncode, done.stdout + done.stderr)


# One function an item; each takes what a tool printed, so that it can be tested without the tool.


def release(text: str) -> Item:
    """The L4T release from /etc/nv_tegra_release: `# R36 (release), REVISION: 4.3, …`."""
    found = re.match(r"# R(\d+) \(release\), REVISION: ([\d.]+)", text)
    if found is None:
        return Item("JetPack", "fail", "no /etc/nv_tegra_release: this is no Jetson", "run it on the device")
    major = int(found[1])
    name = f"L4T {major}.{found[2]}"
    if major in JETPACKS:
        return Item("JetPack", "pass", f"{JETPACKS[major]} ({name})")
    return Item(
        "JetPack", "fail", f"{name} is not known to this guide", "JetPack 6.2 (L4T 36.4) or 7.2 (L4T 39.2)"
    )


def power_mode(query: Output, modes: str) -> tuple[Item, str | None]:
    """The power mode from `nvpmodel -q`, and the number of the strongest in /etc/nvpmodel.conf's `modes`.

    `nvpmodel -q` prints `NV Power Mode: 15W` and on the next line the mode's number.
    """
    found = re.search(r"NV Power Mode: *(\S+)\s+(\d+)\s*$", query.text.strip())
    if query.status or found is None:
        return Item("power mode", "fail", f"nvpmodel -q said {_last(query.text)!r}", "run it with sudo"), None
    name, number = found[1], found[2]
    strongest = _strongest(modes)
    if strongest is None or strongest[0] == number:
        return Item("power mode", "pass", f"{name} ({number})"), None
    return (
        Item(
            "power mode",
            "fail",
            f"{name} ({number}); there is {strongest[1]} ({strongest[0]})",
            f"sudo nvpmodel -m {strongest[0]} (may ask for a restart; check the power supply)",
        ),
        strongest[0],
    )


def _strongest(modes: str) -> tuple[str, str] | None:
    """(number, name) of MAXN_SUPER, else MAXN, else the highest wattage."""
    known = re.findall(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", modes)

    def rank(mode: tuple[str, str]) -> float:
        name = mode[1].upper()
        if name.startswith("MAXN"):
            return 1e6 + ("SUPER" in name)
        watts = re.search(r"(\d+)W", name)
        return float(watts[1]) if watts else 0.0

    return max(known, key=rank, default=None)


def clocks(show: Output) -> Item:
    """Whether `jetson_clocks` holds the processors at full speed, from `jetson_clocks --show`."""
    cpus = re.findall(r"cpu\d+: +Online=1 .*?MinFreq=(\d+) MaxFreq=(\d+)", show.text)
    if show.status or not cpus:
        return Item("clocks", "fail", f"jetson_clocks --show said {_last(show.text)!r}", "run it with sudo")
    held = sum(low == high for low, high in cpus)
    if held == len(cpus):
        return Item("clocks", "pass", f"{held} processors at full speed")
    found = f"{held} of {len(cpus)} processors held at full speed"
    return Item("clocks", "fail", found, "sudo jetson_clocks")


def opencv(probe: Output) -> Item:
    """OpenCV's build information: only the system's has GStreamer."""
    found = re.search(r"^\s*GStreamer:\s+(\S+)(?:\s+\(([^)]*)\))?", probe.text, re.MULTILINE)
    if probe.status or found is None or found[1] != "YES":
        return Item(
            "OpenCV with GStreamer",
            "fail",
            "no" if found else _last(probe.text),
            "sudo apt install python3-opencv; venv with --system-site-packages; pip uninstall opencv-python",
        )
    return Item("OpenCV with GStreamer", "pass", f"GStreamer {found[2] or 'yes'}")


def engine(name: str, build: Output, target: Path) -> Item:
    """Whether `trtexec` built an engine: it ends with `&&&& PASSED`, and the file is there."""
    timing = re.search(r"Throughput: ([\d.]+) qps", build.text)
    if build.status == 0 and "&&&& PASSED" in build.text and target.is_file():
        speed = f", {float(timing[1]):.0f} calls a second" if timing else ""
        return Item(f"engine {name}", "pass", f"{target.stat().st_size / 1e6:.1f} MB{speed}")
    errors = [line for line in build.text.splitlines() if "[E]" in line]
    return Item(f"engine {name}", "fail", errors[-1].strip() if errors else _last(build.text), "see its log")


def self_test(demo: Output) -> Item:
    """`avel-live --demo --json`: events in the seconds where the package's clip has them."""
    records = [record for line in demo.text.splitlines() if (record := _record(line)) is not None]
    right = sum(r["label"] == _truth(r["index"]) for r in records if r.get("type") == "segment")
    backend = next((r["backend"] for r in records if r.get("type") == "start"), "?")
    end = next((r for r in records if r.get("type") == "end"), None)
    if demo.status or end is None:
        return Item("self-test", "fail", _last(demo.text), "run: avel-live --demo --debug")
    p99 = end["latency_ms"]["p99"] if end["latency_ms"] else float("nan")
    found = f"{right} of 24 seconds right on {backend}, latency p99 {p99:.0f} ms, {end['skipped']} skipped"
    good = right >= 20 and end["skipped"] == 0
    return Item("self-test", "pass" if good else "fail", found, "" if good else "avel doctor; avel bench")


def _record(line: str) -> dict[str, Any] | None:
    """A JSON object; None for whatever else a program prints."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _truth(second: int) -> str:
    """What happens in a second of the package's clip (README.md, start in one command)."""
    return "Bark" if 3 <= second <= 8 else "Clock" if 14 <= second <= 19 else "background"


def _last(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "nothing"


def steps(
    run: Runner, *, apply: bool, onnx: Path, release_text: str, modes: str, trtexec: str = "trtexec"
) -> Iterator[Item]:
    """Everything, in order; with `apply` what can be set is set and looked at again."""
    yield release(release_text)
    item, better = power_mode(run(["nvpmodel", "-q"]), modes)
    if apply and better is not None:
        run(["nvpmodel", "-m", better])
        item, _ = power_mode(run(["nvpmodel", "-q"]), modes)
    yield item
    item = clocks(run(["jetson_clocks", "--show"]))
    if apply and item.result == "fail":
        run(["jetson_clocks"])
        item = clocks(run(["jetson_clocks", "--show"]))
    yield item
    yield opencv(run([sys.executable, "-c", "import cv2; print(cv2.getBuildInformation())"]))
    argus = run(["systemctl", "is-active", "nvargus-daemon"])
    yield Item("CSI camera daemon", "pass" if argus.status == 0 else "note", _last(argus.text))
    avel = str(Path(sys.executable).with_name("avel"))
    exported = run([avel, "compile", "--to", "onnx", "--precision", "fp16", "--out", str(onnx)])
    graphs = sorted(onnx.glob("*.onnx"))
    if exported.status or not graphs:
        yield Item("export to ONNX", "fail", _last(exported.text), "run: avel compile --to onnx")
        return
    yield Item("export to ONNX", "pass", f"{len(graphs)} graphs in {onnx}")
    folder = onnx / "engines"
    if apply:
        for graph in graphs:
            target = graph.with_suffix(".engine")
            yield engine(graph.stem, run(_trtexec(graph, target, trtexec)), target)
        # What the program runs, with a manifest: to be carried to other devices of this kind.
        built = run([avel, "compile", "--to", "tensorrt", "--precision", "fp16", "--out", str(folder)])
        yield Item("engines for avel-live", "fail" if built.status else "pass", _last(built.text))
    live = str(Path(sys.executable).with_name("avel-live"))
    yield self_test(run([live, "--demo", "--json", *(["--engines", str(folder)] if apply else [])]))


def _trtexec(graph: Path, target: Path, program: str) -> list[str]:
    """Builds and measures the engine of an exported graph, `PROFILE_NETWORK.onnx`."""
    profile, _, name = graph.stem.rpartition("_")
    network = next(known for known in NETWORKS if known == name)
    batch = Batch.of(network, get_profile(profile))
    cache = graph.with_name("timing.cache")
    return trtexec_command(batch, graph, target, cache, program, measure=True)


def report(items: Iterator[Item]) -> int:
    """Print as they come; how many failed."""
    failed = 0
    for item in items:
        print(f"{item.result.upper():<5} {item.name:<24} {item.found}", flush=True)
        if item.result == "fail":
            failed += 1
            if item.fix:
                print(f"      → {item.fix}", flush=True)
    print(f"{failed} failed" if failed else "all passed")
    return failed


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point; exits with 6 when an item failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--apply", action="store_true", help="set power mode and clocks, build engines")
    parser.add_argument("--onnx", type=Path, default=Path("avel-onnx"), help="where exported networks go")
    given = parser.parse_args(arguments)
    modes = Path("/etc/nvpmodel.conf")
    text = RELEASE_FILE.read_text() if RELEASE_FILE.is_file() else ""
    trtexec = shutil.which("trtexec") or "/usr/src/tensorrt/bin/trtexec"
    items = steps(
        run_program,
        apply=given.apply,
        onnx=given.onnx,
        release_text=text,
        modes=modes.read_text(errors="replace") if modes.is_file() else "",
        trtexec=trtexec,
    )
    sys.exit(6 if report(items) else 0)


if __name__ == "__main__":
    main()
