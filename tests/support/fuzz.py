"""A fuzzer for one reader: damaged copies of a few whole files, read in a process with limits of its own.

    python -m support.fuzz TARGET SECONDS SEEDS_FOLDER

What may happen to a damaged file: it is read all the same, or an `AvelError` says in one line what is
wrong. Anything else, a crash, more than `MEMORY_GB`, or more than `LONGEST_S` for one file is a failure: the
file is left as `SEEDS_FOLDER/failed` and the process ends with 1. Prints how many were tried as JSON.
"""

from __future__ import annotations

import json
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from avel_live.model.errors import AvelError
from avel_live.realtime.commands.bench.meters import peak_memory_mb

MEMORY_GB = 8
"""Address space: libraries reserve far more than they use."""
GROWTH_MB = 400
LONGEST_S = 20
_SECONDS_OF_MEDIA = 120


def media(path: Path) -> None:
    """The replay of a recording, to its end or for two minutes of it."""
    from avel_live.realtime.core.clock import SystemClock
    from avel_live.realtime.core.messages import EndOfStream
    from avel_live.realtime.sources.replay import Replay, ReplayOptions

    source = Replay(path, SystemClock(), ReplayOptions(speed=None, duration_s=_SECONDS_OF_MEDIA))
    try:
        source.open()
        while not isinstance(source.read(1.0), EndOfStream):
            pass
    finally:
        source.close()


def checkpoint(path: Path) -> None:
    """A trained head."""
    from avel_live.model.checkpoint import load_checkpoint

    load_checkpoint(path)


def audio_weights(path: Path) -> None:
    """The ear's weights."""
    from avel_live.model.backbones.audio_cnn import load_audio_cnn

    load_audio_cnn(path)


def calibration(path: Path) -> None:
    """A calibration of confidence."""
    from avel_live.calibration.files import load_calibration

    load_calibration(path)


def configuration(path: Path) -> None:
    """`avel.toml`."""
    from avel_live.realtime.config.load import load_config

    load_config({}, path=path, environ={})


def features(path: Path) -> None:
    """AVE's HDF5 features."""
    import numpy as np
    from avel_live.model.training.ave import FeatureFile

    file = FeatureFile(path, 3)
    try:
        file.read(np.arange(len(file)))
    finally:
        file.close()


TARGETS: dict[str, Callable[[Path], Any]] = {
    f.__name__: f for f in (media, checkpoint, audio_weights, calibration, configuration, features)
}


def damaged(whole: bytes, chance: random.Random) -> bytes:
    """A copy with one to four things wrong."""
    data = bytearray(whole)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data)) if data else 0
        # Headers decide most: half of the damage is near the beginning.
        at = at if chance.random() < 0.5 else min(at, chance.randrange(512))
        some = chance.choice((1, 2, 4, 8, 64, 1000))
        kind = chance.randrange(7)
        if kind == 0:
            del data[at:]
        elif kind == 1 and data:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 2:
            data[at : at + some] = bytes(chance.randrange(256) for _ in range(some))
        elif kind == 3:
            data[at : at + some] = (b"\xff" if chance.random() < 0.5 else b"\0") * some
        elif kind == 4:
            del data[at : at + some]
        elif kind == 5:
            data[at:at] = data[at : at + some]
        else:  # a size or a count that is out of this world
            data[at : at + 4] = chance.choice((0x7FFFFFFF, 0xFFFFFFFF, 0x10000, 10**9)).to_bytes(
                4, chance.choice(("little", "big"))
            )
    return bytes(data)


def main(target: str, seconds: float, folder: Path) -> int:
    """Fuzz until the time is over or something is wrong."""
    read = TARGETS[target]
    wholes = sorted(path for path in folder.iterdir() if path.name.startswith("seed"))
    for path in wholes:
        read(path)  # whole files are read, and everything is imported
    limit = MEMORY_GB << 30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    before = peak_memory_mb()
    chance, tried, refused = random.Random(0), 0, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        whole = chance.choice(wholes)
        failed = folder / f"failed{whole.suffix}"
        failed.write_bytes(damaged(whole.read_bytes(), chance))
        signal.alarm(LONGEST_S)  # no handler: the process is killed, the file stays
        try:
            read(failed)
        except AvelError as error:
            refused += 1
            if "\n" in str(error):
                print(f"more than one line: {error}", file=sys.stderr)
                return 1
        except Exception:
            traceback.print_exc()
            return 1
        signal.alarm(0)
        tried += 1
        grown_mb = peak_memory_mb() - before
        if grown_mb > GROWTH_MB:
            print(f"{grown_mb:.0f} MB more than before", file=sys.stderr)
            return 1
        failed.unlink()
    print(json.dumps({"tried": tried, "refused": refused}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])))
