"""What a start costs the CPU: engines of TensorRT for RTX built on the spot, against a folder built ahead.

    python tests/bench/rtx_start.py [--precision fp16] [--rounds 3]

Every start is a process of its own, up to the driver, which need not be there: what a GPU adds (loading an
engine, and making its kernels at a first start) is the same in every row, and not in it. Processor seconds of
the process and its children, and wall seconds; medians.

    on the spot, new      networks to graphs, graphs to engines, into an empty cache
    on the spot, graphs   graphs from the cache, engines built
    in the cache          engines from the cache, checked
    built ahead           engines from a folder, checked against its manifest
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from avel_live.model.runtime.base import NETWORKS, EngineOptions
from avel_live.model.runtime.flavours import RTX
from avel_live.model.runtime.trt_ahead import build_ahead

GPU: Final = "sm89"
_START: Final = """
import sys
from pathlib import Path
from avel_live.model.runtime import trt_build, trt_plain
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.flavours import RTX, logger
from avel_live.model.runtime.trt_ahead import read_ahead

how, precision, folder, cache = sys.argv[1:]
options = EngineOptions(precision=precision, cache_dir=Path(cache))
trt_build.capability = lambda: "sm89"
if how == "ahead":
    paths = read_ahead(Path(folder), options, gpu="sm89")[2]
else:
    paths = trt_plain.engines(options, precision, RTX)
runtime = RTX.load().Runtime(logger(RTX))
plans = [path.read_bytes() for path in paths.values()]
assert len(plans) == 3
"""


def started(how: str, precision: str, folder: Path, cache: Path) -> tuple[float, float]:
    """Processor and wall seconds of one start."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, "-c", _START, how, precision, folder, cache], check=True)
    wall, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--precision", default="fp16", choices=("fp32", "fp16"))
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    taken: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "engines"
        build_ahead(
            EngineOptions(cache_dir=Path(scratch) / "ahead"), given.precision, [GPU], folder, RTX, NETWORKS
        )
        for count in range(given.rounds):
            cache = Path(scratch) / f"cache-{count}"
            for row in ("on the spot, new", "on the spot, graphs", "in the cache", "built ahead"):
                if row == "on the spot, graphs":
                    for engine in cache.glob("*.engine"):
                        engine.unlink()
                how = "ahead" if row == "built ahead" else "spot"
                taken.setdefault(row, []).append(started(how, given.precision, folder, cache))
    for row, all_of in taken.items():
        cpu, wall = (statistics.median(values) for values in zip(*all_of, strict=True))
        print(f"{row:<20} {cpu:6.2f} processor seconds, {wall:6.2f} wall")


if __name__ == "__main__":
    main()
