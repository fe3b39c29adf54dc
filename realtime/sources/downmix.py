"""Several channels to one, as the networks hear it: nothing cancels out unheard.

The weights are those of ITU-R BS.775. A recording made with one wire swapped (opposite phase), or a sound
field (ambisonics) added up like loudspeakers, would sum to silence: of a sound field the omnidirectional
channel is taken, and where a mix loses most of what its channels carry, the louder of them.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ..core.errors import SourceError

if TYPE_CHECKING:
    import av

# What each channel counts, before the sum is scaled to 1; surround channels 0.5.
_CHANNEL_WEIGHTS = {"FC": 1.0, "FL": 0.7071, "FR": 0.7071, "LFE": 0.0, "LFE2": 0.0}
_OTHER_CHANNEL = 0.5
_USUAL_CHANNELS = {
    2: ["FL", "FR"],
    6: ["FL", "FR", "FC", "LFE", "BL", "BR"],
    8: ["FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"],
}

_CANCELS = 0.35
"""A mix with less of the power that channels without relation would have is taken to cancel out."""
_WHOLE = 0.6
"""Above this share it no longer does."""
_MEMORY_S = 0.5
"""Over about how long power is compared."""
_AUDIBLE = 1e-8
"""Mean power (full scale 1) below which nothing can be said: −80 dB."""


class Downmix:
    """Decoded sound of one track → mono; remembers whether its channels cancel out.

    Args:
        channel: take only this one, from 1; None mixes all.

    """

    def __init__(self, channel: int | None = None) -> None:
        self._channel = channel
        self._power: list[float] = []
        self._mixed = self._apart = self._length = 0.0
        self._only: int | None = None

    def mono(self, frame: av.AudioFrame) -> tuple[NDArray[np.float32], str | None]:
        """[n] float32 in [-1, 1), and a line when there is something to say about it.

        Raises:
            SourceError: the channel asked for is not there.

        """
        channels, names = _planes(frame)
        if self._channel is not None:
            if self._channel > len(channels):
                raise SourceError(f"no channel {self._channel} in the sound: it has {len(channels)}")
            return np.ascontiguousarray(channels[self._channel - 1]), None
        if len(channels) == 1 or names[0] == "AMBI0":
            return np.ascontiguousarray(channels[0]), None
        weights = _weights(tuple(names))
        mixed = cast("NDArray[np.float32]", weights @ channels)
        line = self._compare(channels, weights, mixed, frame.samples / max(1, frame.sample_rate))
        return (mixed if self._only is None else np.ascontiguousarray(channels[self._only])), line

    def _compare(
        self,
        channels: NDArray[np.float32],
        weights: NDArray[np.float32],
        mixed: NDArray[np.float32],
        seconds: float,
    ) -> str | None:
        """Follow the power of the mix against that of its channels; a line when the choice changes."""
        power = [float(np.dot(channel, channel)) for channel in channels]
        if len(power) != len(self._power):
            self._power = [0.0] * len(power)
            self._mixed = self._apart = self._length = 0.0
            self._only = None
        keep = math.exp(-seconds / _MEMORY_S)
        self._power = [keep * old + new for old, new in zip(self._power, power, strict=True)]
        self._mixed = keep * self._mixed + float(np.dot(mixed, mixed))
        self._apart = keep * self._apart + sum(
            w * w * p for w, p in zip(weights.tolist(), power, strict=True)
        )
        self._length = keep * self._length + len(mixed)
        if self._apart < _AUDIBLE * self._length:
            return None
        share = self._mixed / self._apart
        if self._only is None and share < _CANCELS:
            self._only = int(
                np.argmax([p if w > 0 else 0.0 for w, p in zip(weights, self._power, strict=True)])
            )
            return (
                "the channels are in opposite phase and would cancel out (a swapped wire?): only the louder "
                f"one is heard, channel {self._only + 1} of {len(channels)}"
            )
        if self._only is not None and share > _WHOLE:
            self._only = None
            return "the channels no longer cancel out: all are heard again"
        return None


def _planes(frame: av.AudioFrame) -> tuple[NDArray[np.float32], list[str]]:
    """[channels, n] float32 in [-1, 1), and the channels' names."""
    data: NDArray[Any] = frame.to_ndarray()
    names = [channel.name for channel in frame.layout.channels]
    if "NONE" in names:  # the file does not say; the usual order
        names = _USUAL_CHANNELS.get(len(names), names)
    if not frame.format.is_planar:
        data = data.reshape(-1, len(names)).T
    if data.dtype.kind == "i":
        return data.astype(np.float32) / np.float32(-float(np.iinfo(data.dtype).min)), names
    if data.dtype.kind == "u":
        return (data.astype(np.float32) - 128) / np.float32(128), names
    return data.astype(np.float32, copy=False), names


@lru_cache(maxsize=16)
def _weights(names: tuple[str, ...]) -> NDArray[np.float32]:
    weights = np.array([_CHANNEL_WEIGHTS.get(name, _OTHER_CHANNEL) for name in names], np.float32)
    total = float(weights.sum())
    return weights / np.float32(total) if total else np.full(len(names), 1 / len(names), np.float32)
