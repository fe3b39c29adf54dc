"""One track of a recording, decoded in order of presentation time (PyAV); damaged packets are passed over.

Picture and sound of a file are read through two demuxers of their own: however badly a file interleaves
them, the two can be merged by time with nothing piling up.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ..clock import NS_PER_S
from ..messages import SAMPLE_RATE, State, Status
from .account import TrackAccount
from .detectors import NumberGuard
from .downmix import Downmix
from .slots import SlotChooser, WonSlots
from .stamps import PictureStamps, is_empty
from .steady import Sound, SteadyStamps

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

_NO_STAMPS = 0x80
"""FFmpeg's flag of a format without time stamps (AVFMT_NOTIMESTAMPS)."""
MAX_STILL = 60
"""Seconds for which a picture without successor is believed to be still on show."""


def open_container(path: Path) -> InputContainer:
    """A recording, opened to read; names in it that are not valid UTF-8 are no reason to refuse it."""
    import av

    try:
        return av.open(str(path), metadata_errors="replace")
    except TypeError:  # PyAV 19 knows no such option
        return av.open(str(path))


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

    def later(self, ns: int) -> Picture:
        """The same picture, `ns` later."""
        return Picture(self.t_ns + ns, self.frame, self.end_ns + ns)


@dataclass
class Track:
    """A track of an open file, before decoding starts."""

    container: InputContainer
    stream: Any
    damage: Damage = field(default_factory=Damage)
    account: TrackAccount = field(default_factory=TrackAccount)
    fed: int = 0
    """Packets with something in them that went into the decoder."""
    first_pts: int | None = None
    """Of the packets, earliest and latest presentation time, in the track's own units."""
    last_pts: int | None = None
    channel: int | None = None
    """Of sound: take only this channel, from 1; None mixes all."""

    @property
    def start_s(self) -> float | None:
        """First presentation time by the header, in seconds of the file's own time."""
        start = self.stream.start_time
        return None if start is None else float(start * self.stream.time_base)

    @property
    def rate(self) -> Fraction | None:
        """Pictures a second, as far as the file says."""
        stream = self.stream
        if self.container.format.flags & _NO_STAMPS:
            # A bare stream: the average is FFmpeg's assumption of 25.
            return stream.codec_context.framerate or stream.guessed_rate  # type: ignore[no-any-return]
        return stream.average_rate or stream.guessed_rate  # type: ignore[no-any-return]

    def frames(self, from_s: float | None) -> Iterator[Any]:
        """Decoded frames in order of presentation; seeks to the key frame before `from_s` first."""
        from av.error import FFmpegError

        pictured = self.stream.type == "video"
        stamps = PictureStamps(self.container.format.name)
        if from_s is not None:
            if pictured:
                stamps = PictureStamps.before_seek(self.container, self.stream)
            # What can't be sought is decoded from its beginning; the reader drops what is too early.
            with contextlib.suppress(FFmpegError):
                self.container.seek(int(from_s * 1_000_000), backward=True)
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (FFmpegError, OSError) as error:
                # The demuxer can't go on: what follows is lost, what came before was played.
                self.damage.note(error)
                self.damage.broke_off = True
                packet = None
            if packet is not None:
                self._feed(packet)
                if is_empty(packet):
                    if pictured and (again := stamps.again(packet)) is not None:
                        self.fed += 1
                        yield again
                    continue
                stamps.fed(packet)
            try:
                for frame in self.stream.codec_context.decode(packet):
                    yield stamps.decoded(frame) if pictured else frame
            except (FFmpegError, OSError) as error:
                if packet is None or not isinstance(error, EOFError):
                    self.damage.note(error)
                if packet is not None and self.stream.type == "audio":
                    self.account.undecodable_ns += self.ns(packet.duration or 0)
            if packet is None:
                return

    def ns(self, units: int) -> int:
        """Nanoseconds of so many of the track's own units."""
        base = self.stream.time_base
        return int(units * NS_PER_S * base.numerator // base.denominator)

    def _feed(self, packet: Any) -> None:
        if packet.is_corrupt:
            self.damage.packets += 1
        if not packet.size:
            return
        self.fed += 1
        pts = packet.pts
        if pts is not None:
            if self.first_pts is None or pts < self.first_pts:
                self.first_pts = pts
            if self.last_pts is None or pts > self.last_pts:
                self.last_pts = pts


def pictures(track: Track, zero_s: float, seek: bool) -> Iterator[Picture]:
    """Pictures from `zero_s` (file time) on, with times from there; those before it are left out."""
    zero = Fraction(zero_s).limit_denominator(1_000_000_000)
    rate = track.rate
    usual_ns = int(NS_PER_S / rate) if rate else 40_000_000
    last_ns: int | None = None
    cover = Cover(usual_ns)
    for frame in track.frames(zero_s if seek else None):
        if frame.pts is not None:
            t_ns = round((frame.pts * frame.time_base - zero) * NS_PER_S)
        elif last_ns is not None:
            t_ns = last_ns + usual_ns
        else:
            t_ns = 0
        duration = getattr(frame, "duration", 0)
        length_ns = round(duration * frame.time_base * NS_PER_S) if duration else usual_ns
        cover.frames += 1
        if last_ns is not None and t_ns <= last_ns:
            track.account.by_stamp_ns += length_ns
            continue  # broken time stamps: a picture can't be shown before its predecessor
        last_ns = t_ns
        if t_ns >= 0:
            cover.add(t_ns, length_ns)
            yield Picture(t_ns, frame, t_ns + length_ns)
    cover.close(track, round(zero * NS_PER_S))


@dataclass
class Cover:
    """Which part of a video track has pictures. `usual_ns`: how long one lasts where nothing says so."""

    usual_ns: int
    frames: int = 0
    _first_ns: int | None = None
    _end_ns: int = 0
    _shown_ns: int = 0
    _holes_ns: int = 0

    def add(self, t_ns: int, length_ns: int) -> None:
        """A picture is shown from `t_ns` on, at least for `length_ns`; they come in order."""
        if self._first_ns is None:
            self._first_ns = self._end_ns = t_ns
        gap_ns = t_ns - self._end_ns
        # Until the next one comes, a picture is on show.
        if gap_ns > self.usual_ns:
            self._holes_ns += gap_ns
        self._shown_ns += t_ns + length_ns - self._end_ns
        self._end_ns = t_ns + length_ns

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


def shown(source: Iterator[Picture], damage: Damage, *, every: bool) -> Iterator[Picture]:
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
        now = picture.t_ns // NS_PER_S
        if now != second or chooser is None:
            if chooser is not None and not every:
                yield from decided(chooser.close())
            if last is not None and damage.packets == bad:
                yield from _held(last, second + 1, now)
            second, chooser = now, SlotChooser(now * NS_PER_S, (now + 1) * NS_PER_S)
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
    next_ns: int | None = None
    downmix = Downmix(track.channel)
    for frame in track.frames(zero_s if seek else None):
        if not frame.samples or not frame.sample_rate:
            continue
        if frame.pts is None:
            t_ns = next_ns or 0
        else:
            t_ns = round((frame.pts * frame.time_base - zero) * NS_PER_S)
        length_ns = frame.samples * NS_PER_S // frame.sample_rate
        next_ns = t_ns + length_ns
        if next_ns > 0:
            track.account.delivered_ns += min(length_ns, next_ns)
            samples, note = downmix.mono(frame)
            yield Sound(t_ns, frame.sample_rate, samples, note)


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
        return cast(NDArray[np.float32], self._resampler.resample_chunk(samples, last=last))

    def _emit(self, samples: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        start, self._position = self._position, self._position + len(samples)
        cut = max(0, self._floor - start)
        self.cut += min(cut, len(samples))
        if cut < len(samples):
            self._floor = self._position
            yield start + cut, samples[cut:]
