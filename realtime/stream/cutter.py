"""Cuts the timeline into segments: one second each, on whole seconds (or on the grid of a finer hop).

    TimedFrame, TimedAudio ──▶ SelectedFrame (a picture is known to count: the networks may start on it)
                           ──▶ ClosedSegment (its second is over and everything it waits for has come)

When a segment closes:
    recording   as soon as anything that starts at or after its end was delivered (items come in order
                of their start), or its last slot is decided and its sound complete
    live        as soon as picture and sound are complete; at the latest `GRACE_NS` after its end,
                whatever is missing then is missing

The remainder at the end becomes a `partial` segment when it is at least half a second long.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...model.profiles import FRAMES_PER_SEGMENT
from ..core.clock import NS_PER_S
from ..core.messages import (
    FRAME_SIZE,
    SAMPLE_RATE,
    ClosedSegment,
    Segment,
    SelectedFrame,
    TimedAudio,
    TimedFrame,
)
from ..sources.slots import SlotChooser, WonSlots

GRACE_NS = 300_000_000
"""How long a live segment waits beyond its end for what is still under way."""
MIN_PARTIAL_NS = NS_PER_S // 2
MIN_SOUND = 0.5
"""Share of a segment's samples below which its sound is not judged."""
MAX_HOLE_S = 60
"""A hole in the timeline longer than this (a suspended machine) is jumped over, not filled with
empty segments."""
_ROUNDING_NS = 1_000_000


Cut = SelectedFrame | ClosedSegment


@dataclass
class _Open:
    """A segment that is being filled."""

    key: int
    start_ns: int
    end_ns: int
    chooser: SlotChooser[TimedFrame]
    slots: int
    audio: NDArray[np.float32] = field(default_factory=lambda: np.zeros(SAMPLE_RATE, np.float32))
    received: int = 0
    sound_to: int = 0
    """16 kHz position up to which sound has come."""
    chosen: list[tuple[TimedFrame, int]] = field(default_factory=list)
    preview: NDArray[np.uint8] | None = None
    seen_end: bool = False
    """A picture of a later second has come."""

    def take(self, won: list[WonSlots[TimedFrame]]) -> list[SelectedFrame]:
        """Note decided slots; the pictures among them that are new."""
        new = []
        for one in won:
            if self.chosen and self.chosen[-1][0] is one.item:
                self.chosen[-1] = (one.item, self.chosen[-1][1] + one.count)
            else:
                self.chosen.append((one.item, one.count))
                new.append(SelectedFrame(self.key, one.item.image, one.item.t_ns))
        return new

    def close_video(self) -> list[SelectedFrame]:
        """Give what is undecided to the last picture."""
        return self.take(self.chooser.close())

    @property
    def video_complete(self) -> bool:
        return self.seen_end or self.chooser.decided

    @property
    def audio_complete(self) -> bool:
        return self.sound_to * NS_PER_S >= self.end_ns * SAMPLE_RATE


class Cutter:
    """Fills segments and closes them in order.

    Args:
        live: close by time rather than by what was delivered.
        video, audio: whether the source has such a track; what it has not is not waited for.
        hop_s: distance of segment starts when below one second; segments always last one second.

    """

    def __init__(self, *, live: bool, video: bool = True, audio: bool = True, hop_s: float = 1.0) -> None:
        self.frames_per_segment = FRAMES_PER_SEGMENT
        """Pictures per segment at most, for segments opened from now on: 16, 8, 4, 2 or 1."""
        self._live, self._expect_video, self._expect_audio = live, video, audio
        self._grid_ns = round(min(1.0, hop_s) * NS_PER_S)
        self._open: deque[_Open] = deque()
        self._next_key = 0
        self._last_frame_ns = -1
        self._delivered_ns = 0
        self._late = 0
        self._late_sound = 0
        self._dropped = 0
        self._frame_ns = 0
        self._full_ns: tuple[int, int] = (0, 0)
        """The segment closed last, where it had all the pictures that it takes; others of it are not late."""
        self.late_ns = {"video": 0, "audio": 0}
        """What came after its second was closed, so far; taken off by whoever keeps the account."""
        self.jumped_s = 0
        """Seconds jumped over so far."""

    @property
    def open_count(self) -> int:
        """Segments being filled; bounded."""
        return len(self._open)

    @property
    def closed_to_ns(self) -> int:
        """Stream time up to which every segment is closed."""
        return self._floor_ns()

    def note_dropped(self, count: int) -> None:
        """Pictures or blocks the source dropped; shown by the next segment that closes."""
        self._dropped += count

    def push(self, item: TimedFrame | TimedAudio) -> list[Cut]:
        """Take one item; what became known through it, in order."""
        return self._frame(item) if isinstance(item, TimedFrame) else self._sound(item)

    def advance(self, now_ns: int) -> list[Cut]:
        """Live: stream time has come to `now_ns`; segments that waited long enough close."""
        self._open_to(now_ns - GRACE_NS, [])
        cuts: list[Cut] = []
        while self._open and (now_ns >= self._open[0].end_ns + GRACE_NS or self._complete(self._open[0])):
            self._close_first(cuts)
        return cuts

    def finish(self, end_ns: int) -> list[Cut]:
        """The stream ended at `end_ns`: close every full segment, and the remainder if it is long enough."""
        cuts: list[Cut] = []
        self._open_to(end_ns - 1, cuts)
        while self._open:
            first = self._open[0]
            if first.end_ns <= end_ns + _ROUNDING_NS:
                self._close_first(cuts)
            elif end_ns - first.start_ns >= MIN_PARTIAL_NS and first.start_ns % NS_PER_S == 0:
                self._close_first(cuts, end_ns)
            else:
                self._open.popleft()
        return cuts

    # Filling --------------------------------------------------------------------------------------

    def _frame(self, frame: TimedFrame) -> list[Cut]:
        cuts: list[Cut] = []
        since_ns, self._frame_ns = frame.t_ns - self._frame_ns, frame.t_ns
        if frame.t_ns <= self._last_frame_ns or frame.t_ns < self._floor_ns():
            if self._full_ns[0] <= frame.t_ns < self._full_ns[1] and frame.t_ns > self._last_frame_ns:
                self._last_frame_ns = frame.t_ns
                return cuts
            self._late += 1
            self.late_ns["video"] += min(max(0, since_ns), NS_PER_S)
            return cuts
        self._last_frame_ns = frame.t_ns
        self._open_to(frame.t_ns, cuts)
        for segment in self._open:
            if frame.t_ns >= segment.end_ns:
                segment.seen_end = True
            elif frame.t_ns >= segment.start_ns:
                segment.preview = frame.preview
                cuts += segment.take(segment.chooser.push(frame.t_ns, frame))
        self._delivered(frame.t_ns, cuts)
        return cuts

    def _sound(self, block: TimedAudio) -> list[Cut]:
        cuts: list[Cut] = []
        start_ns = block.position * NS_PER_S // SAMPLE_RATE
        end = block.position + len(block.samples)
        self._open_to((end * NS_PER_S - 1) // SAMPLE_RATE, cuts)
        if self._open:
            late = self._open[0].start_ns * SAMPLE_RATE // NS_PER_S - block.position
            late = min(len(block.samples), max(0, late)) if self._next_key > 1 else 0
            self._late_sound += late
            self.late_ns["audio"] += late * NS_PER_S // SAMPLE_RATE
        for segment in self._open:
            origin = segment.start_ns * SAMPLE_RATE // NS_PER_S
            first, last = max(block.position, origin), min(end, origin + SAMPLE_RATE)
            if first < last:
                segment.audio[first - origin : last - origin] = block.samples[
                    first - block.position : last - block.position
                ]
                segment.received += last - first
            segment.sound_to = max(segment.sound_to, end)
        self._delivered(start_ns, cuts)
        return cuts

    def _floor_ns(self) -> int:
        """Start of the oldest segment that can still take something."""
        return self._open[0].start_ns if self._open else self._next_key * self._grid_ns

    def _open_to(self, t_ns: int, cuts: list[Cut]) -> None:
        """Open every segment that begins at or before `t_ns`."""
        ahead_s = t_ns // NS_PER_S - self._next_key * self._grid_ns // NS_PER_S
        if ahead_s > MAX_HOLE_S:
            while self._open:
                self._close_first(cuts)
            self.jumped_s += ahead_s
            self._next_key = t_ns // NS_PER_S * (NS_PER_S // self._grid_ns)
        while self._next_key * self._grid_ns <= t_ns:
            start = self._next_key * self._grid_ns
            end = start + NS_PER_S
            chooser = SlotChooser[TimedFrame](start, end, self.frames_per_segment)
            self._open.append(_Open(self._next_key, start, end, chooser, self.frames_per_segment))
            self._next_key += 1

    # Closing --------------------------------------------------------------------------------------

    def _delivered(self, start_ns: int, cuts: list[Cut]) -> None:
        self._delivered_ns = max(self._delivered_ns, start_ns)
        while self._open and self._complete(self._open[0]):
            self._close_first(cuts)

    def _complete(self, segment: _Open) -> bool:
        # A live pair of devices delivers each in its own order: only far-away items prove anything.
        slack = 2 * GRACE_NS if self._live else 0
        if self._delivered_ns >= segment.end_ns + slack:
            return True
        if not (self._expect_video or self._expect_audio):
            return False
        return (not self._expect_video or segment.video_complete) and (
            not self._expect_audio or segment.audio_complete
        )

    def _close_first(self, cuts: list[Cut], end_ns: int | None = None) -> None:
        segment = self._open.popleft()
        if segment.chooser.decided:
            self._full_ns = segment.start_ns, segment.end_ns
        cuts += segment.close_video()
        frames = [frame for frame, _ in segment.chosen]
        counts = np.array([count for _, count in segment.chosen], np.float32)
        length = SAMPLE_RATE if end_ns is None else (end_ns - segment.start_ns) * SAMPLE_RATE // NS_PER_S
        shape = (0, FRAME_SIZE, FRAME_SIZE, 3)
        cuts.append(
            ClosedSegment(
                segment.key,
                Segment(
                    index=segment.start_ns // NS_PER_S,
                    start_ns=segment.start_ns,
                    end_ns=segment.end_ns if end_ns is None else end_ns,
                    frames=np.stack([f.image for f in frames]) if frames else np.zeros(shape, np.uint8),
                    frame_weights=counts / np.float32(segment.slots),
                    audio=segment.audio,
                    audio_fraction=segment.received / SAMPLE_RATE,
                    video=bool(frames),
                    sound=segment.received >= max(1, MIN_SOUND * length),
                    frames_dropped=self._dropped,
                    frames_late=self._late,
                    audio_dropped=self._late_sound,
                    preview=segment.preview,
                    partial=end_ns is not None,
                    frame_ns=tuple(frame.t_ns for frame in frames),
                ),
            )
        )
        self._dropped = self._late = self._late_sound = 0
