"""The clock of a stream's sender, as far as it can be told from the packets that arrive."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...core.clock import NS_PER_S

BACK_NS = NS_PER_S // 4
"""A packet this much before its elder on the same track, in order of decoding, is on another clock."""
AHEAD_NS = NS_PER_S
"""So is one this much further ahead than time has gone on."""
_SAME_NS = 2 * NS_PER_S
"""A track that follows another onto a new clock lands within this of where it would have been."""
_LEADS = 1024
_WRAP_NS = 2**33 * NS_PER_S // 90_000
"""What the 33 bits of MPEG's time stamps hold (26.5 hours); FFmpeg takes a step far back for their end."""
_APART_NS = 10 * NS_PER_S
"""Tracks of one stream begin within this of each other, or have clocks of their own."""


def step_words(ns: int) -> str:
    """A step of the sender's clock, for people."""
    if _WRAP_NS / 2 < ns < _WRAP_NS:
        ns -= _WRAP_NS
    way = "forward" if ns > 0 else "back"
    return f"the sender's clock stepped {way} by {abs(ns) / NS_PER_S:.1f} s: all goes on from here"


@dataclass(frozen=True, slots=True)
class Stamped:
    """What is known of a packet.

    `pts_ns`, `order_ns`: presentation and decoding time, on the sender's clock. `now_ns`: arrival, on ours.
    `track`: of which it is. `length_ns`: how long it lasts; 0 where nobody says.
    """

    pts_ns: int
    now_ns: int
    track: str
    order_ns: int
    length_ns: int = 0


@dataclass
class _Track:
    shift: int
    """Stream time = presentation time + this."""
    order_ns: int
    t_ns: int
    now_ns: int
    leads: deque[int]
    """Stream time less arrival, of the last packets."""


class SenderClock:
    """Maps the sender's presentation times to stream time, and tells where the present is. Pure.

    Stream time = presentation time + a shift that the tracks share. The present = now + the largest (stream
    time - arrival) of the last 15 to 30 seconds: the packet that was delayed least. Where packets usually
    come later than that (a radio link), the present is held back by as much, up to eight seconds: better
    late than missing.

    A sender's clock that steps (an encoder that starts anew, a relay that switches) gets a new shift at once:
    stream time goes on as time does, and the other track follows by the same shift as it arrives there.

    Args:
        paced: what comes is older than the present (playlists of segments, recordings): it is taken in step
            from its first packet on, and arrives in bursts before it is due.

    """

    _BUCKET_NS = 15 * NS_PER_S
    _FREE_NS = 150_000_000
    _MOST_NS = 8 * NS_PER_S

    def __init__(self, *, paced: bool = False) -> None:
        self.paced = paced
        self._shift: int | None = None
        self._tracks: dict[str, _Track] = {}
        self._best: int | None = None
        self._previous: int | None = None
        self._bucket_ns = 0
        self._present = 0
        self._late: deque[int] = deque(maxlen=2048)
        self._count = 0
        self._gap_ns = 0
        self._last_ns: int | None = None
        self._steps: list[int] = []
        self.held_ns = 0
        """By how much the present is held back for packets that usually come late."""

    def begin(self, now_ns: int) -> None:
        """Stream time is 0 now, whether anything has come or not."""
        if self._best is None:
            self._best, self._bucket_ns = -now_ns, now_ns

    def place(self, pts_ns: int, now_ns: int) -> int:
        """Stream time of what has this presentation time and arrived now; for a stream of one track."""
        return self.place_packet(Stamped(pts_ns, now_ns, "", pts_ns))

    def place_packet(self, packet: Stamped) -> int:
        """Stream time of a packet that has arrived; the packets of a track come in order of decoding."""
        t_ns = self._locate(packet)
        if not self.paced:
            self._observe(t_ns - packet.now_ns, packet.now_ns)
        return t_ns

    def place_first(self, packets: Sequence[Stamped]) -> list[int]:
        """Stream times of what came at once after connecting: the end of that burst is the present."""
        times = [self._locate(packet) for packet in packets]
        if self.paced or not packets:
            return times
        leads = [t_ns - packet.now_ns for t_ns, packet in zip(times, packets, strict=True)]
        newest: dict[str, int] = {}
        for packet, lead in zip(packets, leads, strict=True):
            newest[packet.track] = max(lead, newest.get(packet.track, lead))
        # Sound may be sent a second after its picture: the present waits for the later track.
        past_ns = max(0, min(newest.values()) - leads[0])
        self.held_ns = min(max(newest.values()) - min(newest.values()), self._MOST_NS)
        self._move(-past_ns)
        for packet, lead in zip(packets, leads, strict=True):
            self._observe(lead - past_ns, packet.now_ns)
        return [t_ns - past_ns for t_ns in times]

    def arrived(self, now_ns: int) -> int:
        """Stream time of something without a stamp that arrived now."""
        self.begin(now_ns)
        present = self.present_ns(now_ns)
        assert present is not None
        return present

    def reconnected(self, *, paced: bool | None = None) -> None:
        """Presentation times start anew; stream time goes on."""
        self._shift = None
        self._tracks.clear()
        self._late.clear()
        if paced is not None and paced != self.paced:
            self.paced, self.held_ns = paced, 0

    def steps(self) -> list[int]:
        """By how much the sender's clock stepped (forward is positive), each time since the last call."""
        steps, self._steps = self._steps, []
        return steps

    def present_ns(self, now_ns: int) -> int | None:
        """Where the stream's present is; never runs backwards. None before the first item."""
        if self._best is None:
            return None
        self._present = max(self._present, now_ns + self._lead() - self.held_ns)
        return self._present

    def _locate(self, packet: Stamped) -> int:
        if self._shift is None:
            present = self.present_ns(packet.now_ns)
            self._shift = (0 if present is None else present) - packet.pts_ns
        known = self._tracks.get(packet.track)
        if known is None:
            known = self._tracks[packet.track] = self._first(packet)
        elif self._stepped(known, packet):
            self._step(known, packet)
        known.order_ns, known.now_ns = packet.order_ns, packet.now_ns
        known.t_ns = packet.pts_ns + known.shift
        known.leads.append(known.t_ns - packet.now_ns)
        if self.paced:
            self._keep_ahead(known.t_ns, packet.now_ns)
        return known.t_ns

    def _move(self, ns: int) -> None:
        """Everything that is and will be placed, later by so much."""
        for known in self._tracks.values():
            known.shift += ns
            known.t_ns += ns
            known.leads = deque((lead + ns for lead in known.leads), _LEADS)
        if self._shift is not None:
            self._shift += ns

    # A clock that steps ---------------------------------------------------------------------------

    def _first(self, packet: Stamped) -> _Track:
        assert self._shift is not None
        shift, t_ns = self._shift, packet.pts_ns + self._shift
        present = self.present_ns(packet.now_ns)
        if present is not None and abs(t_ns - present) > _APART_NS:
            shift, t_ns = present - packet.pts_ns, present
        return _Track(shift, packet.order_ns, t_ns, packet.now_ns, deque(maxlen=_LEADS))

    def _stepped(self, known: _Track, packet: Stamped) -> bool:
        if packet.order_ns < known.order_ns - BACK_NS:
            return True
        waited_ns = packet.now_ns - known.now_ns
        # Crystals differ by less than a thousandth; a link that was down catches up, and no more than that.
        ahead_ns = packet.order_ns - known.order_ns - waited_ns - waited_ns // 1000
        if self.paced or self._best is None:
            return ahead_ns > _APART_NS + packet.length_ns
        lead = packet.pts_ns + known.shift - packet.now_ns
        return ahead_ns > AHEAD_NS and lead > max(known.leads) + AHEAD_NS

    def _step(self, known: _Track, packet: Stamped) -> None:
        assert self._shift is not None
        expected = known.t_ns + packet.length_ns
        if not self.paced:  # where packets of this track usually are when they arrive
            expected = max(expected, packet.now_ns + sorted(known.leads)[len(known.leads) // 2])
        if known.shift != self._shift and abs(packet.pts_ns + self._shift - expected) < _SAME_NS:
            known.shift = self._shift
            return
        self._steps.append(packet.pts_ns + known.shift - expected)
        known.shift = self._shift = expected - packet.pts_ns

    # The present ----------------------------------------------------------------------------------

    def _keep_ahead(self, t_ns: int, now_ns: int) -> None:
        """Paced: what comes after it was due moves everything, with room for as long a wait again."""
        if self._last_ns is not None:
            self._gap_ns = max(self._gap_ns, now_ns - self._last_ns)
        self._last_ns = now_ns
        if self._best is None:
            self._best = t_ns - now_ns
        present = self.present_ns(now_ns)
        assert present is not None
        if present - t_ns > self._FREE_NS:
            self._move(present - t_ns + self._gap_ns // 2)

    def _observe(self, lead: int, now_ns: int) -> None:
        if self._best is None or now_ns - self._bucket_ns > self._BUCKET_NS:
            self._previous, self._best, self._bucket_ns = self._best, lead, now_ns
        else:
            self._best = max(self._best, lead)
        self._late.append(self._lead() - lead)
        self._count += 1
        if self._count % 64 == 0:
            usual = int(np.percentile(self._late, 95))
            self.held_ns = min(max(usual - self._FREE_NS, 0), self._MOST_NS)

    def _lead(self) -> int:
        return max(v for v in (self._best, self._previous) if v is not None)
