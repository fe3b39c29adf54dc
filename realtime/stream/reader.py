"""The reader thread: what a source gives is cut into segments and put before the networks.

    source ──▶ number guard ──▶ sinks that want media
                           └──▶ cutter ──▶ queue

It never runs a network and never waits for one: a slow machine must not look like a lost camera.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from ..core.clock import NS_PER_S, Clock
from ..core.messages import ClosedSegment, EndOfStream, Status, TimedAudio
from ..core.states import State
from ..sinks.base import Sink
from ..sources.base import Item, Source
from ..sources.detectors import NumberGuard
from .cutter import Cut, Cutter
from .queue import Failed, SegmentQueue

_READ_TIMEOUT_S = 0.05
_JOIN_TIMEOUT_S = 5.0


class Reader:
    """Reads one open source to its end, in a thread of its own.

    Args:
        source: open already; `close` closes it.
        queue: where pictures, segments, states and the end go; what goes wrong goes there, too.
        clock: what closed segments are stamped with.
        hop_s: grid of the segments.
        duration_s: end a live stream after so long.

    """

    def __init__(
        self,
        source: Source,
        queue: SegmentQueue,
        clock: Clock,
        *,
        hop_s: float,
        duration_s: float | None,
    ) -> None:
        self._source, self._queue, self._clock = source, queue, clock
        self.media: Sequence[Sink] = ()
        """Sinks that are given pictures and sound as they come; set before `start`."""
        info = source.info
        self._cutter = Cutter(live=info.live, video=bool(info.video), audio=bool(info.audio), hop_s=hop_s)
        self._limit_ns = round(duration_s * NS_PER_S) if info.live and duration_s is not None else None
        # Our own sources guard the sound before they resample it; one from outside may not.
        self._guard = NumberGuard()
        self._dropped_told = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="reader", daemon=True)

    @property
    def closed_to_ns(self) -> int:
        """Up to where the stream is cut."""
        return self._cutter.closed_to_ns

    @property
    def frames_per_segment(self) -> int:
        """Pictures per segment, from the next one on."""
        return self._cutter.frames_per_segment

    @frames_per_segment.setter
    def frames_per_segment(self, count: int) -> None:
        self._cutter.frames_per_segment = count

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more; safe from a signal handler and from any thread."""
        self._stop.set()

    def close(self) -> None:
        """Stop, close queue and source, and wait for the thread."""
        self.stop()
        self._queue.close()
        self._source.close()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_TIMEOUT_S)

    def _read(self) -> None:
        try:
            while not self._stop.is_set():
                item = self._source.read(_READ_TIMEOUT_S)
                now_ns = self._source.stream_now_ns()
                if item is not None:
                    self._take(item)
                if isinstance(item, EndOfStream):
                    return
                if now_ns is not None:
                    self._forward(self._cutter.advance(now_ns))
                    if self._limit_ns is not None and self._cutter.closed_to_ns >= self._limit_ns:
                        self._queue.put(EndOfStream(self._limit_ns, "end of --duration"))
                        return
        except BaseException as error:
            self._queue.put(Failed(error))

    def _take(self, item: Item) -> None:
        if isinstance(item, EndOfStream):
            self._forward(self._cutter.finish(item.t_ns))
            self._queue.put(item)
        elif isinstance(item, Status):
            self._queue.put(item)
        else:
            if isinstance(item, TimedAudio):
                item = self._guarded(item)
            for sink in self.media:
                sink.media(item)
            dropped = self._source.dropped
            self._cutter.note_dropped(dropped - self._dropped_told)
            self._dropped_told = dropped
            self._forward(self._cutter.push(item))
            late, account = self._cutter.late_ns, self._source.account
            if late["video"] or late["audio"]:
                account.video.came_late(late["video"])
                account.audio.came_late(late["audio"])
                late["video"] = late["audio"] = 0

    def _guarded(self, sound: TimedAudio) -> TimedAudio:
        """With silence for samples that are no numbers; when that begins and ends is told."""
        samples, damage = self._guard.clean(sound.samples)
        if damage is not None:
            state: State = "damaged" if self._guard.damaged else "running"
            self._queue.put(Status("sound", state, damage, self._cutter.closed_to_ns))
        return replace(sound, samples=samples)

    def _forward(self, cuts: Sequence[Cut]) -> None:
        for cut in cuts:
            if isinstance(cut, ClosedSegment):
                cut = replace(cut, at_ns=self._clock.now_ns())
            self._queue.put(cut)
