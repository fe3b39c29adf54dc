"""What engines of TensorRT for RTX cost to build, in every precision, without a GPU: layers, MB, seconds.

    python tests/bench/rtx_precisions.py OUT.json [--profiles lite,paper] [--ear YAMNET.tflite]

One engine for SM86 + SM89 + SM120, and one in fp16 for SM75. INT8: every layer of eye and ear, from ranges
measured on the demo's clip; heads have no INT8. The paper's profiles get random weights. A network that an
earlier profile has is built there (the eye of `lite-yamnet`, the ear and the head of `paper-torchvision`).
What is in OUT.json already is not built again. How far the graphs' answers are from float32's:
`rtx_errors.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from avel_live.model.backbones import registry
from avel_live.model.profiles import PROFILES, get_profile
from avel_live.model.runtime.base import NETWORKS, EngineOptions, Network, Precision
from avel_live.model.runtime.flavours import RTX
from avel_live.model.runtime.trt_build import Batch, build
from support.rtx import GPUS, graphs, options_for

PRECISIONS: Final[tuple[Precision, ...]] = ("fp32", "fp16", "int8")
TURING: Final = ("sm75",)


class Case(NamedTuple):
    """One engine."""

    profile: str
    network: Network
    precision: Precision
    gpus: tuple[str, ...] = GPUS

    @property
    def name(self) -> str:
        """As rows call it."""
        return f"{self.profile} {self.network} {self.precision} {'+'.join(self.gpus)}"


def cases(profile: str) -> Iterator[Case]:
    """Every engine of a profile that is not an earlier one's."""
    spec = get_profile(profile)
    earlier = list(PROFILES.values())[: list(PROFILES).index(profile)]
    has: dict[Network, bool] = {
        "visual": any(other.visual == spec.visual for other in earlier),
        "audio": any(other.audio == spec.audio for other in earlier),
        "head": spec.head is None and any(other.head is None for other in earlier),
    }
    for network in (one for one in NETWORKS if not has[one]):
        for precision in PRECISIONS:
            if (network, precision) != ("head", "int8"):
                yield Case(profile, network, precision)
        yield Case(profile, network, "fp16", TURING)


def built(case: Case, options: EngineOptions, folder: Path) -> dict[str, Any]:
    """Build an engine: a row of the table."""
    (path,) = graphs(options, case.precision, case.network, folder).values()
    begin = time.monotonic()
    plan = build(RTX, Batch.of(case.network, get_profile(case.profile)), path, None, case.gpus)
    taken = time.monotonic() - begin
    assert plan.data.startswith(b"vtrt")
    facts = {"layers": plan.layers, "MB": round(len(plan.data) / 1e6, 1), "seconds": round(taken, 1)}
    return {"engine": case.name, **facts}


def rows(
    profiles: Collection[str], ear: Path | None, folder: Path, known: Collection[str] = ()
) -> Iterator[dict[str, Any]]:
    """A row for each engine that is not known yet."""
    for profile in profiles:
        options = options_for(profile, folder, ear if get_profile(profile).audio == registry.YAMNET else None)
        for case in cases(profile):
            if case.name not in known:
                yield built(case, options, folder)


def main() -> None:
    """Print each row as it comes, and keep them all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--profiles", default=",".join(PROFILES))
    parser.add_argument("--ear", type=Path)
    given = parser.parse_args()
    found = json.loads(given.out.read_text()) if given.out.is_file() else []
    known = {row["engine"] for row in found}
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(given.profiles.split(","), given.ear, Path(folder), known):
            print(json.dumps(row), flush=True)
            found.append(row)
            given.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
