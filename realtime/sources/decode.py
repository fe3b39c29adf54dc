"""One track of a recording, decoded in order of presentation time (PyAV); damaged packets are passed over.

Picture and sound of a file are read through two demuxers of their own: however badly a file interleaves
them, the two can be merged by time with nothing piling up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ...model.profiles import FRAMES_PER_SEGMENT
from ..clock import NS_PER_S
from ..messages import SAMPLE_RATE, State, Status
from .account import TrackAccount
from .detectors import NumberGuard
from .downmix import Downmix
from .packets import PREROLL_NS, Packets
from .slots import SlotChooser, WonSlots
from .stamps import PictureStamps
from .steady import Sound, SteadyStamps
from .units import Units

if TYPE_CHECKING:
    import av

_FURTHER_NS = 20 * NS_PER_S
"""A seek that came too late is repeated from so much further back."""
_NEAR = 4
"""Packets around the place where two parts meet."""
_NO_STAMPS = 0x80
"""FFmpeg's flag of a format without time stamps (AVFMT_NOTIMESTAMPS)."""
MAX_STILL = 60
"""Seconds for which a picture without successor is believed to be still on show."""


@dataclass
class Damage:
    """What went wrong while reading, for one line at the end."""

    packets: int = 0
    """Packets or pictures that could not be decoded."""
    broke_off: bool = False
    """The file ended in the middle of something."""
    first: str = ""
    lost_s: float = 0.0
    """Holes within the sound."""

    def clear(self) -> None:
        """Reading begins anew."""
        self.packets, self.broke_off, self.first, self.lost_s = 0, False, "", 0.0

    def note(self, error: Exception) -> None:
        """Count one undecodable packet."""
        self.packets += 1
        self.first = self.first or str(error)


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


@dataclass
class Track:
    """A track of an open file, before decoding starts."""

    packets: Packets
    stream: Any
    reopen: Callable[[], tuple[Packets, Any]]
    """The same track of the file, opened anew."""
    damage: Damage = field(default_factory=Damage)
    account: TrackAccount = field(default_factory=TrackAccount)
    fed: int = 0
    """Packets with something in them that went into the decoder."""
    first_pts: int | None = None
    """Of the packets, earliest and latest presentation time, in the track's own units."""
    last_pts: int | None = None
    channel: int | None = None
    """Of sound: take only this channel, from 1; None mixes all."""
    _doubtful: int | None = None
    """Number of a packet that seems incomplete; where parts meet, and at the end, that proves nothing."""
    _steps: int = 0
    _step_at: int = -1000
    """How many steps the time stamps took, and the number of the packet before which the last one was."""

    @property
    def start_s(self) -> float | None:
        """First presentation time by the header, in seconds of the file's own time."""
        start = self.stream.start_time
        return None if start is None else float(start * self.stream.time_base)

    @property
    def rate(self) -> Fraction | None:
        """Pictures a second, as far as the file says."""
        stream = self.stream
        if self.packets.container.format.flags & _NO_STAMPS:
            # A bare stream: the average is FFmpeg's assumption of 25.
            return stream.codec_context.framerate or stream.guessed_rate  # type: ignore[no-any-return]
        return stream.average_rate or stream.guessed_rate  # type: ignore[no-any-return]

    def frames(self, from_s: float | None) -> Iterator[Any]:
        """Decoded frames in order of presentation: all, or from one at or before `from_s` on.

        A seek is believed only if the first frame is early enough; else it is tried from further back, and
        at last everything from the beginning is decoded.
        """
        if from_s is None:
            yield from self._decoded(self.packets.all())
            return
        at_ns = round(from_s * NS_PER_S)
        attempts = self._attempts(at_ns)
        for number, attempt in enumerate(attempts):
            if number:
                self.packets, self.stream = self.reopen()
                self.damage.clear()
                self.fed, self.first_pts, self.last_pts, self.account.undecodable_ns = 0, None, None, 0
                self._doubtful, self._steps, self._step_at = None, 0, -1000
            frames = self._decoded(attempt())
            first = next(frames, None)
            if first is not None and (attempt is attempts[-1] or self._early(first, at_ns)):
                yield first
                yield from frames
                return

    def _attempts(self, at_ns: int) -> list[Callable[[], Iterator[Any]]]:
        """Ways to get at an instant, each to be tried on a fresh file; the last one always works."""
        ways: list[Callable[[], Iterator[Any]]] = []
        counted = self.stream.type == "video" and self.packets.container.format.name == "avi"
        if counted and self.stream.codec_context.has_b_frames:
            return [lambda: self.packets.all()]  # only there the delay of the decoder can be seen
        if self.packets.indexed:
            before_ns = at_ns - (PREROLL_NS if self.stream.type == "audio" else 0)
            ways += [partial(self._sought, before_ns), partial(self._sought, before_ns - _FURTHER_NS)]
        return [*ways, lambda: self.packets.since(at_ns), lambda: self.packets.all()]

    def _sought(self, at_ns: int) -> Iterator[Any]:
        from av.error import FFmpegError

        try:
            self.packets.seek(max(0, at_ns))
        except FFmpegError:
            return
        yield from self.packets.all()

    def _early(self, frame: Any, at_ns: int) -> bool:
        if frame.pts is None:
            return False
        t_ns = round(frame.pts * frame.time_base * NS_PER_S)
        return t_ns <= at_ns and (self.stream.type == "audio" or bool(frame.key_frame))

    def _decoded(self, packets: Iterator[Any]) -> Iterator[Any]:
        from av.error import FFmpegError

        pictured = self.stream.type == "video"
        stamps = PictureStamps(self.packets.container.format.name)
        decode = self.stream.codec_context.decode
        for packet in chain(packets, (None,)):
            if packet is None:  # the end: what the decoder still has
                self.damage.broke_off |= self.packets.gave_up
                for error in self.packets.errors:
                    self.damage.note(error)
            elif packet.size:
                self._feed(packet)
            elif packet.dts is not None:  # it stands for a moment; a decoder would take it for the end
                if pictured and (again := stamps.again(packet)) is not None:
                    self.fed += 1
                    yield again
                continue
            if pictured and packet is not None:
                stamps.fed(packet)
            try:
                for frame in decode(packet if packet is not None else self.packets.last):
                    yield stamps.decoded(frame) if pictured else frame
            except (FFmpegError, OSError) as error:
                if packet is None or not isinstance(error, EOFError):
                    self.damage.note(error)
                if packet is not None and not pictured:
                    self.account.undecodable_ns += self.ns(packet.duration or 0)

    def ns(self, units: int) -> int:
        """Nanoseconds of so many of the track's own units."""
        base = self.stream.time_base
        return int(units * NS_PER_S * base.numerator // base.denominator)

    def holes_before(self, at_ns: int) -> int:
        """How many holes of the recording are over at an instant, in the file's own time."""
        steps = self.packets.pieces.steps
        if not steps:
            return 0
        return sum(step.kind == "hole" and step.at_ns + step.ns <= at_ns for step in steps)

    def _feed(self, packet: Any) -> None:
        """A packet with something in it goes into the decoder."""
        self.fed += 1
        if (steps := len(self.packets.pieces.steps)) != self._steps:
            self._steps, self._step_at = steps, self.fed
            self._doubtful = None
        if self._doubtful is not None and self.fed - self._doubtful > _NEAR:
            self.damage.packets += 1
            self._doubtful = None
        if packet.is_corrupt and self.fed - self._step_at > _NEAR:
            self.damage.packets += self._doubtful is not None
            self._doubtful = self.fed
        pts = packet.pts
        if pts is not None:
            if self.first_pts is None or pts < self.first_pts:
                self.first_pts = pts
            if self.last_pts is None or pts > self.last_pts:
                self.last_pts = pts


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


def sounds(track: Track, zero_s: float, seek: bool) -> Iterator[Sound]:
    """Sound from about `zero_s` on, with times from there (the first may be negative)."""
    zero = Fraction(zero_s).limit_denominator(1_000_000_000)
    times = Units(track.stream.time_base, zero)
    next_ns: int | None = None
    downmix = Downmix(track.channel)
    for frame in track.frames(zero_s if seek else None):
        count, rate, pts = frame.samples, frame.sample_rate, frame.pts
        if not count or not rate:
            continue
        t_ns = (next_ns or 0) if pts is None else times.round_ns(pts)
        length_ns = count * NS_PER_S // rate
        next_ns = t_ns + length_ns
        if next_ns > 0:
            track.account.delivered_ns += min(length_ns, next_ns)
            samples, note = downmix.mono(frame)
            yield Sound(t_ns, rate, samples, note)


class Resampler16k:
    """Sound at any rate to blocks at 16 kHz with their position on the timeline; keeps state between.

    A gap in the presentation times becomes a jump in position; overlapping sound is cut off. Stamps that
    only wobble change nothing (`steady`). Samples that are no numbers become silence first: the filter would
    spread each of them over hundreds.
    """

    def __init__(self) -> None:
        self.guard = NumberGuard()
        self._stamps = SteadyStamps()
        self._told: list[Status] = []
        self._resampler: Any = None
        self._rate = 0
        self._expected_ns = 0
        self._position = 0
        self._floor = 0
        self.cut = 0
        """Samples at 16 kHz that overlapped with what was delivered already, so far."""

    @property
    def lost_s(self) -> float:
        """Holes within the sound so far."""
        return self._stamps.hole_ns / NS_PER_S

    def push(self, sound: Sound) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Blocks (position, samples) that are complete now."""
        if sound.note is not None:
            self._told.append(Status("sound", "running", sound.note, max(0, sound.t_ns), "warning"))
        for placed in self._stamps.push(sound):
            yield from self._place(placed)

    def flush(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """What the resampler still holds; afterwards a new run may begin."""
        for placed in self._stamps.finish():
            yield from self._place(placed)
        yield from self._drain()

    def _place(self, sound: Sound) -> Iterator[tuple[int, NDArray[np.float32]]]:
        samples, line = self.guard.clean(sound.samples)
        if line is not None:
            state: State = "damaged" if self.guard.damaged else "running"
            self._told.append(Status("sound", state, line, max(0, sound.t_ns)))
        shifted = sound.t_ns != self._expected_ns
        if self._resampler is None or sound.rate != self._rate or shifted:
            yield from self._drain()
            self._begin(sound)
        self._expected_ns += sound.length_ns
        yield from self._emit(self._resample(samples, last=False))

    def _drain(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        if self._resampler is not None:
            yield from self._emit(self._resample(np.zeros(0, np.float32), last=True))
            self._resampler = None

    def told(self) -> list[Status]:
        """What was to be said about the sound since the last call; instants as in the sound."""
        told, self._told = self._told, []
        return told

    def _begin(self, sound: Sound) -> None:
        import soxr

        self._rate = sound.rate
        self._resampler = (
            "copy"
            if sound.rate == SAMPLE_RATE
            else soxr.ResampleStream(sound.rate, SAMPLE_RATE, 1, "float32")
        )
        self._expected_ns = sound.t_ns
        self._position = round(sound.t_ns * SAMPLE_RATE / NS_PER_S)

    def _resample(self, samples: NDArray[np.float32], last: bool) -> NDArray[np.float32]:
        if self._resampler == "copy":
            return samples
        return cast("NDArray[np.float32]", self._resampler.resample_chunk(samples, last=last))

    def _emit(self, samples: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        start, self._position = self._position, self._position + len(samples)
        cut = max(0, self._floor - start)
        # What lies before the beginning was never asked for.
        self.cut += min(cut, len(samples)) - min(max(0, -start), len(samples))
        if cut < len(samples):
            self._floor = self._position
            yield start + cut, samples[cut:]
