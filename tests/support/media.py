"""Recordings made for tests: a flash and a beep at the same instants, in any container, rate and layout.

The picture is dark blue with a red square in its upper left corner (which way is up) and turns white
while the beep sounds. Nothing is downloaded and nothing is random.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

BEEP_HZ = 1000.0
BEEP_AMPLITUDE = 0.5
FLASH_S = 0.1

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg command")

# Container → codecs that can live in it and that FFmpeg's own encoders make.
_CODECS = {
    ".mp4": ("libx264", "aac"),
    ".mov": ("libx264", "aac"),
    ".mkv": ("libx264", "flac"),
    ".webm": ("libvpx", "libopus"),
    ".avi": ("mpeg4", "pcm_s16le"),
    ".ts": ("libx264", "aac"),
    ".wav": ("", "pcm_s16le"),
    ".flac": ("", "flac"),
    ".mp3": ("", "libmp3lame"),
    ".m4a": ("", "aac"),
}


@dataclass(frozen=True)
class Clip:
    """What `make_clip` is to make.

    `flashes` are the instants (s) at which flash and beep begin; None = half past every second.
    `frame_times` gives presentation times (s) for a variable frame rate instead of `fps`.
    `channels`: PyAV layout name; `beep_in`: indices of the channels that beep (None = all).
    """

    seconds: float = 3.0
    fps: float = 25.0
    size: tuple[int, int] = (160, 120)
    rate: int = 44_100
    channels: str = "stereo"
    beep_in: tuple[int, ...] | None = None
    flashes: tuple[float, ...] | None = None
    frame_times: tuple[float, ...] | None = None
    video: bool = True
    audio: bool = True
    audio_start_s: float = 0.0
    audio_end_s: float | None = None
    video_start_s: float = 0.0
    video_end_s: float | None = None
    audio_codec: str | None = None

    @property
    def flash_times(self) -> tuple[float, ...]:
        if self.flashes is not None:
            return self.flashes
        return tuple(k + 0.5 for k in range(int(self.seconds)))


def picture(clip: Clip, t_s: float) -> np.ndarray:
    """[H, W, 3] uint8 RGB at an instant."""
    width, height = clip.size
    image = np.empty((height, width, 3), np.uint8)
    lit = any(start - 1e-9 <= t_s < start + FLASH_S - 1e-9 for start in clip.flash_times)
    image[:] = 255 if lit else (0, 0, 64)
    image[: height // 4, : width // 4] = (255, 0, 0)
    return image


@lru_cache(maxsize=4)
def waveform(clip: Clip) -> np.ndarray:
    """[n] float32 mono: the whole clip's sound, silence before `audio_start_s` included."""
    rate = clip.rate
    t = np.arange(round(clip.seconds * rate)) / rate
    lit = np.zeros(len(t), bool)
    for start in clip.flash_times:
        lit |= (t >= start) & (t < start + FLASH_S)
    sound = BEEP_AMPLITUDE * np.sin(2 * np.pi * BEEP_HZ * t) * lit
    sound[t < clip.audio_start_s] = 0
    return sound.astype(np.float32)


def make_clip(path: Path, clip: Clip | None = None, **changes: object) -> Path:
    """Write a recording; the suffix chooses the container."""
    import av

    clip = Clip(**{**(clip.__dict__ if clip else {}), **changes})  # type: ignore[arg-type]
    video_codec, audio_codec = _CODECS[path.suffix]
    audio_codec = clip.audio_codec or audio_codec
    with av.open(str(path), "w") as out:
        video = audio = None
        if clip.video and video_codec:
            rate = Fraction(clip.fps).limit_denominator(1001)
            video = out.add_stream(video_codec, rate=rate)
            video.width, video.height = clip.size
            video.pix_fmt = "yuv420p"
            video.codec_context.thread_count = 1
            if video_codec == "libvpx":
                video.options = {"deadline": "realtime", "cpu-used": "8"}
            if video_codec == "libx264":
                video.options = {"preset": "ultrafast", "g": "12", "bf": "0"}
            if clip.frame_times is not None:
                video.codec_context.time_base = Fraction(1, 90_000)
        if clip.audio:
            audio = out.add_stream(audio_codec, rate=clip.rate, layout=clip.channels)
        # By time, so that the file is interleaved as real ones are.
        pending = []
        if video is not None:
            pending += [(t, "video") for t in _frame_times(clip)]
        if audio is not None:
            pending += [(t, "audio") for t in _block_times(clip)]
        for t, kind in sorted(pending):
            if kind == "video":
                out.mux(video.encode(_video_frame(clip, t, video.codec_context.time_base)))
            else:
                out.mux(audio.encode(_audio_frame(clip, t, audio)))
        for stream in (video, audio):
            if stream is not None:
                out.mux(stream.encode(None))
    return path


def rotated(source: Path, target: Path, degrees: int) -> Path:
    """A copy that says it is to be shown turned (display matrix), as telephones write it."""
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(source), "-c", "copy"]
    subprocess.run([*command, "-metadata:s:v:0", f"rotate={degrees}", str(target)], check=True, timeout=60)
    return target


def without_pictures(path: Path, target: Path, first: int, last: int) -> Path:
    """A copy of an AVI in which the pictures `first` … `last` of the track are noise."""
    data = bytearray(path.read_bytes())
    at, number = data.index(b"movi"), 0
    while (at := data.find(b"00dc", at + 4)) >= 0 and at < data.find(b"idx1"):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if first <= number <= last:
            data[at + 8 : at + 8 + size] = b"\xff" * size
        number += 1
        at += size
    target.write_bytes(bytes(data))
    return target


def with_display_matrix(source: Path, target: Path, matrix: tuple[float, ...]) -> Path:
    """A copy of an MP4 whose video track has the matrix a, b, c, d written into its header (`tkhd`)."""
    data = bytearray(source.read_bytes())
    a, b, c, d = (round(65536 * value) for value in matrix)
    at, written = data.find(b"tkhd"), 0
    while at >= 0:
        start = at + 4 + 4 + (20 if data[at + 4] == 0 else 32) + 8 + 8
        if int.from_bytes(data[start + 36 : start + 38], "big"):  # has a width: the picture
            data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
            written += 1
        at = data.find(b"tkhd", at + 4)
    assert written == 1
    target.write_bytes(data)
    return target


def truncated(source: Path, target: Path, keep: float) -> Path:
    """The first `keep` (0..1) of a file's bytes."""
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * keep)])
    return target


def _frame_times(clip: Clip) -> Iterable[float]:
    end = clip.seconds if clip.video_end_s is None else clip.video_end_s
    if clip.frame_times is not None:
        return clip.frame_times
    count = round(clip.seconds * clip.fps)
    return [k / clip.fps for k in range(count) if clip.video_start_s <= k / clip.fps < end]


_BLOCK_S = 0.02


def _block_times(clip: Clip) -> list[float]:
    end = clip.seconds if clip.audio_end_s is None else clip.audio_end_s
    count = round((end - clip.audio_start_s) / _BLOCK_S)
    return [clip.audio_start_s + k * _BLOCK_S for k in range(count)]


def _video_frame(clip: Clip, t: float, time_base: Fraction | None) -> object:
    import av

    frame = av.VideoFrame.from_ndarray(picture(clip, t), format="rgb24")
    base = Fraction(1, 90_000)
    frame.pts, frame.time_base = round(t / base), base
    return frame


def _audio_frame(clip: Clip, t: float, stream: object) -> object:
    import av

    context = stream.codec_context  # type: ignore[attr-defined]
    rate = clip.rate
    first, last = round(t * rate), round((t + _BLOCK_S) * rate)
    samples = np.zeros(last - first, np.float32)
    whole = waveform(clip)
    part = whole[first:last]
    samples[: len(part)] = part
    count = len(context.layout.channels)
    planes = np.zeros((count, len(samples)), np.float32)
    planes[list(range(count)) if clip.beep_in is None else list(clip.beep_in)] = samples
    frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=clip.channels)
    frame.sample_rate = rate
    frame.pts, frame.time_base = first, Fraction(1, rate)
    return frame
