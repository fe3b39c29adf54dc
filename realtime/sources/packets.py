"""The packets of one track of a file, on one line of time from its first to its last.

All tracks in use are read along: steps of the time stamps are judged together (`pieces`), so a second reader
of the same file, for another track, finds the same line of time.

Reading may begin in the middle. An index that leads to a key frame (MP4, Matroska) is used; in other formats
FFmpeg's seek lands on any packet or at wrong stamps, and joined files can't be sought at all: they are read
from the beginning, and only what is needed is decoded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..core.clock import NS_PER_S
from .account import Account
from .opening import next_flv, open_container
from .parts import Part
from .pieces import Pieces, Stamped
from .units import Units

if TYPE_CHECKING:
    from av.container import InputContainer

_INDEXED: Final = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
"""FFmpeg's names of the formats whose index can be believed."""
PREROLL_NS: Final = NS_PER_S
"""Sound is decoded from so far before the instant that is wanted: decoders and resamplers settle in."""
_PEEKED: Final = 400
"""Packets looked at to find where the tracks begin."""
_LONGEST_NS: Final = 2 * NS_PER_S
"""A packet of another track stands for the time since the one before, at most this much."""
_MOST_FAILED: Final = 8
"""Failures in a row after which a file is given up."""
_MOST_KEPT: Final = 32 * 2**20
"""Bytes of packets kept since the last key frame; beyond, they are decoded for nothing."""


class Packets:
    """Packets of `own` of an open file; once.

    Attributes:
        once: the file can't be opened anew, nor read from another place.

    Args:
        path: the file.
        container: it, opened; nobody else reads from it.
        own: index of the track.
        used: indices of all tracks in use.
        account: takes what the other tracks hold; None where another reader of the file counts it.
        parts: of a joined file those that follow, `container` being the first.

    """

    once = False

    def __init__(
        self,
        path: Path,
        container: InputContainer,
        own: int,
        used: Sequence[int],
        account: Account | None = None,
        parts: Sequence[Part] = (),
    ) -> None:
        from av.error import FFmpegError

        self._unreadable = (FFmpegError, OSError)
        self.container = container
        self._path, self._offset, self._last_pos = path, 0, 0
        self._parts: list[InputContainer] = []
        self._further = list(parts)
        self._renumbered: dict[int, int] = {}
        self._scales: dict[int, Fraction] = {}
        self.joined = bool(parts)
        """Whether packets may be of several files, each with decoders of its own."""
        self.pieces = Pieces()
        self._own, self._used = own, frozenset(used)
        self._account = account
        self._raw: Iterator[Any] = container.demux()
        self.errors: list[Exception] = []
        """Why something could not be read."""
        self.ends: dict[int, Any] = {}
        """The demuxer's marks of the end of tracks in use."""
        self.gave_up = False
        """The demuxer can't go on: what follows is lost."""
        self._ready: deque[Stamped] = deque()
        self._bases: dict[int, Any] = {s.index: s.time_base for s in container.streams}
        self._units = {index: Units(base) for index, base in self._bases.items() if base}
        self._flv = container.format.name == "flv"
        self._kinds = {s.index: s.type for s in container.streams}
        self._heard = {self._kinds[index] for index in used}
        self._others: dict[int, int] = {}

    @property
    def last(self) -> Any:
        """The mark of the end, which makes the decoder give out what it still has; None before."""
        return self.ends.get(self._own)

    @property
    def indexed(self) -> bool:
        """Whether a seek leads to a key frame."""
        return not self.joined and self.container.format.name in _INDEXED

    def starts_ns(self) -> dict[int, int]:
        """Earliest presentation time among the first packets of each track in use; nothing is lost by it."""
        found: dict[int, int] = {}
        placed: list[Stamped] = []
        counts = dict.fromkeys(self._used, 0)
        for _ in range(_PEEKED):
            one = self.following()
            if one is None:
                break
            placed.append(one)
            at = one.pts_ns + one.shift_ns
            found[one.track] = min(at, found.get(one.track, at))
            counts[one.track] += 1
            if min(counts.values()) >= 4:
                break
        self._ready.extendleft(reversed(placed))
        return found

    def seek(self, at_ns: int) -> None:
        """Go to the key frame before `at_ns`.

        Raises:
            FFmpegError: the file has none, or can't be sought.

        """
        self._ready.clear()
        self.pieces = Pieces()
        self.container.seek(at_ns // 1000, backward=True)
        self._raw = self.container.demux()

    def all(self) -> Iterator[Any]:
        """Every packet of the track, its stamps set to the line of time."""
        own = self._own
        while (one := self.following()) is not None:
            if one.track == own:
                yield self._stamped(one) if one.shift_ns else one.packet

    def end_ns(self) -> int:
        """Where the last packet of any track in use ends; reads all of them."""
        end = 0
        while (one := self.following()) is not None:
            end = max(end, one.pts_ns + one.shift_ns + one.length_ns)
        return end

    def since(self, at_ns: int) -> Iterator[Any]:
        """The packets from which `at_ns` can be decoded: from the last key frame before it on."""
        sound = self._kinds[self._own] == "audio"
        kept: deque[tuple[int, Any]] = deque()
        size = 0
        packets = self.all()
        units = self._units[self._own]
        for packet in packets:
            pts = packet.pts if packet.pts is not None else packet.dts
            t_ns = at_ns if pts is None else units.floor_ns(pts)
            if t_ns >= at_ns:
                break
            if sound:
                while kept and kept[0][0] < at_ns - PREROLL_NS:
                    kept.popleft()
            elif packet.is_keyframe and packet.size:
                kept.clear()
                size = 0
            kept.append((t_ns, packet))
            size += packet.size
            if size > _MOST_KEPT and not sound:
                break
        else:
            packet = None
        for _, one in kept:
            yield one
        if packet is not None and not (kept and kept[-1][1] is packet):
            yield packet
        yield from packets

    def following(self) -> Stamped | None:
        """The next placed packet of any track in use; None at the end. Every attribute of a packet costs."""
        while not self._ready:
            packet = self._read()
            if packet is None and self._next_part():
                continue
            if packet is None:
                self._ready.extend(self.pieces.finish())
                return self._ready.popleft() if self._ready else None
            index = packet.stream_index
            if self._renumbered:
                if (scale := self._scales.get(index)) is not None:
                    self._rescale(packet, scale)
                index = self._renumbered.get(index, index)
            pts = packet.pts
            dts = packet.dts
            if dts is None:
                dts = pts
            if dts is None and not packet.size:
                # Its `stream_index` is always 0.
                self.ends[self._renumbered.get(packet.stream.index, packet.stream.index)] = packet
                continue
            if self._flv:
                self._last_pos = packet.pos if packet.pos is not None else self._last_pos
            if index not in self._used:
                if index in self._kinds:
                    self._count_other(index, packet)
                continue
            if dts is None:
                self._ready.append(Stamped(index, 0, 0, 0, packet))
                continue
            units = self._units[index]
            dts_ns = units.floor_ns(dts)
            pts_ns = dts_ns if pts is None or pts == dts else units.floor_ns(pts)
            one = Stamped(index, dts_ns, pts_ns, units.floor_ns(packet.duration or 0), packet)
            if self.pieces.passes(one):
                return one
            self._ready.extend(self.pieces.push(one))
        return self._ready.popleft()

    def _next_part(self) -> bool:
        """Go on with a further file that was joined to this one."""
        if self._further:
            part = self._further.pop(0)
        elif self._flv and self._path.is_file():
            size = self._path.stat().st_size
            part = Part(next_flv(self._path, self._offset + self._last_pos), size)
            if part.start <= self._offset:
                return False
        else:
            return False
        try:
            container = open_container(self._path, part)
        except self._unreadable as error:
            self.errors.append(error)
            return self._next_part()
        self.joined = True
        # Formats without stamps (WAV) have no first one: they begin at 0. FFmpeg's unit is the microsecond.
        self._ready.extend(self.pieces.part((container.start_time or 0) * 1000))
        self._parts.append(container)
        self._raw, self._offset, self._last_pos = container.demux(), part.start, 0
        self._renumbered = dict.fromkeys(range(len(container.streams)), -1)
        self._scales.clear()
        for index in self._used:
            if (stream := self._counterpart(container, index)) is not None:
                self._renumbered[stream.index] = index
                if stream.time_base != self._bases[index]:
                    self._scales[stream.index] = stream.time_base / self._bases[index]
                first = self.container.streams[index].codec_context
                stream.codec_context.thread_count = first.thread_count
        return True

    def _counterpart(self, container: InputContainer, index: int) -> Any:
        """The track of a further file that goes on with track `index`; None where there is none."""
        same = [s for s in container.streams if s.type == self._kinds[index] and s.codec_context is not None]
        return next((s for s in same if s.index == index), same[0] if same else None)

    def _rescale(self, packet: Any, scale: Fraction) -> None:
        """Stamps of a further file in the units of the first."""
        if packet.pts is not None:
            packet.pts = round(packet.pts * scale)
        if packet.dts is not None:
            packet.dts = round(packet.dts * scale)
        if packet.duration:
            packet.duration = round(packet.duration * scale)

    def close(self) -> None:
        """Close what was opened here."""
        for part in self._parts:
            part.close()

    def _read(self) -> Any:
        """The next packet of any track, None at the end. What can't be read is passed over."""
        failed = 0
        while True:
            try:
                return next(self._raw, None)
            except self._unreadable as error:  # noqa: PERF203 - rare, and packets take longer
                failed += 1
                self.errors.append(error)
                if failed > _MOST_FAILED:
                    self.gave_up = True
                    return None
                self._raw = self.container.demux()

    def _stamped(self, one: Stamped) -> Any:
        packet = one.packet
        base = self._bases[one.track]
        units = round(one.shift_ns * base.denominator / (base.numerator * NS_PER_S))
        if packet.dts is not None:
            packet.dts += units
        if packet.pts is not None:
            packet.pts += units
        return packet

    def _count_other(self, index: int, packet: Any) -> None:
        """A packet of a track that is not in use: passed over, or of a codec that nobody decodes."""
        kind, pts = self._kinds[index], packet.pts
        if self._account is None or kind not in ("video", "audio") or pts is None:
            return
        track = self._account.video if kind == "video" else self._account.audio
        at = self._units[index].floor_ns(pts)
        since_ns = max(0, min(at - self._others.get(index, at), _LONGEST_NS))
        self._others[index] = max(at, self._others.get(index, at))
        if self.container.streams[index].codec_context is None and self._kinds[index] not in self._heard:
            track.undecodable_ns += since_ns
        else:
            track.not_chosen_ns += since_ns
