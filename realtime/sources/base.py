"""What every source is: something that is opened, read on one timeline, and closed.

A source delivers items on the *common timeline*: instants count from the start of the stream, sound is
16 kHz mono and addressed by sample position. A file derives them from presentation times; a live pair
of devices through `realtime.sources.clocks`, which fits the two clocks. The reader sees no difference.

    file       waits for the reader and never drops (`info.live` is False)
    live       drops the oldest when the reader is late, counts it, and says so with a Status
"""

from __future__ import annotations

from functools import cached_property

from ..core.messages import EndOfStream, SourceInfo, Status, TimedAudio, TimedFrame
from .account import Account

Item = TimedFrame | TimedAudio | Status | EndOfStream


class Source:
    """A stream of pictures and sound on one timeline: a subclass gives `info`, `open`, `read` and `close`."""

    info: SourceInfo
    """Complete once `open` has returned; `name` and `live` at once."""

    dropped: int = 0
    """Frames and blocks dropped so far because the reader was late."""

    behind_ns: int = 0
    """How far a recording that keeps to a speed is behind it, because its reader is late."""

    @cached_property
    def account(self) -> Account:
        """What became of everything in the input, per track; filled while the source is read."""
        return Account()

    def open(self) -> None:
        """Open devices or files and start delivering.

        Raises:
            SourceError: it can't be opened; the message names candidates and the fix.

        """
        raise NotImplementedError

    def read(self, timeout_s: float) -> Item | None:
        """The next item, in order of delivery; None when nothing came within `timeout_s`.

        After `EndOfStream` every further call returns it again.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Release everything; safe to call twice and from another thread. Unblocks `read`."""
        raise NotImplementedError

    def stream_now_ns(self) -> int | None:
        """Where the stream's present is: live sources never wait for what is older than this minus a
        grace period. None for sources that wait (files).
        """
        return None

    @property
    def skew_ms(self) -> float | None:
        """Measured camera time minus microphone time; None where one clock drives both."""
        return None

    @property
    def drift_ppm(self) -> float | None:
        """The microphone's clock against the machine's, positive when slow; None without a microphone."""
        return None
