"""The encoded recent past, bounded in time and in bytes, and what of it belongs into a clip."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from .codec import AAC_FRAME, Packet

_SOUND_BEFORE_S = 1.01 * AAC_FRAME / 16_000


class ClipRing:
    """Packets in order of arrival. The oldest go when `keep_from` says so, or when `max_bytes` are held."""

    def __init__(self, max_bytes: int) -> None:
        self._packets: deque[Packet] = deque()
        self._max_bytes = max_bytes
        self.bytes = 0
        self.newest_s = 0.0

    def __len__(self) -> int:
        return len(self._packets)

    def push(self, packet: Packet) -> None:
        """Append a packet."""
        self._packets.append(packet)
        self.bytes += len(packet.data)
        self.newest_s = max(self.newest_s, packet.time_s)
        while self.bytes > self._max_bytes:
            self._drop()

    def keep_from(self, time_s: float) -> None:
        """Forget what is older."""
        while self._packets and self._packets[0].time_s < time_s:
            self._drop()

    def since(self, time_s: float) -> ClipRing:
        """The packets from the keyframe before `time_s` on, kept by themselves."""
        kept = ClipRing(self._max_bytes)
        begin_s, _ = self.cut(time_s, self.newest_s)
        for packet in self._packets:
            if packet.time_s >= begin_s - _SOUND_BEFORE_S:
                kept.push(packet)
        return kept

    def cut(self, start_s: float, end_s: float) -> tuple[float, Sequence[Packet]]:
        """The packets of a clip, and its real beginning: the keyframe before `start_s`, if there is one."""
        keys = [p.time_s for p in self._packets if p.kind == "video" and p.key]
        before = [t for t in keys if t <= start_s]
        after = [t for t in keys if start_s < t < end_s]
        oldest_s = self._packets[0].time_s if self._packets else start_s
        begin_s = before[-1] if before else after[0] if after else max(0.0, start_s, oldest_s)
        chosen = [
            packet
            for packet in self._packets
            if packet.time_s < end_s
            and packet.time_s >= (begin_s if packet.kind == "video" else begin_s - _SOUND_BEFORE_S)
            and (packet.kind == "audio" or keys)
        ]
        return begin_s, chosen

    def _drop(self) -> None:
        self.bytes -= len(self._packets.popleft().data)
