"""Clips, cut out of the stream as it goes by.

The stream is encoded all the time into a ring in memory; a clip is cut out of the ring when its event is
over, so that nothing has to be foreseen. Events that touch share one clip. Beside `STEM.mp4` stand
`STEM.json` (events, times, source) and `STEM.jpg` (the surest moment, with the attention map).

A clip is at most `max_s` long. What comes before and after its events gives way to them; only an event that
is longer by itself is cut off. An event may be open for long after its last second (`--hold`): then the clip
is set aside until its end is told, or until it goes on.

Memory: the ring holds `pre_s` plus what a decision may lag behind (settling, hold, hop), at the bit rates
of `codec` at most 0.26 MB a second: 4 MB with the defaults, 20 MB while an event of a minute is open, and as
much again for one that is set aside. Pictures waiting to be encoded are at most `QUEUED_FRAMES`.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ...core.clock import NS_PER_S
from ...core.messages import Event, Hop, StreamEnd, StreamStart, TimedAudio, TimedFrame
from ...core.states import State
from ..base import About, Clip, Ongoing, Sink, words
from ..room import Room, over
from .beside import clip_record, stem_of, thumbnail
from .codec import AUDIO_BITS_PER_S, VIDEO_BITS_PER_S, AudioEncoder, VideoEncoder, write_mp4
from .openclip import OpenClip
from .ring import ClipRing
from .store import Budget, ClipStore

if TYPE_CHECKING:
    from . import ClipOptions

QUEUED_FRAMES: Final = 12
FLUSH_S: Final = 20.0
"""How long the end waits for the clip in the making."""
_LAG_S: Final = 12.0
"""The most a decision may be behind the stream beside settling: hold, shortest event, lateness."""
_SPARE: Final = 1.3
"""Room in the byte limit for bursts above the mean bit rate."""


_Item = TimedFrame | TimedAudio | Ongoing | Hop | StreamEnd


class ClipSink(Sink):
    """Records clips, in a thread of its own.

    A live stream that is too fast for the encoder loses pictures (counted and reported), a recording waits.

    Args:
        options: what and where; `dir` is set.
        about: the stream. Told about trouble and what was dropped.

    Raises:
        OutputError: the folder can't be written.
        UsageError: a budget that can't be read.

    """

    def __init__(self, options: ClipOptions, about: About) -> None:
        assert options.dir is not None
        self._options, self._about, self._folder = options, about, options.dir
        self._store = ClipStore(options.dir, Budget.parse(options.keep), sweep=about.replaces is None)
        self._start: StreamStart | None = None
        self._zero_s: float | None = None
        self._queue: deque[_Item] = deque()
        self._changed = threading.Condition()
        self._frames_waiting = 0
        self._live = True
        self._room = Room(about.wait_s, about.stop, about.clock)
        self._closing = self._broken = False
        self.written = 0
        """Clips written."""
        self.dropped = 0
        """Pictures the encoder was too slow for."""
        rate = (VIDEO_BITS_PER_S + AUDIO_BITS_PER_S) / 8
        self.most_bytes = round(_SPARE * rate * (options.max_s + options.pre_s + options.post_s + _LAG_S))
        """The ring never holds more."""
        self.ring = ClipRing(self.most_bytes)
        self._video = VideoEncoder(options.max_fps)
        self._audio = AudioEncoder()
        self._clip: OpenClip | None = None
        self._decided_s = 0.0
        self._settle_s = 0.0
        self._tell_clip: Callable[[Clip], None] = lambda _clip: None
        self._thread = threading.Thread(target=self._run, name="clips", daemon=True)
        self._thread.start()

    # The pipeline's side --------------------------------------------------------------------------

    def start(self, start: StreamStart) -> None:
        """Note how far decisions lag behind."""
        self._start, self._zero_s = start, start.wall_clock
        self._live = start.source.live
        self._settle_s = start.settle + start.hop_s

    def tell_clips(self, tell: Callable[[Clip], None]) -> None:
        """Say every clip that is written to `tell`."""
        self._tell_clip = tell

    def resume(self, ongoing: Ongoing) -> None:
        """An event that is open gets its clip, from here on."""
        with self._changed:
            self._append(ongoing)

    def media(self, item: TimedFrame | TimedAudio) -> None:
        """Queue it for the encoder. Only a recording ever waits here."""
        dropped = 0
        with self._changed:
            if isinstance(item, TimedFrame):
                if not self._live:
                    self._room.wait(
                        self._changed, lambda: self._closing or self._frames_waiting < QUEUED_FRAMES
                    )
                if self._frames_waiting >= QUEUED_FRAMES:
                    self.dropped += 1
                    dropped = self.dropped
                else:
                    self._frames_waiting += 1
                    self._append(item)
            else:
                self._append(item)
        if dropped and str(dropped).strip("0") == "1":
            self._say("dropping", f"the encoder is too slow: {dropped} pictures left out of clips so far")

    def hop(self, record: Hop) -> None:
        """Queue it for the recorder."""
        with self._changed:
            self._append(record)

    def end(self, end: StreamEnd) -> None:
        """Queue it; an open clip ends with the stream."""
        with self._changed:
            self._append(end)

    def close(self) -> None:
        """Write what is open, at most for `flush_s`; safe to call twice."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if not self._about.flush(over(self._thread), FLUSH_S):
            self._say("failed", f"{self._folder}: the clip in the making was not finished in time")

    def _append(self, item: _Item) -> None:
        if not self._closing:
            self._queue.append(item)
            self._changed.notify_all()

    # The recorder's own thread --------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    self._changed.wait()
                if not self._queue:
                    break
                item = self._queue.popleft()
                if isinstance(item, TimedFrame):
                    self._frames_waiting -= 1
                    self._changed.notify_all()
            if self._broken:
                continue
            try:
                self._take(item)
            except BaseException as error:  # whatever the encoder or the disk says stays here
                self._broken = not isinstance(error, OSError)
                self._clip = None
                state: State = "failed" if self._broken else "failing"
                self._say(state, f"{self._folder}: {words(error)}")
        if not self._broken:
            try:
                self._finish()
            except BaseException as error:
                self._say("failed", f"{self._folder}: {words(error)}")

    def _take(self, item: _Item) -> None:
        if isinstance(item, TimedFrame):
            image = item.image if item.original is None else item.original
            for packet in self._video.encode(item.t_ns, image):
                self.ring.push(packet)
        elif isinstance(item, TimedAudio):
            for packet in self._audio.encode(item):
                self.ring.push(packet)
        elif isinstance(item, Ongoing):
            for event in item.events:
                self._event(dataclasses.replace(event, kind="start"))
        elif isinstance(item, Hop):
            self._zero_s = self._zero_s if item.wall_clock is None else item.wall_clock
            for event in item.events:
                self._event(event)
            self._decided_s = item.segment.end_ns / NS_PER_S
            if self._clip is not None:
                self._clip.look(item)
        else:
            self._zero_s = self._zero_s if item.wall_clock is None else item.wall_clock
            for event in item.last_events:
                self._event(event)
            self._finish()
        self._cut_if_over()
        oldest_s = self._decided_s - self._options.pre_s - self._settle_s - _LAG_S
        if self._clip is not None and self._clip.aside is None:
            oldest_s = min(oldest_s, self._clip.first_s - self._options.pre_s)
        self.ring.keep_from(oldest_s - 1.1)  # and the keyframe before it

    def _event(self, event: Event) -> None:
        clip = self._clip
        if clip is not None and event.id in clip.events:
            if event.kind == "retract":
                del clip.events[event.id]
                if not clip.events:
                    self._clip = None
            else:
                clip.events[event.id] = event
            return
        if event.kind != "start":
            return
        if clip is not None:
            if clip.has_room_for(event):
                clip.events[event.id] = event
                return
            self._write(clip)
        self._clip = OpenClip(self._options, {event.id: event})

    def _cut_if_over(self) -> None:
        clip = self._clip
        if clip is None:
            return
        if clip.over_s is not None:
            if max(self.ring.newest_s, self._decided_s) >= clip.window()[1]:
                self._write(clip)
            return
        if self._decided_s < clip.first_s + self._options.max_s:
            return
        if clip.aside is None:
            clip.aside = self.ring.since(max(0.0, clip.first_s - self._options.pre_s))
        if clip.fills_up(self._decided_s):
            self._write(clip)

    def _finish(self) -> None:
        for packet in self._audio.finish():
            self.ring.push(packet)
        if self._clip is not None:
            self._write(self._clip)

    def _write(self, clip: OpenClip) -> None:
        self._clip = None
        start_s, end_s = clip.window()
        truncated = clip.over_s is None or clip.over_s > end_s
        ring = clip.aside or self.ring
        begin_s, packets = ring.cut(start_s, end_s)
        if not packets:
            return
        first = min(clip.events.values(), key=lambda event: event.start_s)
        with self._store.clip(stem_of(first, self._about.name, self._zero_s)) as (stem, path):
            write_mp4(path, packets, begin_s, self._video.stream, self._audio.stream)
            picture = thumbnail(path, clip, begin_s)
        if picture is not None:
            self._store.write(f"{stem}.jpg", picture)
        end_s = min(end_s, ring.newest_s)
        assert self._start is not None
        record = clip_record(clip, self._start, begin_s, end_s, zero_s=self._zero_s, truncated=truncated)
        names = {"clip": f"{stem}.mp4", "thumbnail": None if picture is None else f"{stem}.jpg"}
        self._store.write_json(f"{stem}.json", {"schema": 1, **names, "stream": self._about.name, **record})
        self.written += 1
        self._store.prune(self._about.wall_s(), newest=stem)
        shown = None if picture is None else self._folder.absolute() / f"{stem}.jpg"
        video = self._folder.absolute() / f"{stem}.mp4"
        self._tell_clip(Clip(video, shown, begin_s, end_s, tuple(clip.events)))

    def _say(self, state: State, reason: str) -> None:
        self._about.report("clips", state, reason)
