"""What was decoded of a network stream, handed to its reader: in order, as much as is wanted, and counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..core.clock import NS_PER_S, Clock
from ..core.messages import SourceInfo, TimedAudio
from .account import Account, sound_ns
from .buffers import LiveBuffer
from .connect import NetworkOptions
from .downmix import Downmix
from .health import DeviceHealth
from .picture import FrameConverter
from .sounds import Resampler16k
from .steady import Sound


class Delivery:
    """One stream's pictures and sound, over all of its connections; called by one thread at a time.

    Attributes:
        info: what is known of the stream.

    Args:
        options: how many pictures are wanted, how much later they are shown.
        clock: the one clock.
        buffer: takes all of it.
        health: is told of everything that comes.
        account: where what has no place is counted.

    """

    def __init__(
        self,
        options: NetworkOptions,
        clock: Clock,
        buffer: LiveBuffer,
        health: DeviceHealth,
        account: Account,
    ) -> None:
        self.info = SourceInfo("", "network", live=True)
        self._options, self._clock = options, clock
        self._buffer, self._health, self._account = buffer, health, account
        self._resampler = Resampler16k()
        self._cut = 0
        self._shift_ns = round(options.sync_offset_ms * 1e6)
        self._last_ns = -1
        """Of the last picture handed on,"""
        self._next_ns = 0
        """and before this none is wanted."""
        self._size: tuple[int, int] | None = None

    def is_wanted(self, t_ns: int) -> bool:
        """Whether `picture` would hand on or count a picture of this instant, as it comes."""
        return not self._last_ns < t_ns + self._shift_ns < self._next_ns

    def picture(self, frame: Any, t_ns: int, converter: FrameConverter) -> None:
        """A picture of this instant of the stream."""
        self._health.data(self._clock.now_ns(), self.info.video, "picture")
        t_ns += self._shift_ns
        if t_ns < 0:
            return  # of before the start
        if t_ns <= self._last_ns:
            self._account.video.by_stamp_ns += round((frame.duration or 0) * frame.time_base * NS_PER_S)
            return
        if t_ns < self._next_ns:
            return
        self._last_ns = t_ns
        self._next_ns = t_ns + round(0.7 * NS_PER_S / self._options.wanted_fps)
        size = (frame.width, frame.height)
        if self._size is not None and size != self._size:
            self._health.say(f"picture is now {size[0]}x{size[1]}, was {self._size[0]}x{self._size[1]}")
        self._size = size
        self._buffer.put(converter.timed(t_ns, frame, keep_original=self._options.keep_original))

    def sound(self, frame: Any, t_ns: int, downmix: Downmix) -> None:
        """Sound from this instant of the stream on."""
        if not frame.samples or not frame.sample_rate:
            return
        self._health.data(self._clock.now_ns(), self.info.audio, "sound")
        if t_ns + frame.samples * NS_PER_S // frame.sample_rate <= 0:
            return  # of before the start
        samples, note = downmix.mono(frame)
        self._put(self._resampler.push(Sound(t_ns, frame.sample_rate, samples, note)))

    def flush(self) -> None:
        """A connection is over: what the resampler still holds."""
        self._put(self._resampler.flush())

    def _put(self, blocks: Iterator[tuple[int, Any]]) -> None:
        for position, samples in blocks:
            begin = max(0, -position)
            if begin < len(samples):
                self._buffer.put(TimedAudio(position + begin, samples[begin:]))
        self._account.audio.by_stamp_ns += sound_ns(self._resampler.cut - self._cut)
        self._cut = self._resampler.cut
        for status in self._resampler.told():
            self._buffer.put(replace(status, t_ns=self._clock.now_ns()))
