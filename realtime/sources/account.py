"""The account of a source: what was in the input, second by second, and what became of it.

Every source fills its own, per track, in nanoseconds; the stream hands it on as `messages.Totals` (status,
summary, `end` record, reports). What is counted where:

    delivered     by the source, when it hands a picture or sound to the reader
    by stamp      where time stamps leave no place for it: overlaps, pictures before their predecessor
    late          whatever drops because a reader or the networks are behind
    undecodable   where packets go into a decoder and nothing comes out
    not chosen    tracks that were passed over, and those switched off
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..core.clock import NS_PER_S
from ..core.messages import SAMPLE_RATE, TimedAudio, TimedFrame, Totals, TrackTotals

_LONGEST_NS = NS_PER_S
"""A live picture stands for the time since the one before, at most this much: longer is a stall."""


@dataclass
class TrackAccount:
    """One kind of track, picture or sound. Written by one thread at a time."""

    delivered_ns: int = 0
    by_stamp_ns: int = 0
    late_ns: int = 0
    undecodable_ns: int = 0
    not_chosen_ns: int = 0

    def came_late(self, ns: int) -> None:
        """What had been delivered came too late after all."""
        ns = min(ns, self.delivered_ns)
        self.delivered_ns -= ns
        self.late_ns += ns

    def totals(self) -> TrackTotals:
        """As it stands, in seconds."""
        return TrackTotals(
            self.delivered_ns / NS_PER_S,
            self.by_stamp_ns / NS_PER_S,
            self.late_ns / NS_PER_S,
            self.undecodable_ns / NS_PER_S,
            self.not_chosen_ns / NS_PER_S,
        )


@dataclass
class Account:
    """Both kinds of track of one source."""

    video: TrackAccount = field(default_factory=TrackAccount)
    audio: TrackAccount = field(default_factory=TrackAccount)
    _frame_ns: int | None = field(default=None, repr=False)

    def totals(self) -> Totals:
        """As it stands, in seconds."""
        return Totals(self.video.totals(), self.audio.totals())

    def delivered(self, item: TimedFrame | TimedAudio) -> None:
        """A live source handed this to its reader."""
        if isinstance(item, TimedAudio):
            self.audio.delivered_ns += sound_ns(len(item.samples))
        else:
            self.video.delivered_ns += self._since_last(item)

    def dropped_late(self, item: TimedFrame | TimedAudio) -> None:
        """A live source dropped this, because its reader was behind."""
        if isinstance(item, TimedAudio):
            self.audio.late_ns += sound_ns(len(item.samples))
        else:
            self.video.late_ns += self._since_last(item)

    def _since_last(self, frame: TimedFrame) -> int:
        last, self._frame_ns = self._frame_ns, frame.t_ns
        return 0 if last is None else min(max(0, frame.t_ns - last), _LONGEST_NS)


def sound_ns(samples: int) -> int:
    """How long so many samples of a stream last."""
    return samples * NS_PER_S // SAMPLE_RATE
