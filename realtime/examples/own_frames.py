"""Your own capture: push one second of frames and samples, get one answer. No device, no thread.

python -m avel_live.realtime.examples.own_frames RECORDING

Here a recording is decoded by hand; a robot's camera or a game engine does as well. In a notebook:

    from avel_live.realtime.examples.own_frames import answers, seconds
    for hop in answers(seconds("clip.mp4")): ...
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import av
import avel_live
import numpy as np
from numpy.typing import NDArray

RATE = 48_000
Second = tuple[list[NDArray[np.uint8]], NDArray[np.float32]]
"""Pictures [H, W, 3] RGB of any size and number, and mono sound [RATE] in [-1, 1)."""


def seconds(path: str) -> Iterator[Second]:
    """A recording, one second at a time: its sound is read first, its pictures as they are asked for."""
    sound = _sound(path)
    second = 0
    pictures: list[NDArray[np.uint8]] = []
    with av.open(path) as container:
        for frame in container.decode(video=0):
            while frame.time is not None and frame.time >= second + 1:
                yield pictures, sound[second * RATE : (second + 1) * RATE]
                second, pictures = second + 1, []
            pictures.append(frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False))
    yield pictures, sound[second * RATE : (second + 1) * RATE]


def _sound(path: str) -> NDArray[np.float32]:
    """All of it, [n] mono."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(path) as container:
        parts = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate([part.to_ndarray()[0] for part in parts])


def answers(source: Iterable[Second]) -> Iterator[avel_live.Hop]:
    """One answer a second; `hop.events` is what began and ended with it."""
    engine = avel_live.load_engine()
    try:
        localizer = avel_live.Localizer(engine)
        for pictures, sound in source:
            yield localizer.push(pictures, sound, rate=RATE)
    finally:
        engine.close()


if __name__ == "__main__":
    for hop in answers(seconds(sys.argv[1])):
        print(hop.segment.index, f"{hop.confidence:.0%}", *(f"{e.kind} {e.name}" for e in hop.events))
