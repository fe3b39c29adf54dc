"""A recording replayed as a stream: by presentation time, at any speed, dropping nothing.

Stream time 0 is where the recording begins (its earlier track), or `start_s` later. A picture that stays
on show for seconds (slides, very low frame rates) is delivered again at the start of each of them. Sound
becomes 16 kHz mono. Time stamps alone decide what is delivered: the speed changes nothing.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

from ..core.clock import NS_PER_S, Clock
from ..core.errors import SourceError
from ..core.messages import SAMPLE_RATE, EndOfStream, SourceInfo, Status, TimedAudio
from .account import sound_ns
from .base import Item, Source
from .cutshort import missing_bytes
from .othersound import SILENT_NS, other_sound
from .picture import FrameConverter
from .pictures import Picture, pictures, shown
from .pieces import Step, words
from .piped import named
from .recording import Recording
from .replayoptions import ReplayOptions
from .sounds import Resampler16k, sounds
from .track import Track

__all__ = ["Replay", "ReplayOptions"]

T = TypeVar("T")

_MISSING_S = 0.2
"""Less sound than this may be missing without a word: priming, rounding of containers."""
_BEYOND_NS = 2 * NS_PER_S
"""Reading stops this far behind the end that was asked for: the other track may lag by a little."""
_PIECE = SAMPLE_RATE // 20
"""Longest block of sound: long ones would hold up the pictures that begin within them."""


class Replay(Source):
    """A recording as a source."""

    def __init__(self, path: Path, clock: Clock, options: ReplayOptions | None = None) -> None:
        self.path = path
        self.info = SourceInfo(named(path), "file")
        self._clock = clock
        self._options = options or ReplayOptions()
        self._closed = threading.Event()
        self._items: Iterator[tuple[int, Item]] = iter(())
        self._waiting: tuple[int, Item] | None = None
        self._origin_ns: int | None = None
        self._jumped_ns = 0
        """Holes in the recording so far: nobody waits for them."""
        self._end: EndOfStream | None = None
        self._recording = Recording(path, self._options, self.account, self._closed)
        self._end_ns = 0
        self._reading = threading.Lock()

    def open(self) -> None:
        """Open both tracks and decode up to the first item.

        Raises:
            SourceError: no such file, not a media file, nothing in it that can be played.

        """
        if self._options.loop and self._recording.once:
            raise SourceError(f"{self.info.name}: is a pipe, which can be read once only; leave --loop away")
        items = self._stream()
        # What is said before the first picture or sound may be why there is none.
        said: list[tuple[int, Item]] = []
        for due_ns, item in items:
            said.append((due_ns, item))
            if not isinstance(item, Status):
                break
        if not said or isinstance(said[-1][1], EndOfStream):
            self.close()
            start = f" at or after --start {self._options.start_s:g}" if self._options.start_s else ""
            why = "".join(f" ({item.reason})" for _, item in said if isinstance(item, Status))
            raise SourceError(
                f"{self.path}: nothing in it can be decoded{start}{why}; {self._recording.hint}"
            )
        self._items = chain(said, items)

    def read(self, timeout_s: float) -> Item | None:
        """See `Source.read`; waits for the moment an item is due when the speed is limited."""
        with self._reading:
            if self._end is not None:
                return self._end
            if self._closed.is_set():
                self._end = EndOfStream(self._end_ns, "stopped")
                return self._end
            if self._recording.remarks:
                return Status("stream", "running", self._recording.remarks.popleft(), 0, "warning")
            if self._waiting is None:
                self._waiting = next(self._items)
            due_ns, item = self._waiting
            if self._options.speed is not None and not self._due(due_ns, timeout_s):
                return None
            self._waiting = None
            if isinstance(item, EndOfStream):
                self._end = item
            return item

    def measure_s(self) -> float:
        """How long the recording is, by its packets; nothing is decoded.

        Raises:
            SourceError: as `open`.

        """
        video, audio = self._opened(first=True)
        track = video or audio
        assert track is not None
        zero_s = self._recording.zero_s(video, audio)
        return max(0.0, track.packets.end_ns() / NS_PER_S - zero_s)

    def close(self) -> None:
        """See `Source.close`."""
        self._closed.set()
        # A decoder must not be closed under the thread that is decoding.
        with self._reading:
            self._recording.close()

    def _due(self, due_ns: int, timeout_s: float) -> bool:
        speed = cast(float, self._options.speed)
        now = self._clock.now_ns()
        if self._origin_ns is None:
            self._origin_ns = now
        at = self._origin_ns + round((due_ns - self._jumped_ns) / speed)
        self.behind_ns = max(0, now - at)
        self._clock.wait_until(min(at, now + round(timeout_s * NS_PER_S)), self._closed)
        return self._clock.now_ns() >= at or self._closed.is_set()

    # One pass after another -----------------------------------------------------------------------

    def _stream(self) -> Iterator[tuple[int, Item]]:
        """Every item with the instant at which it is due, on the stream's time."""
        o = self._options
        limit = None if o.duration_s is None else round(o.duration_s * NS_PER_S)
        offset = 0
        while True:
            ends: list[int] = []
            due = offset
            for due, item in self._one_pass(offset, ends):
                if limit is not None and due > limit:
                    clipped = _clip(item, limit)
                    if clipped is not None:
                        self._end_ns = limit
                        yield limit, clipped
                    if due > limit + _BEYOND_NS:
                        break
                    continue
                self._end_ns = due
                yield due, item
            self._recording.close()
            nothing = not ends
            offset = max(ends, default=offset)
            if limit is not None and max(offset, due) >= limit:
                yield limit, EndOfStream(limit, "end of --duration")
                return
            if not o.loop or nothing or self._closed.is_set():
                yield offset, EndOfStream(offset, "end of file")
                return

    def _one_pass(self, offset: int, ends: list[int]) -> Iterator[tuple[int, Item]]:
        """The recording once, starting at stream time `offset`; the ends of its tracks go into `ends`."""
        video, audio = self._opened(first=offset == 0)
        tracks = [track for track in (video, audio) if track is not None]
        zero_s = self._recording.zero_s(video, audio)
        parts: list[Iterator[_Timed]] = []
        if video is not None:
            parts.append(self._video(video, zero_s, offset, ends))
        if audio is not None:
            parts.append(self._audio(audio, zero_s, offset, ends))
        told: set[Step] = set()
        shift = offset - round(zero_s * NS_PER_S)
        one, other = tracks[0], tracks[-1]
        for start, due, item in heapq.merge(*map(self._named, parts), key=itemgetter(0)):
            if one.packets.pieces.steps or other.packets.pieces.steps:
                for status in self._steps(tracks, start, shift, told):
                    yield start, status
            yield due, item
        yield from self._complaints(tracks, max(ends, default=offset), offset)

    def _opened(self, *, first: bool) -> tuple[Track | None, Track | None]:
        tracks = self._recording.tracks(first)
        self.info = self._recording.info
        return tracks

    def _steps(self, tracks: Sequence[Track], now: int, shift: int, told: set[Step]) -> Iterator[Status]:
        """What the time stamps did up to `now`. A hole is not waited for."""
        for track in tracks:
            for step in track.packets.pieces.steps:
                at = step.at_ns + shift
                if step in told or at + step.ns > now:
                    continue
                told.add(step)
                if at + step.ns <= shift + round(self._options.start_s * NS_PER_S):
                    continue
                if step.kind == "hole":
                    self._jumped_ns += step.ns
                yield Status("stream", *words(step), now, "warning" if step.kind == "hole" else "info")

    def _complaints(self, tracks: Sequence[Track], end: int, offset: int) -> Iterator[tuple[int, Item]]:
        damage = [track.damage for track in tracks]
        told = []
        if packets := sum(d.packets for d in damage):
            first = next((d.first for d in damage if d.first), "")
            told.append(f"{packets} packets could not be decoded" + (f" (first: {first})" if first else ""))
        holes = {step for track in tracks for step in track.packets.pieces.steps if step.kind == "hole"}
        lost_s = sum(d.lost_s for d in damage) - sum(hole.ns for hole in holes) / NS_PER_S
        if lost_s > _MISSING_S:
            told.append(f"{lost_s:.2f} s of sound are missing in the middle")
        if told:
            yield end, Status("stream", "damaged", "; ".join(told), end)
        if pipe := self._recording.pipe:
            pipe.look_on()
        if pipe and pipe.heads > 1:
            reason = f"{pipe.heads} files joined: through a pipe only the first of this kind is read well"
            yield end, Status("stream", "damaged", reason, end)
        if not self._closed.is_set() and pipe is None and (missing := missing_bytes(self._recording.path)):
            reason = f"the file breaks off at {(end - offset) / NS_PER_S:.1f} s: {missing} bytes are missing"
            yield end, Status("stream", "truncated", reason, end)

    def _named(self, items: Iterator[_Timed]) -> Iterator[_Timed]:
        """The same; what can't be used says in which recording."""
        try:
            yield from items
        except SourceError as error:
            raise SourceError(f"{self._recording.where}: {error}") from error

    # Tracks to items ------------------------------------------------------------------------------

    def _video(self, track: Track, zero_s: float, offset: int, ends: list[int]) -> Iterator[_Timed]:
        o, keep = self._options, self._options.originals
        converter = FrameConverter(track.stream)
        last: Picture | None = None
        shifted = (p.later(offset) for p in pictures(track, zero_s - o.sync_offset_ms / 1000, o.start_s > 0))
        for picture in shown(shifted, track.damage, every=keep, slots=o.frames):
            last = picture
            frame = converter.timed(picture.t_ns, picture.frame, keep_original=keep)
            yield _Timed(frame.t_ns, frame.t_ns, frame)
        if last is not None:
            ends.append(max(last.end_ns, offset + track.skipped_to_ns))

    def _audio(self, track: Track, zero_s: float, offset: int, ends: list[int]) -> Iterator[_Timed]:
        resampler = Resampler16k()
        shift = -(-offset * SAMPLE_RATE // NS_PER_S)
        end, heard = 0, False
        blocks = chain.from_iterable(
            resampler.push(sound) for sound in sounds(track, zero_s, self._options.start_s > 0)
        )
        for first, samples in chain(blocks, _later(resampler.flush)):
            for skip in range(max(0, -first), len(samples), _PIECE):
                item = TimedAudio(first + skip + shift, samples[skip : skip + _PIECE])
                end = -(-(item.position + len(item.samples)) * NS_PER_S // SAMPLE_RATE)
                yield _Timed(item.position * NS_PER_S // SAMPLE_RATE, end, item)
                heard = heard or bool(item.samples.any())
            if not heard and end - offset > SILENT_NS:
                heard = True
                yield from (
                    _Timed(end, end, status) for status in other_sound(self._recording.path, track, end)
                )
            track.damage.lost_s = resampler.lost_s
            for status in resampler.told():
                yield _Timed(end, end, replace(status, t_ns=end))
        if not heard and end:
            yield from (_Timed(end, end, status) for status in other_sound(self._recording.path, track, end))
        track.account.by_stamp_ns += sound_ns(resampler.cut)
        track.account.delivered_ns -= sound_ns(resampler.cut)
        if end:
            ends.append(end)


class _Timed(NamedTuple):
    """An item, the instant it begins (what items are ordered by) and the one at which it is due."""

    start_ns: int
    due_ns: int
    item: Item


def _later(make: Callable[[], Iterator[T]]) -> Iterator[T]:
    """`make()` called only when its first element is asked for."""
    yield from make()


def _clip(item: Item, limit_ns: int) -> Item | None:
    """The part of an item before `limit_ns`; None when nothing is."""
    if isinstance(item, TimedAudio):
        room = limit_ns * SAMPLE_RATE // NS_PER_S - item.position
        return TimedAudio(item.position, item.samples[:room]) if room > 0 else None
    return None
