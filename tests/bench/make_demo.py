"""Make the demo clip from photographs and recordings whose licences allow it; see realtime/data/CREDITS.md.

    python tests/bench/make_demo.py DATA_FOLDER [OUTPUT.mp4]

DATA_FOLDER holds `photos/` and `audio/` with the files named below. Twenty-four seconds: a dog that is
seen, then seen and heard; a clock that is seen, then seen and heard, then only heard.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

RATE, FPS, WIDTH, HEIGHT = 16_000, 15, 480, 360
DOG, CLOCK, TRAIN = (
    "photos/Bark/coco2017_000000253386.jpg",
    "photos/Clock/coco2017_000000551780.jpg",
    "photos/Train_horn/coco2017_000000217400.jpg",
)
BARK, TICK, WAVES = (
    "audio/Bark/Environmental-soun__1-100032-A.ogg",
    "audio/Clock/Environmental-soun__1-21935-A.ogg",
    "audio/_bg/Environmental-soun__1-28135-A.ogg",
)
# (until second, photograph, sound)
SCENES: list[tuple[float, str, str | None]] = [
    (3.0, DOG, None),
    (9.0, DOG, BARK),
    (12.0, DOG, WAVES),
    (14.0, CLOCK, None),
    (20.0, CLOCK, TICK),
    (24.0, TRAIN, TICK),
]


def load(path: Path) -> NDArray[np.float32]:
    """16 kHz mono."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("flt", "mono", RATE)
        parts = [o.to_ndarray()[0] for f in container.decode(audio=0) for o in resampler.resample(f)]
    return np.concatenate(parts)


def loudest(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without its silent head and tail."""
    loud = np.flatnonzero(np.abs(wave) > 0.05 * np.abs(wave).max())
    return wave[loud[0] : loud[-1] + 1]


def main(data: Path, target: Path) -> None:
    """Write the clip."""
    rng = np.random.default_rng(1)
    pictures = {p: cv2.cvtColor(cv2.imread(str(data / p)), cv2.COLOR_BGR2RGB) for p in (DOG, CLOCK, TRAIN)}
    sounds = {s: loudest(load(data / s)) for s in (BARK, TICK, WAVES)}
    sound = rng.normal(0.0, 3e-4, int(SCENES[-1][0] * RATE)).astype(np.float32)
    frames: list[NDArray[np.uint8]] = []
    start = 0.0
    for end, picture, name in SCENES:
        if name is not None:
            length = int((end - start) * RATE)
            wave = np.tile(sounds[name], -(-length // len(sounds[name])))[:length]
            sound[int(start * RATE) : int(start * RATE) + length] += wave / np.abs(wave).max() * 0.5
        count = round((end - start) * FPS)
        frames += [view(pictures[picture], start + number / FPS) for number in range(count)]
        start = end
    with av.open(str(target), "w") as out:
        video = out.add_stream("libx264", rate=FPS, options={"crf": "30", "preset": "veryslow"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = out.add_stream("aac", rate=RATE, layout="mono")
        audio.bit_rate = 48_000
        for index, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for first in range(0, len(sound), 1024):
            block = av.AudioFrame.from_ndarray(
                sound[None, first : first + 1024], format="fltp", layout="mono"
            )
            block.sample_rate, block.pts, block.time_base = RATE, first, Fraction(1, RATE)
            out.mux(audio.encode(block))
        out.mux(audio.encode(None))


def view(image: NDArray[np.uint8], t_s: float) -> NDArray[np.uint8]:
    """A slow drift over the photograph, as from a camera on a shelf."""
    height, width = image.shape[:2]
    side_h = int(height * 0.86)
    side_w = min(width, int(side_h * WIDTH / HEIGHT))
    x = int((width - side_w) * (0.5 + 0.5 * np.sin(t_s * 0.5)))
    y = int((height - side_h) * (0.5 + 0.5 * np.cos(t_s * 0.37)))
    crop = image[y : y + side_h, x : x + side_w]
    return np.asarray(cv2.resize(crop, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    output = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("realtime/data/demo.mp4")
    output.parent.mkdir(parents=True, exist_ok=True)
    main(folder, output)
