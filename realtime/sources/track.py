"""One track of a recording, decoded in order of presentation time (PyAV); damaged packets are passed over.

Picture and sound of a file are read through two demuxers of their own: however badly a file interleaves
them, the two can be merged by time with nothing piling up. Packets come from `packets`; what is decoded goes
through `pictures` or `sounds`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import Any

from ..core.clock import NS_PER_S
from .account import TrackAccount
from .disposable import Disposable
from .packets import PREROLL_NS, Packets
from .stamps import PictureStamps

_FURTHER_NS = 20 * NS_PER_S
"""A seek that came too late is repeated from so much further back."""
_NEAR = 4
"""Packets around the place where two parts meet."""
_NO_STAMPS = 0x80
"""FFmpeg's flag of a format without time stamps (AVFMT_NOTIMESTAMPS)."""


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
    spare: bool = False
    """Whether pictures that no other is made from may be left out where others are near."""
    skipped_to: int | None = None
    """Where the last picture that was left out ends, in the track's own units."""
    skipped_to_ns: int = 0
    """The same on the stream's time, once all are read."""
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
                self.skipped_to = None
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
        if self.packets.once:
            return [lambda: self.packets.all()]
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
        container = self.packets.container.format.name
        stamps = PictureStamps(container)
        stream = self.stream
        decode = stream.codec_context.decode
        spare = Disposable(stream, container) if self.spare else None
        for packet in chain(packets, (None,)):
            if self.packets.joined and packet is not None and packet.stream is not stream:
                # The next one of joined files: with a decoder of its own.
                with suppress(FFmpegError, OSError):
                    for frame in decode(None):
                        yield stamps.decoded(frame) if pictured else frame
                stream = packet.stream
                decode = stream.codec_context.decode
                spare = Disposable(stream, container) if self.spare else None
            if packet is None:  # the end: what the decoder still has
                self.damage.broke_off |= self.packets.gave_up
                for error in self.packets.errors:
                    self.damage.note(error)
            elif packet.size:
                if spare is not None and spare.skip(packet):
                    self._note_time(packet)
                    self.skipped_to = max(self.skipped_to or 0, packet.pts + (packet.duration or 0))
                    continue
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
        self._note_time(packet)

    def _note_time(self, packet: Any) -> None:
        pts = packet.pts
        if pts is not None:
            if self.first_pts is None or pts < self.first_pts:
                self.first_pts = pts
            if self.last_pts is None or pts > self.last_pts:
                self.last_pts = pts
