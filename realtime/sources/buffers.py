"""The hand-over from device threads to the reader: bounded by age and by bytes, oldest dropped first."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from ..core.clock import NS_PER_S, Clock
from ..core.messages import EndOfStream, Status, TimedAudio, TimedFrame
from .account import Account
from .base import Item


@dataclass(frozen=True, slots=True)
class BufferOptions:
    """Bounds of the hand-over.

    `max_age_s`: older pictures and sound are dropped. `max_frames`, `max_bytes`: of pictures waiting.
    `max_audio_s`: seconds of sound waiting. `alarm_share`, `alarm_window_s`: say so when more than this
    share was dropped over this long.
    """

    max_age_s: float = 3.0
    max_frames: int = 96
    max_bytes: int = 192 * 2**20
    max_audio_s: float = 4.0
    alarm_share: float = 0.10
    alarm_window_s: float = 10.0


class DropMeter:
    """Counts what was delivered and dropped, and raises an alarm above a share. Pure; ask with `look`."""

    def __init__(self, share: float, window_s: float) -> None:
        self.share = share
        self.window_ns = round(window_s * NS_PER_S)
        self.causes: dict[str, int] = {}
        self.dropped = 0
        self._start_ns: int | None = None
        self._kept = 0
        self._lost = 0
        self.alarmed = False

    def keep(self) -> None:
        """One item delivered."""
        self._kept += 1

    def drop(self, cause: str, count: int = 1) -> None:
        """`count` items dropped because of `cause`."""
        self._lost += count
        self.dropped += count
        self.causes[cause] = self.causes.get(cause, 0) + count

    def look(self, now_ns: int) -> str | None:
        """A line to show when an alarm begins or ends; None most of the time."""
        if self._start_ns is None:
            self._start_ns = now_ns
        if now_ns - self._start_ns < self.window_ns:
            return None
        total = self._kept + self._lost
        share = self._lost / total if total else 0.0
        self._start_ns, self._kept, self._lost = now_ns, 0, 0
        if share > self.share:
            self.alarmed = True
            worst = max(self.causes, key=lambda c: self.causes[c])
            return f"overloaded: {share:.0%} dropped in {self.window_ns / NS_PER_S:.0f} s ({worst})"
        if self.alarmed:
            self.alarmed = False
            return "no longer overloaded"
        return None


class LiveBuffer:
    """A queue that never blocks its writers.

    Pictures and sound have separate bounds, so a reader that is late loses old pictures, not sound. What
    was delivered and what was dropped goes into `account`.
    """

    def __init__(
        self, clock: Clock, options: BufferOptions | None = None, account: Account | None = None
    ) -> None:
        self.account = account or Account()
        self.options = options or BufferOptions()
        self.meter = DropMeter(self.options.alarm_share, self.options.alarm_window_s)
        self._clock = clock
        self._ready = threading.Condition()
        self._items: deque[tuple[int, Item]] = deque()
        self._frames = 0
        self._bytes = 0
        self._samples = 0
        self._end: EndOfStream | None = None

    def put(self, item: TimedFrame | TimedAudio | Status) -> None:
        """Append; drops the oldest of the same sort where a bound is passed."""
        now = self._clock.now_ns()
        with self._ready:
            if self._end is not None:
                return
            self._items.append((now, item))
            self._count(item, 1)
            self._bound(now)
            line = self.meter.look(now)
            if line is not None:
                self._items.append(
                    (now, Status("machine", "overloaded" if self.meter.alarmed else "running", line, now))
                )
            self._ready.notify()

    def end(self, end: EndOfStream) -> None:
        """Nothing more will come; what waits is still delivered, then `end` for ever."""
        with self._ready:
            if self._end is None:
                self._end = end
            self._ready.notify_all()

    def get(self, timeout_s: float) -> Item | None:
        """The oldest item, or None after `timeout_s`."""
        with self._ready:
            if not self._items and self._end is None and timeout_s > 0:
                self._ready.wait(timeout_s)
            self._bound(self._clock.now_ns())
            if self._items:
                _, item = self._items.popleft()
                self._count(item, -1)
                if isinstance(item, TimedFrame | TimedAudio):
                    self.meter.keep()
                    self.account.delivered(item)
                return item
            return self._end

    def _count(self, item: Item, sign: int) -> None:
        if isinstance(item, TimedFrame):
            self._frames += sign
            # All of it: where clips are made, the picture at its own size is nearly everything.
            parts = (item.image, item.preview, item.original)
            self._bytes += sign * sum(part.nbytes for part in parts if part is not None)
        elif isinstance(item, TimedAudio):
            self._samples += sign * len(item.samples)

    def _bound(self, now_ns: int) -> None:
        """Drop what is too old or too much; statuses only when there are absurdly many."""
        o = self.options
        horizon = now_ns - round(o.max_age_s * NS_PER_S)
        while self._items and self._items[0][0] < horizon and not isinstance(self._items[0][1], Status):
            _, item = self._items.popleft()
            self._dropped(item, "older than the reader may lag")
        while self._frames > o.max_frames or (self._bytes > o.max_bytes and self._frames > 1):
            self._drop_first(TimedFrame, "too many pictures waiting")
        if self._samples > o.max_audio_s * 16_000:
            self._drop_first(TimedAudio, "too much sound waiting")
        if len(self._items) > 4096:
            self._items.popleft()

    def _drop_first(self, kind: type[TimedFrame] | type[TimedAudio], cause: str) -> None:
        for k, (_, item) in enumerate(self._items):
            if isinstance(item, kind):
                del self._items[k]
                self._dropped(item, cause)
                return

    def _dropped(self, item: Item, cause: str) -> None:
        self._count(item, -1)
        self.meter.drop(cause)
        if isinstance(item, TimedFrame | TimedAudio):
            self.account.dropped_late(item)
