"""From the packets of one connection to pictures and sound: each is decoded when it is due.

    connection's thread   FFmpeg ──▶ `Playout.take` ──▶ queue of packets, stamped at arrival
    playout's thread      queue ──▶ wait until due ──▶ decoder ──▶ `emit`

Most streams are due when they come. Segments of a playlist come in bursts of seconds and are due one after
another; waiting as packets they cost little, and the networks see them as evenly as any camera's.

Sound is decoded before pictures that are due as well; what a machine can't decode in time is passed over
while that still helps (`lateness`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..core.clock import NS_PER_S, Clock
from ..core.states import State
from .account import TrackAccount
from .clocks.sender import SenderClock, Stamped
from .connect import Connection
from .disposable import Disposable
from .lateness import Lateness
from .stamps import is_empty, shown_ns

_BURST_NS = NS_PER_S // 5
"""What comes within this of the first packet had been waiting for us."""
_AHEAD_NS = 30 * NS_PER_S
"""Nothing is read further ahead than this; a sender that has more is made to wait."""
_EARLY_NS = 20_000_000
_STUCK = 8
"""So many packets of pictures in a row whose stamp does not move have none."""
_KEPT_STAMPS = 128
_HOLDS = 4
"""Packets a decoder may hold back without their being lost."""

Emit = Callable[[Any, int, Any], None]
"""A decoded frame, its stream time in ns, its stream."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    packet: Any
    t_ns: int
    """Of presentation, on the stream."""
    due_ns: int
    """When to decode it, on the stream."""
    at_ns: int
    """When it arrived."""


class Playout:
    """One connection's packets, played in step.

    Args:
        connection: open.
        clock: the one clock.
        sender: the sender's clock; shared with whoever asks for the present, under `lock`.
        lock: held around every use of `sender`.
        emit: called with every decoded frame, in the playout's thread.
        say: called when decoding falls behind, and when it no longer is.
        current: whether this connection still counts.
        accounts: where what can't be decoded is counted, by kind of track.
        spare: which pictures need not be decoded.
        wanted: whether a picture of an instant is; asked where each picture is made from no other.

    """

    def __init__(
        self,
        connection: Connection,
        clock: Clock,
        sender: SenderClock,
        lock: threading.Lock,
        emit: Emit,
        say: Callable[[State, str], None],
        current: Callable[[], bool],
        accounts: dict[str, TrackAccount],
        spare: Disposable | None = None,
        wanted: Callable[[int], bool] | None = None,
    ) -> None:
        self._clock, self._sender, self._lock = clock, sender, lock
        self._emit, self._current, self._accounts = emit, current, accounts
        self._stampless, self._spare, self._wanted = connection.stampless, spare, wanted
        self._lateness = Lateness(say)
        self._sounds, self._pictures = deque[_Waiting](), deque[_Waiting]()
        self._changed = threading.Condition(threading.RLock())
        self._over = False
        self._burst: list[tuple[Any, int]] | None = None if sender.paced else []
        self._shown: OrderedDict[int, int] = OrderedDict()
        self._shift_ns: dict[str, int] = {}
        self._order_ns: int | None = None
        self._stuck = 0
        self._in = self._out = self._charged = 0
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="playout", daemon=True)

    def start(self) -> None:
        """Begin to play, in a thread of its own."""
        self._thread.start()

    # The connection's side ------------------------------------------------------------------------

    def take(self, packet: Any) -> None:
        """A packet has arrived. Waits where the sender is far ahead.

        Raises:
            SourceError: what came before can't be used, and nothing of it could.

        """
        if self._failed is not None:
            raise self._failed
        now_ns = self._clock.now_ns()
        with self._changed:
            if self._burst is not None:
                self._burst.append((packet, now_ns))
                self._changed.notify_all()
                return
        self._put([(packet, now_ns)], first=False)
        self._hold_up()

    def finish(self) -> None:
        """The connection is over: what waits is still played, as it falls due."""
        with self._changed:
            self._end_burst(now=True)
            self._over = True
            self._changed.notify_all()
        while self._thread.is_alive() and self._current():
            self._thread.join(0.2)
        self._thread.join(0.5)
        if self._failed is not None:
            raise self._failed

    def _end_burst(self, *, now: bool = False) -> None:
        """Place what came first, once a fifth of a second has passed since; called with the queue locked."""
        if self._burst is None or (not self._burst and not now):
            return
        if not now and self._clock.now_ns() - self._burst[0][1] < _BURST_NS:
            return
        burst, self._burst = self._burst, None
        if burst:
            self._put(burst, first=True)

    def _put(self, packets: list[tuple[Any, int]], *, first: bool) -> None:
        stamped = [self._stamped(packet, now_ns) for packet, now_ns in packets]
        known = [one for one in stamped if one is not None]
        with self._lock:
            if first:
                times = iter(self._sender.place_first(known))
            else:
                times = iter([self._sender.place_packet(one) for one in known])
            waiting = []
            for (packet, now_ns), one in zip(packets, stamped, strict=True):
                if one is None:
                    t_ns = due_ns = self._sender.arrived(now_ns)
                else:
                    t_ns = next(times)
                    due_ns = t_ns - (one.pts_ns - one.order_ns)
                waiting.append(_Waiting(packet, t_ns, due_ns, now_ns))
        with self._changed:
            for item in waiting:
                pictured = item.packet.stream.type == "video"
                (self._pictures if pictured else self._sounds).append(item)
            self._changed.notify_all()

    def _stamped(self, packet: Any, now_ns: int) -> Stamped | None:
        """None where the packet has no time of its own."""
        pts = packet.dts if packet.pts is None else packet.pts
        pictured = packet.stream.type == "video"
        if pts is None or (pictured and self._stampless):
            return None
        order = pts if packet.dts is None else packet.dts
        base = packet.time_base
        order_ns = round(order * base * NS_PER_S)
        if pictured:
            self._stuck = self._stuck + 1 if order_ns == self._order_ns else 0
            self._order_ns = order_ns
            if self._stuck >= _STUCK:
                self._stampless = True
                return None
        length_ns = round((packet.duration or 0) * base * NS_PER_S)
        return Stamped(round(pts * base * NS_PER_S), now_ns, packet.stream.type, order_ns, length_ns)

    def _hold_up(self) -> None:
        while self._current():
            with self._changed:
                newest = [queue[-1].due_ns for queue in (self._sounds, self._pictures) if queue]
                if max(newest, default=0) < self._present_ns() + _AHEAD_NS:
                    return
                self._changed.wait(0.1)

    def _present_ns(self) -> int:
        with self._lock:
            return self._sender.arrived(self._clock.now_ns())

    # The playout's side ---------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while (waiting := self._next()) is not None:
                self.decode(waiting)
        except BaseException as error:
            self._failed = error

    def _next(self) -> _Waiting | None:
        """The oldest packet, once it is due; None at the end, or when it no longer counts."""
        while self._current():
            with self._changed:
                if (due := self.due()) is not None:
                    return due
                waiting = [queue[0].due_ns for queue in (self._sounds, self._pictures) if queue]
                if not waiting:
                    if self._over:
                        return None
                    self._changed.wait(0.1 if self._burst is None else 0.02)
                    continue
                early_ns = min(waiting) - self._present_ns() - _EARLY_NS
                self._changed.wait(min(0.1, max(0, early_ns) / NS_PER_S))
        return None

    def due(self) -> _Waiting | None:
        """A packet that is due now, sound before pictures; None where none is."""
        with self._changed:
            self._end_burst()
            present_ns = self._present_ns()
            for queue in (self._sounds, self._pictures):
                if queue and queue[0].due_ns - present_ns <= _EARLY_NS:
                    self._changed.notify_all()
                    return queue.popleft()
        return None

    def decode(self, waiting: _Waiting) -> None:
        """Decode a packet and hand on what comes of it, or pass it over."""
        from av.error import FFmpegError

        packet = waiting.packet
        if is_empty(packet):
            return  # the same picture again, or silence
        kind = packet.stream.type
        pictured = kind == "video"
        pts = packet.dts if packet.pts is None else packet.pts
        if pts is not None:
            base_ns = round(pts * packet.time_base * NS_PER_S)
            self._shift_ns[kind] = waiting.t_ns - base_ns
            if pictured:
                self._shown[pts] = waiting.t_ns
                while len(self._shown) > _KEPT_STAMPS:
                    self._shown.popitem(last=False)
        if pictured:
            if self._spare is not None and self._spare.skip(packet):
                return
            if self._wanted is not None and not self._wanted(waiting.t_ns):
                return
            if self._passed_over(waiting):
                self._accounts["video"].late_ns += shown_ns(packet)
                return
            self._in += 1
        try:
            frames = packet.decode()
        except (FFmpegError, OSError):
            frames = []  # counted below, and one bad packet is no reason to hang up
            if not pictured:
                length_ns = round((packet.duration or 0) * packet.time_base * NS_PER_S)
                self._accounts[kind].undecodable_ns += length_ns
        for frame in frames:
            self._hand_on(frame, packet.stream, waiting.t_ns)
        if pictured:
            self._charge(packet)

    def _hand_on(self, frame: Any, stream: Any, arrived_ns: int) -> None:
        if stream.type == "video":
            self._out += 1
            if self._stampless or frame.pts is None:
                t_ns = arrived_ns
            else:
                t_ns = self._shown.get(frame.pts, arrived_ns)
        elif frame.pts is None:
            t_ns = arrived_ns
        else:
            t_ns = round(frame.pts * frame.time_base * NS_PER_S) + self._shift_ns["audio"]
        self._emit(frame, t_ns, stream)

    def _charge(self, packet: Any) -> None:
        """Packets that went in and out of which no picture came: undecodable, or passed over."""
        lost = self._in - self._out - _HOLDS
        if lost > self._charged:
            self._charged = lost
            length_ns = shown_ns(packet)
            account = self._accounts["video"]
            if self._lateness.passing != "nothing":
                account.late_ns += length_ns
            else:
                account.undecodable_ns += length_ns

    def _passed_over(self, waiting: _Waiting) -> bool:
        now_ns = self._clock.now_ns()
        # Since it was due and here: what arrives late is no reason to pass over anything.
        lag_ns = min(self._present_ns() - waiting.due_ns, now_ns - waiting.at_ns)
        return self._lateness.passes_over(waiting.packet, now_ns, lag_ns)
