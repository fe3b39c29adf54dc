"""Continuous encoding of a stream into small packets, and the muxing of some of them into an MP4.

Video: H.264 at most 640 pixels wide, no B-frames, a keyframe at least every second: a clip can begin at
any second without encoding anything again. Sound: AAC, 16 kHz mono, 64 kbit/s. Both carry stream time, so
picture and sound of a clip stand to each other exactly as they did in the stream.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ...core.clock import NS_PER_S
from ...core.errors import OutputError
from ...core.messages import SAMPLE_RATE, TimedAudio

MAX_SIDE: Final = 640
GOP_NS: Final = NS_PER_S
VIDEO_RATE: Final = 90_000
VIDEO_BITS_PER_S: Final = 2_000_000
"""Ceiling of the video's bit rate, over a one-second buffer; quiet scenes need a tenth of it."""
AUDIO_BITS_PER_S: Final = 64_000
AAC_FRAME: Final = 1024
MAX_SILENCE: Final = 5 * SAMPLE_RATE
"""Holes in the sound up to this many samples are filled with silence; beyond it the sound starts anew."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One encoded picture or 64 ms of sound; `ticks` count `rate` per second from the stream's start."""

    kind: Literal["video", "audio"]
    ticks: int
    rate: int
    key: bool
    data: bytes

    @property
    def time_s(self) -> float:
        """Instant on the stream's timeline."""
        return self.ticks / self.rate


class VideoEncoder:
    """Pictures in, packets out at once. The first picture decides the size; others are fitted in.

    Args:
        max_fps: pictures that follow sooner than this allows are left out.

    """

    def __init__(self, max_fps: float) -> None:
        self._spacing_ns = round(0.9 * NS_PER_S / max_fps)
        self._fps = Fraction(max_fps).limit_denominator(1000)
        self._container: Any = None
        self.stream: Any = None
        """Template for muxing; None until the first picture."""
        self._last_ns: int | None = None
        self._key_ns = 0
        self._size = (0, 0)

    def encode(self, t_ns: int, image: NDArray[np.uint8]) -> Iterator[Packet]:
        """One picture, [H, W, 3] RGB."""
        import av
        from av.video.frame import PictureType

        if self._last_ns is not None and t_ns - self._last_ns < self._spacing_ns:
            return
        if self.stream is None:
            self._open(image)
        frame = av.VideoFrame.from_ndarray(self._fit(image), format="rgb24")
        frame.pts = t_ns * VIDEO_RATE // NS_PER_S
        frame.time_base = Fraction(1, VIDEO_RATE)
        if self._last_ns is None or t_ns - self._key_ns >= GOP_NS:
            frame.pict_type = PictureType.I
            self._key_ns = t_ns
        self._last_ns = t_ns
        for packet in self.stream.codec_context.encode(frame):
            yield Packet("video", packet.pts, VIDEO_RATE, packet.is_keyframe, bytes(packet))

    def _open(self, image: NDArray[np.uint8]) -> None:
        import av

        height, width = image.shape[:2]
        scale = min(1.0, MAX_SIDE / max(width, height))
        self._size = (max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2))
        options = {
            "preset": "superfast",
            "tune": "zerolatency",
            "crf": "25",
            "maxrate": str(VIDEO_BITS_PER_S),
            "bufsize": str(VIDEO_BITS_PER_S),
            "forced-idr": "1",
            "threads": "1",
        }
        # Never muxed: a container only because it gives the encoder the form that MP4 wants.
        self._container = av.open(io.BytesIO(), "w", format="mp4")
        try:
            self.stream = self._container.add_stream("libx264", rate=self._fps, options=options)
        except ValueError as error:
            raise OutputError("clips: this build of PyAV has no H.264 encoder (libx264)") from error
        self.stream.width, self.stream.height = self._size
        self.stream.pix_fmt = "yuv420p"
        self.stream.codec_context.time_base = Fraction(1, VIDEO_RATE)
        self.stream.codec_context.gop_size = 10_000  # we say where keyframes are
        self._container.start_encoding()

    def _fit(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture at the encoder's size, on black where its proportions differ."""
        import cv2

        height, width = image.shape[:2]
        if (width, height) == self._size:
            return np.ascontiguousarray(image)
        scale = min(self._size[0] / width, self._size[1] / height)
        inner = (
            min(self._size[0], round(width * scale)),
            min(self._size[1], round(height * scale)),
        )
        if abs(inner[0] - self._size[0]) <= 2 and abs(inner[1] - self._size[1]) <= 2:
            inner = self._size
        small = cv2.resize(image, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        if inner == self._size:
            return np.asarray(small, np.uint8)
        canvas = np.zeros((self._size[1], self._size[0], 3), np.uint8)
        x, y = (self._size[0] - inner[0]) // 2, (self._size[1] - inner[1]) // 2
        canvas[y : y + inner[1], x : x + inner[0]] = small
        return canvas


class AudioEncoder:
    """Blocks of sound in, packets out; holes become silence."""

    def __init__(self) -> None:
        self._container: Any = None
        self.stream: Any = None
        """Template for muxing; None until the first block."""
        self._waiting = np.zeros(0, np.float32)
        self._position = 0
        """Stream position of the first waiting sample."""
        self._finished = False

    def encode(self, block: TimedAudio) -> Iterator[Packet]:
        """One block; it must not begin before the end of the one before."""
        missing = block.position - (self._position + len(self._waiting))
        if self.stream is None or missing > MAX_SILENCE or missing < 0:
            self._open()
            self._position = block.position
            self._waiting = np.zeros(0, np.float32)
            missing = 0
        parts = [self._waiting, np.zeros(missing, np.float32), block.samples.astype(np.float32, copy=False)]
        waiting = np.concatenate(parts)
        whole = len(waiting) // AAC_FRAME * AAC_FRAME
        for first in range(0, whole, AAC_FRAME):
            yield from self._frame(waiting[first : first + AAC_FRAME])
        self._waiting = waiting[whole:]

    def finish(self) -> Iterator[Packet]:
        """What is left, padded with silence."""
        if self.stream is None or self._finished:
            return
        self._finished = True
        if len(self._waiting):
            yield from self._frame(np.pad(self._waiting, (0, AAC_FRAME - len(self._waiting))))
            self._waiting = np.zeros(0, np.float32)
        yield from self._packets(None)

    def _frame(self, samples: NDArray[np.float32]) -> Iterator[Packet]:
        import av

        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="fltp", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        frame.pts = self._position
        frame.time_base = Fraction(1, SAMPLE_RATE)
        self._position += AAC_FRAME
        yield from self._packets(frame)

    def _packets(self, frame: Any) -> Iterator[Packet]:
        for packet in self.stream.codec_context.encode(frame):
            yield Packet("audio", packet.pts, SAMPLE_RATE, True, bytes(packet))

    def _open(self) -> None:
        import av

        self._container = av.open(io.BytesIO(), "w", format="mp4")
        self.stream = self._container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        self.stream.codec_context.bit_rate = AUDIO_BITS_PER_S
        self._container.start_encoding()


def write_mp4(path: Path, packets: Sequence[Packet], start_s: float, video: Any, audio: Any) -> None:
    """Mux packets into a file that begins at `start_s` of the stream.

    Args:
        path: an existing, private, empty file.
        packets: video from a keyframe on; sound from one packet before `start_s` (it primes the decoder).
        start_s: instant that becomes time 0.
        video: template of the video, None without any.
        audio: template of the sound, None without any.

    Raises:
        OSError: the file can't be written.

    """
    import av

    with av.open(str(path.absolute()), "w", format="mp4", options={"movflags": "faststart"}) as out:
        streams = {
            kind: out.add_stream_from_template(template)
            for kind, template in (("video", video), ("audio", audio))
            if template is not None and any(packet.kind == kind for packet in packets)
        }
        for packet in sorted(packets, key=lambda p: p.time_s):
            if packet.kind not in streams:
                continue
            muxed = av.Packet(packet.data)
            muxed.time_base = Fraction(1, packet.rate)
            muxed.pts = muxed.dts = packet.ticks - round(start_s * packet.rate)
            muxed.is_keyframe = packet.key
            muxed.stream = streams[packet.kind]
            out.mux(muxed)
