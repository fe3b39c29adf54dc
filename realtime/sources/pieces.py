"""Time stamps that restart, jump, or are wrong for a moment, made into one line of time.

Transport and program streams joined byte by byte, chained Ogg, joined FLV, recorders whose clock is set: the
stamps of such files begin anew in the middle. Packets of all tracks go through here in the order of the file,
and the tracks are judged together:

    a step back that stays       a new piece: all tracks go on, by one shift, where the longest of them ended
    a step ahead of all tracks   a hole in the recording; kept (more than a day: a clock was set, a new piece)
    a step of one track alone    its own stamps are wrong: it goes on where it was
    a few packets that return    wrong stamps: the packets get the places where they are expected

While a step is judged, packets are held back; otherwise they pass at once. What it decides depends on the
packets alone, so two readers of one file decide the same. Times in nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ..core.clock import NS_PER_S
from ..core.states import State

_BACK_NS: Final = NS_PER_S // 2
"""A step back further than this is none of reordering."""
AHEAD_NS: Final = 10 * NS_PER_S
"""A step ahead of every track further than this is no lost packet."""
_DAY_NS: Final = 24 * 3600 * NS_PER_S
_FEW: Final = 4
"""So many packets in a row are no slip."""
_ALONE_NS: Final = 2 * NS_PER_S
"""A track that goes on for so long without the step of another has none."""
_PATIENCE_NS: Final = 3 * NS_PER_S
_MOST_HELD: Final = 2000


@dataclass(slots=True)
class Stamped:
    """A packet and its times; `shift_ns` is to be added to both."""

    track: int
    dts_ns: int
    pts_ns: int
    length_ns: int
    packet: Any
    shift_ns: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was found: `at_ns` on the joint line of time; `ns` long, where it is a hole."""

    kind: Literal["piece", "hole", "track", "slip"]
    at_ns: int
    ns: int = 0


@dataclass
class _Line:
    """One track on the joint line of time."""

    shift_ns: int = 0
    last_ns: int | None = None
    """Decoding time of the newest packet; None lets the next one be anywhere."""
    end_ns: int | None = None
    waiting: list[Stamped] | None = field(default_factory=list)
    """The first few packets, until it is known that none of them slipped; then None."""


@dataclass
class Pieces:
    """Give it every packet with `push`, and take what comes out."""

    steps: list[Step] = field(default_factory=list)
    _lines: dict[int, _Line] = field(default_factory=dict)
    _held: list[Stamped] = field(default_factory=list)

    def passes(self, one: Stamped) -> bool:
        """Whether a packet is where it is expected and nothing is held: then it is placed, as by `push`.

        Nearly all are; False leaves everything as it was.
        """
        line = self._lines.get(one.track)
        if self._held or line is None or line.waiting is not None:
            return False
        at, last_ns, end_ns = one.dts_ns + line.shift_ns, line.last_ns, line.end_ns
        # Not ahead of its own track: not ahead of all of them.
        near = last_ns is not None and end_ns is not None and last_ns - _BACK_NS <= at <= end_ns + AHEAD_NS
        if not near and not self._fits(line, one):
            return False
        self._place(line, one)
        return True

    def push(self, one: Stamped) -> Iterator[Stamped]:
        """Packets that are placed now, in order."""
        if self._held:
            self._held.append(one)
            yield from self._judge(over=False)
            return
        line = self._lines.get(one.track)
        if line is None:
            line = self._lines[one.track] = _Line(self._shift_of_others())
        if line.waiting is not None:
            line.waiting.append(one)
            if len(line.waiting) == _FEW:
                yield from self._begin(line)
        elif self._fits(line, one):
            yield self._place(line, one)
        else:
            self._held.append(one)

    def finish(self) -> Iterator[Stamped]:
        """The file is over: what is still held."""
        for line in self._lines.values():
            yield from self._begin(line)
        while self._held:
            yield from self._judge(over=True)

    def part(self, start_ns: int) -> Iterator[Stamped]:
        """A further file begins, with stamps from `start_ns` on: no doubt how what comes is to be read.

        Packets that are placed now come out. Stamps that go on where those before ended are left alone.
        """
        yield from self.finish()
        end = self._end_ns()
        if end is None or start_ns + self._shift_of_others() >= end:
            return
        for line in self._lines.values():
            line.shift_ns, line.last_ns, line.waiting = end - start_ns, None, []
        self.steps.append(Step("piece", end))

    def _begin(self, line: _Line) -> Iterator[Stamped]:
        """The first packets of a track. Those before a step among them slipped."""
        first, line.waiting = line.waiting or [], None
        for k in range(len(first) - 1, 0, -1):
            if first[k].dts_ns < first[k - 1].dts_ns - _BACK_NS:
                for j in range(k):
                    first[j].shift_ns = first[k].pts_ns - (k - j) * first[k].length_ns - first[j].pts_ns
                    first[j].shift_ns += line.shift_ns
                    yield first[j]
                first = first[k:]
                self.steps.append(Step("slip", first[0].pts_ns + line.shift_ns))
                break
        for one in first:
            yield from self.push(one)

    def _shift_of_others(self) -> int:
        return max((line.shift_ns for line in self._lines.values()), default=0)

    def _end_ns(self) -> int | None:
        return max((line.end_ns for line in self._lines.values() if line.end_ns is not None), default=None)

    def _fits(self, line: _Line, one: Stamped) -> bool:
        return not self._back(line, one) and not self._ahead(line, one)

    def _back(self, line: _Line, one: Stamped) -> bool:
        return line.last_ns is not None and one.dts_ns + line.shift_ns < line.last_ns - _BACK_NS

    def _ahead(self, line: _Line, one: Stamped) -> bool:
        if line.last_ns is None:
            return False
        at, end = one.dts_ns + line.shift_ns, self._end_ns()
        return end is not None and at > end + AHEAD_NS

    def _place(self, line: _Line, one: Stamped) -> Stamped:
        one.shift_ns = line.shift_ns
        line.last_ns = one.dts_ns + line.shift_ns
        end = one.pts_ns + line.shift_ns + one.length_ns
        if line.end_ns is None or end > line.end_ns:
            line.end_ns = end
        return one

    # A step -----------------------------------------------------------------------------------------

    def _judge(self, *, over: bool) -> Iterator[Stamped]:
        first = self._held[0]
        line = self._lines[first.track]
        own = [h for h in self._held if h.track == first.track]
        if (wrong := self._returning(line, own)) or (over and len(own) < _FEW and self._ahead(line, first)):
            yield from self._slip(line, own[: wrong or len(own)])
            return
        back = self._back(line, first)
        stepping = {first.track: first}
        alone = False
        for number, other in self._lines.items():
            theirs = [h for h in self._held if h.track == number]
            if number == first.track or not theirs or other.last_ns is None:
                continue
            test = self._back if back else self._ahead
            step = next((h for h in theirs if test(other, h)), None)
            if step is not None:
                stepping[number] = step
            elif theirs[-1].dts_ns + other.shift_ns - other.last_ns > _ALONE_NS:
                alone = True
        span_ns = own[-1].dts_ns - first.dts_ns
        known = alone or len(stepping) == len(self._lines) or span_ns > _PATIENCE_NS
        if not over and len(self._held) < _MOST_HELD and (len(own) < _FEW or not known):
            return
        yield from self._decided(stepping, back=back, alone=alone and len(stepping) == 1)

    def _returning(self, line: _Line, own: list[Stamped]) -> int:
        """How many packets are wrong, if the next one is where the track was before them; else 0."""
        assert line.last_ns is not None
        for k in range(1, min(_FEW, len(own))):
            back = abs(own[k].dts_ns - own[k - 1].dts_ns) > _BACK_NS
            since_ns = own[k].dts_ns + line.shift_ns - line.last_ns
            if back and 0 <= since_ns <= NS_PER_S + (k + 1) * own[k].length_ns:
                return k
        return 0

    def _slip(self, line: _Line, wrong: list[Stamped]) -> Iterator[Stamped]:
        """The packets `wrong` go where they are expected; what was held with them is judged anew."""
        held, self._held = self._held, []
        self.steps.append(Step("slip", line.end_ns or 0))
        for one in held:
            if any(one is w for w in wrong):
                at = line.end_ns if line.end_ns is not None else line.last_ns or 0
                one.shift_ns = at - one.pts_ns
                line.last_ns, line.end_ns = (line.last_ns or 0) + one.length_ns, at + one.length_ns
                yield one
            else:
                yield from self.push(one)

    def _decided(self, stepping: dict[int, Stamped], *, back: bool, alone: bool) -> Iterator[Stamped]:
        held, self._held = self._held, []
        begun = dict.fromkeys(stepping, False)
        # Where everything that still belongs to the time before ends.
        end = self._end_ns() or 0
        for one in held:
            if one.track in begun and one is stepping[one.track]:
                begun[one.track] = True
            elif not begun.get(one.track, False):
                end = max(end, one.pts_ns + self._lines[one.track].shift_ns + one.length_ns)
        first = next(iter(stepping.values()))
        hole_ns = min(h.pts_ns + self._lines[h.track].shift_ns for h in stepping.values()) - end
        shifts: dict[int, int] = {}
        if alone:
            line = self._lines[first.track]
            shifts = {first.track: (line.end_ns or 0) - _first_pts(held, first)}
            self.steps.append(Step("track", line.end_ns or 0))
        elif back or hole_ns > _DAY_NS:
            shift = end - min(_first_pts(held, h) for h in stepping.values())
            shifts = dict.fromkeys(self._lines, shift)
            self.steps.append(Step("piece", end))
        else:
            self.steps.append(Step("hole", end, hole_ns))
        for number in self._lines:
            if number not in stepping and number in shifts and not any(h.track == number for h in held):
                self._lines[number].shift_ns = shifts[number]
        for one in held:
            if one.track in stepping and one is stepping[one.track]:
                line = self._lines[one.track]
                line.shift_ns = shifts.get(one.track, line.shift_ns)
                line.last_ns = None
            yield from self.push(one)


def _first_pts(held: list[Stamped], first: Stamped) -> int:
    """Earliest presentation time of the few packets of a track that begin with `first`."""
    begun, found = False, []
    for one in held:
        begun = begun or one is first
        if begun and one.track == first.track:
            found.append(one.pts_ns)
    return min(found[:16])


def words(step: Step) -> tuple[State, str]:
    """A step of the time stamps, for people."""
    if step.kind == "hole":
        length = f"{step.ns / NS_PER_S:.0f} s" if step.ns < 3600 * NS_PER_S else f"{step.ns / 3.6e12:.1f} h"
        return "damaged", f"nothing was recorded for {length}; that time is passed over"
    if step.kind == "piece":
        return "running", "the time stamps begin anew: what follows is put after what came before"
    if step.kind == "track":
        return "running", "the time stamps of one track jump, the other goes on: the jump is left out"
    return "running", "a few time stamps are wrong: their packets were put where they belong"
