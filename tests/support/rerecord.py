"""A clip played in a room and filmed there: through a loudspeaker, a room, a microphone and a camera.

    sound    loudspeaker's band and saturation → room, distance and microphone → the room's noise → AAC
    picture  a screen that is filmed, or the scene closer and askew → veil, light, defocus, shake, noise,
             Motion JPEG → H.264

The rooms are drawn as training draws them (`audio_augment`), from a seed that it does not use. The camera is
made here: that of training (`scenes.webcam_view`) draws every picture anew and pastes it into another one,
where a camera keeps its place and its settings. One seed makes one re-recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
from avel_live.model.sound import SAMPLE_RATE
from avel_live.model.training.lite.audio_augment import colour, noise, power, room_bank
from avel_live.model.training.lite.audio_data import decode
from numpy.typing import NDArray

Wave = NDArray[np.float32]
Image = NDArray[np.uint8]
ROOM_SEED = 28_001
"""Training's rooms are those of seed 0."""
FPS = 8
"""Twice as many as the program looks at."""
SIZES = ((320, 240), (384, 216))


def loudspeaker(rng: np.random.Generator, wave: Wave) -> Wave:
    """A small one: nothing below 100 to 300 Hz or above 5 to 7.5 kHz (12 dB an octave), driven a little."""
    from scipy.signal import butter, sosfilt

    low, high = rng.uniform(100, 300), rng.uniform(5_000, 7_500)
    heard = sosfilt(butter(2, (low, high), "bandpass", fs=SAMPLE_RATE, output="sos"), wave)
    drive = rng.uniform(0.3, 1.5) / (np.abs(heard).max() + 1e-6)
    return np.asarray(np.tanh(drive * heard), np.float32)


def played(rng: np.random.Generator, wave: Wave, room: Wave) -> Wave:
    """[S] at 16 kHz as a microphone in the room has it: 8 to 30 dB above its noise, −30 to −6 dB at most."""
    out = colour(rng, loudspeaker(rng, wave), room, 4.0)
    floor = np.sqrt(power(out)) * 10 ** (-rng.uniform(8, 30) / 20)
    out = out + np.float32(max(floor, 1e-4)) * noise(rng, len(out))
    peak = float(np.abs(out).max())
    return np.asarray(out * (10 ** (rng.uniform(-30, -6) / 20) / peak), np.float32)


_HIGH, _MARGIN = 288, 64
"""Of decoded pictures; of the field of noise. Pixels."""


class Camera:
    """One place and setting for a whole clip: from [H, W, 3] RGB to [height, width, 3]."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self.width, self.height = SIZES[rng.integers(len(SIZES))]
        self._corners = self._screen() if rng.random() < 0.6 else self._closer()
        self._wall = rng.uniform(5, 110) * rng.uniform(0.85, 1.15, 3)
        gain, gamma = rng.uniform(0.5, 1.2) * rng.uniform(0.88, 1.12, 3), rng.uniform(0.75, 1.4)
        veil = rng.uniform(0.0, 0.12)  # what a screen mirrors, or haze
        levels = np.linspace(0, 1, 256)[:, None] ** gamma * gain * (1 - veil) + veil
        self._levels = (255 * levels.clip(0, 1)).astype(np.uint8)[None]
        self._blur = rng.uniform(0.4, 2.0) if rng.random() < 0.6 else 0.0
        self._shake = rng.uniform(0.3, 1.2) if rng.random() < 0.4 else 0.0
        field = rng.standard_normal((self.height + _MARGIN, self.width + _MARGIN, 3), np.float32)
        self._grain = (field * np.float32(255 * rng.uniform(0.005, 0.04))).astype(np.int16)
        self._quality = int(rng.integers(30, 90))
        self._at = np.zeros(2)

    def _screen(self) -> NDArray[np.float64]:
        """Corners of a monitor that fills most of the picture, seen from a little aside."""
        size = np.array((self.width, self.height), np.float64)
        share = self._rng.uniform(0.65, 1.05)
        middle = size * (0.5 + self._rng.uniform(-0.07, 0.07, 2))
        square = np.array(((-1, -1), (1, -1), (1, 1), (-1, 1))) / 2
        return np.asarray(middle + square * size * share + self._rng.uniform(-0.05, 0.05, (4, 2)) * size)

    def _closer(self) -> NDArray[np.float64]:
        """Corners of the whole picture, of which 60 to 100 % of each side is in view, tilted by up to 5°."""
        size = np.array((self.width, self.height), np.float64)
        shares = self._rng.uniform(0.6, 1.0, 2)
        first = -size / shares * self._rng.uniform(0, 1 - shares)
        square = np.array(((0, 0), (1, 0), (1, 1), (0, 1)), np.float64)
        turn = np.deg2rad(self._rng.uniform(-5, 5))
        spun = np.array(((np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))))
        return np.asarray((first + square * size / shares - size / 2) @ spun.T + size / 2)

    def film(self, image: Image) -> Image:
        """The next picture; the hand moves on by a step."""
        height, width = image.shape[:2]
        if self._shake:
            self._at = 0.9 * self._at + self._rng.normal(0, self._shake, 2)
        corners = (self._corners + self._at).astype(np.float32)
        whole = np.array(((0, 0), (width, 0), (width, height), (0, height)), np.float32)
        look = cv2.getPerspectiveTransform(whole, corners)
        size, wall = (self.width, self.height), self._wall.tolist()
        view: Any = cv2.warpPerspective(image, look, size, flags=cv2.INTER_LINEAR, borderValue=wall)
        if self._blur:
            view = cv2.GaussianBlur(view, (0, 0), self._blur)
        noisy = cv2.add(cv2.LUT(view, self._levels).astype(np.int16), self._noise())
        _, data = cv2.imencode(
            ".jpg", noisy.clip(0, 255).astype(np.uint8)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self._quality]
        )
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1], np.uint8)

    def _noise(self) -> NDArray[np.int16]:
        """Of the sensor: another part of one large field for every picture."""
        top, left = self._rng.integers(0, _MARGIN, 2)
        return self._grain[top : top + self.height, left : left + self.width]


@lru_cache(maxsize=1)
def pictures(path: Path) -> tuple[Image, ...]:
    """What is on the screen every 1/FPS s, from the first picture's time to the last one's; 288 high."""
    shown: list[Image] = []
    with av.open(str(path)) as container:
        before: av.VideoFrame | None = None
        for frame in container.decode(video=0):
            if before is not None and len(shown) / FPS < float(frame.time or 0.0):
                width = round(before.width * _HIGH / before.height)
                image = before.reformat(width, _HIGH, "rgb24", interpolation="AREA").to_ndarray()
                while len(shown) / FPS < float(frame.time or 0.0):
                    shown.append(np.asarray(image, np.uint8))
            before = frame
        if before is not None:
            width = round(before.width * _HIGH / before.height)
            last = before.reformat(width, _HIGH, "rgb24", interpolation="AREA").to_ndarray()
            shown.append(np.asarray(last, np.uint8))
    return tuple(shown)


def rooms() -> Sequence[Wave]:
    """Those that training does not draw."""
    return room_bank(ROOM_SEED)


def rerecord(clip: Path, out: Path, seed: int, rooms: Sequence[Wave]) -> None:
    """Write one re-recording of a clip with picture and sound (MP4: H.264, AAC of 16 kHz, mono).

    Args:
        clip: with a picture and a sound that begin together.
        out: the file.
        seed: of all that is drawn.
        rooms: impulse responses at 16 kHz to draw from, the direct sound first.

    """
    rng = np.random.default_rng(seed)
    sound = played(rng, decode(clip).astype(np.float32) / 32768, rooms[rng.integers(len(rooms))])
    camera = Camera(rng)
    write(
        out, map(camera.film, pictures(clip)), sound, (camera.width, camera.height), int(rng.integers(22, 32))
    )


def write(out: Path, images: Iterator[Image], sound: Wave, size: tuple[int, int], crf: int) -> None:
    """Mux both; the file is there whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(".part")
    with av.open(str(part), "w", format="mp4") as container:
        video = cast("av.VideoStream", container.add_stream("libx264", rate=FPS))
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.options = {"crf": str(crf), "preset": "ultrafast", "threads": "1"}
        audio = cast("av.AudioStream", container.add_stream("aac", rate=SAMPLE_RATE, layout="mono"))
        audio.bit_rate = 48_000
        mux: Callable[[Any], None] = container.mux
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            mux(video.encode(frame))
        mux(video.encode(None))
        block = av.AudioFrame.from_ndarray(sound[None], "fltp", "mono")
        block.sample_rate, block.pts = SAMPLE_RATE, 0
        mux(audio.encode(block))
        mux(audio.encode(None))
    part.replace(out)
