"""What engines of TensorRT for RTX are built from in tests and measurements, without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from avel_live.calibration.int8.quantise import Quantiser
from avel_live.model.profiles import get_profile
from avel_live.model.runtime.base import EngineOptions, Network, Precision
from avel_live.model.runtime.precisions import graphs_in
from numpy.typing import NDArray

from .paper_files import paper_head, vgg19_file, vgg19_torchvision_file, vggish_file

GPUS: Final = ("sm86", "sm89", "sm120")
DEMO: Final = Path(__file__).resolve().parents[2] / "realtime/data/demo.mp4"


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


def options_for(profile: str, folder: Path, ear: Path | None = None) -> EngineOptions:
    """With random weights where the public ones are not at hand: sizes and times are the same.

    Args:
        profile: whose.
        folder: for those weights, and for the engine cache of the paper's profiles.
        ear: YAMNet's file.

    """
    if not profile.startswith("paper"):
        return EngineOptions(profile, precision="fp32", audio_weights=ear)
    folder.mkdir(parents=True, exist_ok=True)
    eye = ("vgg.h5", vgg19_file) if profile == "paper" else ("vgg.pth", vgg19_torchvision_file)
    makers = (
        (f"{profile}.safetensors", partial(paper_head, profile=profile)),
        eye,
        ("vggish.pth", vggish_file),
    )
    head, seeing, hearing = (
        folder / name if (folder / name).is_file() else make(folder / name) for name, make in makers
    )
    return EngineOptions(
        profile,
        precision="fp32",
        checkpoint=head,
        visual_weights=seeing,
        audio_weights=hearing,
        cache_dir=folder / "cache",
    )


def eight_bits(options: EngineOptions, network: Network, folder: Path) -> Path:
    """An S8S8 graph of an eye or an ear with every layer in it, from ranges seen on the demo's clip.

    Made once in a folder.
    """
    work = folder / f"{options.profile}-{network}"
    work.mkdir(parents=True, exist_ok=True)
    if (made := work / "int8.onnx").is_file():
        return made
    (graph,) = graphs_in(options, "fp32", [network]).values()
    demo = seconds_of(DEMO)
    inputs: list[Any] = [picture[None] for picture, _ in demo]
    if network == "audio":
        front = get_profile(options.profile).audio.front_end()
        inputs = [front(heard)[None] for _, heard in seconds_of(DEMO)]
    part = Quantiser(graph, inputs, work).build(work / "part.onnx", "minmax", "tensorrt")
    return part.replace(made)


def graphs(
    options: EngineOptions, precision: Precision, network: Network, folder: Path
) -> dict[Network, Path]:
    """The graph of a network; the head has none in INT8, as `avel calibrate int8` has it."""
    if precision != "int8":
        return graphs_in(options, precision, [network])
    return {} if network == "head" else {network: eight_bits(options, network, folder)}
