"""Pictures of a track of a recording: when each is on show, and which of them are delivered.

`pictures` gives decoded frames their time on the stream, `Cover` keeps the account of what they cover, and
`shown` takes those that win a slot of their second.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from ...model.profiles import FRAMES_PER_SEGMENT
from ..core.clock import NS_PER_S
from .slots import SlotChooser, WonSlots
from .track import Damage, Track
from .units import Units

if TYPE_CHECKING:
    import av

MAX_STILL = 60
"""Seconds for which a picture without successor is believed to be still on show."""


@dataclass
class Picture:
    """A decoded picture, not yet converted: many are passed over. Times from the start of the file."""

    t_ns: int
    frame: av.VideoFrame
    end_ns: int
    after_hole: bool = False
    """The recording has a hole before it: nobody knows what was on show."""
    early: bool = False
    """It is on show already when the stream begins, at `t_ns`."""

    def later(self, ns: int) -> Picture:
        """The same picture, `ns` later."""
        if not ns:
            return self
        return Picture(self.t_ns + ns, self.frame, self.end_ns + ns, self.after_hole, self.early)


def pictures(track: Track, zero_s: float, seek: bool) -> Iterator[Picture]:
    """Pictures from the last one before `zero_s` (file time) on, with times from there."""
    zero = Fraction(zero_s).limit_denominator(1_000_000_000)
    rate = track.rate
    usual_ns = int(NS_PER_S / rate) if rate else 40_000_000
    last_ns: int | None = None
    zero_ns = round(zero * NS_PER_S)
    times, lengths = Units(track.stream.time_base, zero), Units(track.stream.time_base)
    begin_ns = round(((track.start_s or 0.0) - zero) * NS_PER_S)
    cover, holes = Cover(usual_ns), 0
    before: Picture | None = None
    for frame in track.frames(zero_s if seek else None):
        pts = frame.pts
        if pts is not None:
            t_ns = times.round_ns(pts)
        elif last_ns is not None:
            t_ns = last_ns + usual_ns
        else:
            t_ns = begin_ns
        duration = getattr(frame, "duration", 0)
        length_ns = lengths.round_ns(duration) if duration else usual_ns
        cover.frames += 1
        if last_ns is not None and t_ns <= last_ns:
            track.account.by_stamp_ns += length_ns
            continue  # broken time stamps: a picture can't be shown before its predecessor
        last_ns = t_ns
        past = track.holes_before(t_ns + zero_ns)
        picture = Picture(t_ns, frame, t_ns + length_ns, past > holes)
        holes = past
        if t_ns < 0:
            before = Picture(0, frame, picture.end_ns, early=True)
            continue
        if before is not None:
            yield before
            before = None
        cover.add(picture)
        yield picture
    if track.skipped_to is not None:
        track.skipped_to_ns = times.round_ns(track.skipped_to)
    cover.close(track, zero_ns)


@dataclass
class Cover:
    """Which part of a video track has pictures. `usual_ns`: how long one lasts where nothing says so."""

    usual_ns: int
    frames: int = 0
    _first_ns: int | None = None
    _end_ns: int = 0
    _shown_ns: int = 0
    _holes_ns: int = 0

    def add(self, picture: Picture) -> None:
        """The next picture: it is on show until the one after it comes."""
        if self._first_ns is None:
            self._first_ns = picture.t_ns
        if self._first_ns == picture.t_ns or picture.after_hole:
            self._end_ns = picture.t_ns
        gap_ns = picture.t_ns - self._end_ns
        if gap_ns > self.usual_ns:
            self._holes_ns += gap_ns
        self._shown_ns += picture.end_ns - self._end_ns
        self._end_ns = picture.end_ns

    def close(self, track: Track, zero_ns: int) -> None:
        """Put it into the track's account. A hole counts as undecodable as far as packets went in for it."""
        if track.first_pts is None or track.last_pts is None:
            before = after = 0
        else:
            begin = max(0, track.ns(track.first_pts) - zero_ns)
            end = max(0, track.ns(track.last_pts) - zero_ns)
            before = max(0, (end if self._first_ns is None else self._first_ns) - begin)
            after = max(0, end - self._end_ns) if self._first_ns is not None else 0
        unanswered_ns = max(0, track.fed - self.frames) * self.usual_ns
        if track.skipped_to is not None and self._first_ns is not None:
            self._shown_ns += max(0, track.ns(track.skipped_to) - zero_ns - self._end_ns)
        undecodable_ns = min(unanswered_ns, self._holes_ns + before + after)
        track.account.undecodable_ns += undecodable_ns
        track.account.delivered_ns += max(0, self._shown_ns - min(undecodable_ns, self._holes_ns))


def shown(
    source: Iterator[Picture], damage: Damage, *, every: bool, slots: int = FRAMES_PER_SEGMENT
) -> Iterator[Picture]:
    """What is delivered: pictures that take a slot of their second, and those still on show later.

    Others are left out before they cost a conversion (`every` delivers them all). A picture that stays
    until the next one is delivered again at the start of each whole second in between, except where
    damage explains the gap.
    """
    second = -1
    chooser: SlotChooser[Picture] | None = None
    last: Picture | None = None
    sent: Picture | None = None
    bad = 0

    def decided(won: list[WonSlots[Picture]]) -> Iterator[Picture]:
        nonlocal sent
        for one in won:
            if one.item is not sent:
                sent = one.item
                yield one.item

    for picture in source:
        if picture.early:
            last, bad, second = picture, damage.packets, -(-picture.t_ns // NS_PER_S) - 1
            continue
        now = picture.t_ns // NS_PER_S
        if now != second or chooser is None:
            if chooser is not None and not every:
                yield from decided(chooser.close())
            if last is not None and damage.packets == bad and not picture.after_hole:
                yield from _held(last, second + 1, now)
            second, chooser = now, SlotChooser(now * NS_PER_S, (now + 1) * NS_PER_S, slots)
        if every:
            yield picture
        else:
            yield from decided(chooser.push(picture.t_ns, picture))
        last, bad = picture, damage.packets
    if chooser is not None and last is not None:
        if not every:
            yield from decided(chooser.close())
        yield from _held(last, second + 1, -(-last.end_ns // NS_PER_S))


def _held(picture: Picture, first: int, end: int) -> Iterator[Picture]:
    """`picture` at the start of each second of [first, end), as long as a still is believed."""
    for second in range(first, min(end, first + MAX_STILL)):
        yield Picture(second * NS_PER_S, picture.frame, picture.end_ns)
