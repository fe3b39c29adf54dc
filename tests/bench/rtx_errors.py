"""How far graphs for TensorRT are from torch in float32, on clips, before any GPU sees them.

    python tests/bench/rtx_errors.py OUT.json WORK CLIPS [--profile lite] [--ear YAMNET.tflite] [--rows fp16]
        [--every 5]

Every clip of a folder (or every fifth) goes through the very stream that runs live (`--frames auto`), the
networks being the graphs run node by node as written on a CPU; what a GPU's own kernels add to that is not in
it.

    fp32, fp16    all three networks
    int8          what `--precision int8` runs: the eye of a calibration made here, else of the package's; the
                  rest in float32
    int8-all      every layer of eye and ear, from ranges of the demo's clip

    settled       seconds whose settled label is float32's, of all
    looks         the same of every look at every second
    probability   the largest difference of a probability of any look
    eye, ear      features: ‖difference‖ / ‖float32's‖
    head          the same of its logits, where both heads are given float32's features

The paper's profiles get random weights: features and logits are compared, but labels say nothing where they
are all alike (`kinds`). What was computed lies in WORK, a file a clip, and is not computed again: it may be
stopped at any time.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

from avel_live.calibration.int8.report import relative_error
from avel_live.model.profiles import WINDOW
from avel_live.model.runtime.base import EngineOptions, Network
from avel_live.model.runtime.onnx_engine import OnnxEngine
from avel_live.model.runtime.precisions import graphs_in
from avel_live.model.runtime.torch_engine import TorchEngine
from avel_live.realtime.core.clock import SystemClock
from avel_live.realtime.events import DecoderConfig
from avel_live.realtime.recordings.labelled import recording, settled
from avel_live.realtime.stream.window import softmax
from bench.peers import Listening
from support.rtx import eight_bits, options_for
from support.shared_clips import listed

ROWS: Final = ("fp16", "int8-all")
Told = Mapping[str, NDArray[Any]]


def graphs(row: str, options: EngineOptions, work: Path) -> dict[Network, Path]:
    """What a row runs in place of float32's graphs; those stand in for what it leaves out."""
    if row in ("fp32", "fp16", "int8"):
        return graphs_in(options, row)  # type: ignore[arg-type]
    whole = graphs_in(options, "fp32")
    quantised: Sequence[Network] = ("visual", "audio")
    return whole | {network: eight_bits(options, network, work) for network in quantised}


def told(clip: Path, engine: Any, path: Path) -> Told:
    """Of one clip: probabilities of every look [N, C], settled labels [S], newest features [S, …]."""
    if not path.is_file():
        listening = Listening(engine)
        scores = recording(clip, listening, SystemClock())
        posteriors = settled(scores, softmax, DecoderConfig(labels=engine.info.labels))
        part = path.with_suffix(".part.npz")
        np.savez(
            part,
            looks=np.concatenate([softmax(s.logits) for s in scores]),
            labels=posteriors.argmax(axis=1),
            eye=np.stack(listening.seen),
            ear=np.stack(listening.heard),
        )
        part.replace(path)
    with np.load(path) as kept:
        return dict(kept)


def all_told(clips: Sequence[Path], engine: Any, folder: Path) -> list[Told]:
    """Of all clips, in their order."""
    folder.mkdir(parents=True, exist_ok=True)
    return [told(clip, engine, folder / f"{clip.stem}.npz") for clip in clips]


def logits(engine: Any, clips: Sequence[Told]) -> NDArray[np.float32]:
    """Of the windows that these features make."""
    found = []
    for clip in clips:
        for end in range(1, len(clip["eye"]) + 1):
            window = slice(max(0, end - WINDOW), end)
            here = np.ones(end - window.start, np.bool_)
            found.append(engine.head(clip["eye"][window], clip["ear"][window], here, here).logits)
    return np.concatenate(found)


def compared(exact: Sequence[Told], got: Sequence[Told]) -> dict[str, Any]:
    """Most of a row."""

    def joined(clips: Sequence[Told], name: str) -> NDArray[Any]:
        return np.concatenate([clip[name] for clip in clips])

    a, b = ({name: joined(clips, name) for name in exact[0]} for clips in (exact, got))
    return {
        "seconds": len(a["labels"]),
        "kinds": len(set(a["labels"].tolist())),
        "settled": round(float((a["labels"] == b["labels"]).mean()), 4),
        "looks": round(float((a["looks"].argmax(1) == b["looks"].argmax(1)).mean()), 4),
        "probability": round(float(np.abs(a["looks"] - b["looks"]).max()), 5),
        "eye": round(relative_error(a["eye"], b["eye"]), 6),
        "ear": round(relative_error(a["ear"], b["ear"]), 6),
    }


class Reference:
    """What torch says of some clips in float32, and what rows are held against it.

    Args:
        options: profile and weights.
        clips: recordings.
        place: folder for what was computed.

    """

    def __init__(self, options: EngineOptions, clips: Sequence[Path], place: Path) -> None:
        self._options, self._clips, self._place = options, clips, place
        engine = TorchEngine(options)
        self._exact = all_told(clips, engine, place / "torch")
        self._truth = logits(engine, self._exact)
        engine.close()

    def row(self, name: str, paths: Mapping[Network, Path]) -> dict[str, Any]:
        """One row, of these graphs."""
        engine = OnnxEngine(self._options, graphs=paths, exact=True)
        found = compared(self._exact, all_told(self._clips, engine, self._place / name))
        found["head"] = round(relative_error(self._truth, logits(engine, self._exact)), 6)
        engine.close()
        return {"profile": self._options.profile, "row": name} | found


def main() -> None:
    """Print each row as it comes, and keep them all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--profile", default="lite")
    parser.add_argument("--ear", type=Path)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--every", type=int, default=1)
    given = parser.parse_args()
    options = options_for(given.profile, given.work / "weights", given.ear)
    clips = listed(given.clips)[:: given.every]
    reference = Reference(options, clips, given.work / given.profile)
    found = json.loads(given.out.read_text()) if given.out.is_file() else []
    for name in given.rows.split(","):
        row = reference.row(name, graphs(name, options, given.work))
        print(json.dumps(row), flush=True)
        found = [other for other in found if (other["profile"], other["row"]) != (given.profile, name)]
        found.append(row)
        given.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
