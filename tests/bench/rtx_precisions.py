"""What the precisions of TensorRT for RTX cost and lose, measured without a GPU.

    python tests/bench/rtx_precisions.py build OUT.json [--profiles lite,paper]
    python tests/bench/rtx_precisions.py error OUT.json CLIP…

`build`: layers, bytes and seconds of each engine for SM86 + SM89 + SM120, INT8 from ranges measured on the
demo's pictures. `error`: the graphs run node by node as written on a CPU, against torch in float32: the
largest difference of a feature as a part of the largest feature, the mean one as a part of the mean, and the
part of the seconds (one picture each) whose label stays. What a GPU's own kernels add to that is not in it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

from avel_live.calibration.int8.quantise import Quantiser
from avel_live.model.profiles import get_profile
from avel_live.model.runtime.base import NETWORKS, EngineOptions, Network
from avel_live.model.runtime.flavours import RTX
from avel_live.model.runtime.onnx_engine import OnnxEngine
from avel_live.model.runtime.precisions import graphs_in
from avel_live.model.runtime.torch_engine import TorchEngine
from avel_live.model.runtime.trt_build import Batch, build

GPUS = ("sm86", "sm89", "sm120")
DEMO = Path(__file__).resolve().parents[2] / "realtime/data/demo.mp4"


def seconds_of(path: Path) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
    """The first picture [224, 224, 3] of each second, and its sound [16000]."""
    import av
    import cv2
    import soxr

    with av.open(str(path)) as file:
        pictures: dict[int, NDArray[np.uint8]] = {}
        sound: list[NDArray[np.float32]] = []
        rate = file.streams.audio[0].rate
        for frame in file.decode(video=0, audio=0):
            if isinstance(frame, av.VideoFrame):
                second = int(frame.time or 0)
                if second not in pictures:
                    whole = frame.to_ndarray(format="rgb24")
                    pictures[second] = cv2.resize(whole, (224, 224), interpolation=cv2.INTER_AREA)
            else:
                sound.append(
                    np.asarray(frame.to_ndarray(), np.float32).reshape(-1, frame.samples).mean(axis=0)
                )
    mono = soxr.resample(np.concatenate(sound), rate, 16_000).astype(np.float32)
    for second, picture in sorted(pictures.items()):
        heard = mono[second * 16_000 : (second + 1) * 16_000]
        yield picture, np.pad(heard, (0, 16_000 - len(heard)))


def options_for(profile: str, folder: Path) -> EngineOptions:
    """With random weights where the public ones are not at hand: sizes and times are the same."""
    if profile != "paper":
        return EngineOptions(profile)
    from support.paper_files import paper_head, vgg19_file, vggish_file

    return EngineOptions(
        profile,
        checkpoint=paper_head(folder / "head.safetensors"),
        visual_weights=vgg19_file(folder / "vgg.h5"),
        audio_weights=vggish_file(folder / "vggish.pth"),
        cache_dir=folder / "cache",
    )


def eight_bits(options: EngineOptions, folder: Path) -> dict[Network, Path]:
    """S8S8 graphs of eye and ear; the head stays in float32, as `avel calibrate int8` leaves it."""
    paths = graphs_in(options, "fp32")
    demo = list(seconds_of(DEMO))
    front = get_profile(options.profile).audio.front_end()
    inputs: dict[Network, list[Any]] = {
        "visual": [picture[None] for picture, _ in demo],
        "audio": [front(heard)[None] for _, heard in demo],
    }
    for network, measured in inputs.items():
        work = folder / f"{options.profile}-{network}"
        work.mkdir(exist_ok=True)
        quantiser = Quantiser(paths[network], measured, work)
        paths[network] = quantiser.build(work / "int8.onnx", "minmax", "tensorrt")
    return paths


def graphs(options: EngineOptions, precision: str, folder: Path) -> dict[Network, Path]:
    """In a precision; the profile's own INT8 calibration is not needed."""
    return eight_bits(options, folder) if precision == "int8" else graphs_in(options, precision)  # type: ignore[arg-type]


def table(profiles: Sequence[str], folder: Path) -> Iterator[dict[str, Any]]:
    """A row for each network of each profile in each precision."""
    import time

    for name in profiles:
        options = options_for(name, folder)
        for precision in ("fp32", "fp16", "int8"):
            for network, path in graphs(options, precision, folder).items():
                begin = time.monotonic()
                plan = build(RTX, Batch.of(network, get_profile(name)), path, None, GPUS)
                taken = time.monotonic() - begin
                row = {"profile": name, "precision": precision, "network": network, "layers": plan.layers}
                yield row | {"MB": round(len(plan.data) / 1e6, 1), "seconds": round(taken, 1)}


def labels(engine: Any, eyes: NDArray[Any], ears: NDArray[Any]) -> NDArray[np.int64]:
    """Of each second of a clip, the newest of its window."""
    found = []
    for end in range(1, len(eyes) + 1):
        start = max(0, end - 10)
        here = np.ones(end - start, np.bool_)
        found.append(engine.head(eyes[start:end], ears[start:end], here, here).logits[-1].argmax())
    return np.array(found)


def errors(clips: Sequence[Path], folder: Path) -> Iterator[dict[str, Any]]:
    """A row for each precision of `lite`."""
    options = EngineOptions("lite", precision="fp32")
    reference = TorchEngine(options)
    material = [list(seconds_of(clip)) for clip in clips]
    exact = [features(reference, clip) for clip in material]
    truth = [labels(reference, *clip) for clip in exact]
    for precision in ("fp32", "fp16", "int8"):
        engine = OnnxEngine(options, graphs=graphs(options, precision, folder), exact=True)
        got = [features(engine, clip) for clip in material]
        same = [labels(engine, *clip) == known for clip, known in zip(got, truth, strict=True)]
        row: dict[str, Any] = {"precision": precision, "seconds": sum(map(len, same))}
        row["labels_kept"] = round(float(np.concatenate(same).mean()), 4)
        for at, network in enumerate(NETWORKS[:2]):
            a, b = (np.concatenate([clip[at] for clip in which]) for which in (exact, got))
            row[f"{network}_largest"] = float(np.abs(a - b).max() / np.abs(a).max())
            row[f"{network}_mean"] = float(np.abs(a - b).mean() / np.abs(a).mean())
        yield row


def features(engine: Any, clip: Sequence[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Grids and sounds of a clip's seconds."""
    eyes = np.concatenate([engine.visual(picture[None]) for picture, _ in clip])
    return eyes, np.stack([engine.audio(heard) for _, heard in clip])


def main(what: str, out: Path, rest: Sequence[str]) -> None:
    """Print each row as it comes, and keep them all."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        if what == "build":
            profiles = rest[1].split(",") if rest else ["lite"]
            found = table(profiles, Path(folder))
        else:
            found = errors([Path(clip) for clip in rest], Path(folder))
        for row in found:
            print(json.dumps(row), flush=True)
            rows.append(row)
    out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
