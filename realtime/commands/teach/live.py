"""`avel teach NAME --live`: it watches, and Enter, or two claps, say that it happened just now.

What counts is the last three seconds before the key was pressed, or before the first clap; whatever lies two
seconds and more away from any of them is background of the place. Of every second only what the senses make
of it is kept; pictures and sound are forgotten after seven.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ....model.sound import SAMPLE_RATE
from ....model.teach.lesson import ENOUGH, LEAST, Seconds
from ....model.teach.pack import USED, checked_name
from ....model.teach.seconds import Sensation
from ....model.teach.senses import Sense, Senses
from ...config.schema import NONE, Config
from ...core.clock import NS_PER_S, Clock, SystemClock
from ...core.errors import UsageError
from ...core.messages import Segment
from ...stream.segments import segments
from ...ui.console import Console
from ..calibrate.store import per_hour_of
from .claps import Claps
from .examples import Example
from .gather import OWN_S, Gathered, background, given, joined, loud, sensed, senses_of, varied
from .lessons import Wanted, blank, conclude
from .manage import check_free
from .material import Material, Small

if TYPE_CHECKING:
    from ...sources.base import Source

BEFORE_NS: Final = 3 * NS_PER_S
"""People press when they have understood: so long ago the event may have begun."""
AWAY_NS: Final = 2 * NS_PER_S
AGAIN_NS: Final = 2 * NS_PER_S
"""A second press within this time is of the same event."""
_HELD: Final = 7
"""Three before a pair of claps, which is told two and a half seconds later at most."""
_BEFORE_CLAP_NS: Final = NS_PER_S * 3 // 100
"""An example ends so long before the first clap: hands are no part of it."""

Presses = Callable[[], Iterable[int]]
"""Instants of the stream at which a key was pressed since one asked last, in nanoseconds."""


@dataclass
class Watched:
    """What was seen and heard, and when somebody said that it happened."""

    used: tuple[Sense, ...]
    examples: Gathered = field(default_factory=Gathered)
    pressed_ns: list[int] = field(default_factory=list)
    material: Material | None = None
    _others: deque[tuple[int, Sensation, Small | None]] = field(default_factory=lambda: deque(maxlen=OWN_S))
    _recent: deque[Segment] = field(default_factory=lambda: deque(maxlen=_HELD))
    _waiting: list[int] = field(default_factory=list)
    _clapped: set[int] = field(default_factory=set)
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def press(self, at_ns: int, *, clapped: bool = False) -> bool:
        """Somebody said that it happened; whether that is news."""
        if any(abs(at_ns - other) < AGAIN_NS for other in (*self.pressed_ns, *self._waiting)):
            return False
        self._waiting.append(at_ns)
        if clapped:
            self._clapped.add(at_ns)
        return True

    @property
    def count(self) -> int:
        """How often it happened by now."""
        return len(self.pressed_ns) + len(self._waiting)

    def second(self, senses: Senses, segment: Segment) -> None:
        """A second is over."""
        self._recent.append(segment)
        small = None if self.material is None else Small.of(segment)
        self._others.append((segment.start_ns, sensed(senses, segment, self.used), small))
        for at_ns in [one for one in self._waiting if one <= segment.start_ns + NS_PER_S]:
            self._waiting.remove(at_ns)
            self._example(senses, at_ns)

    def finish(self, senses: Senses) -> None:
        """The stream is over: what was pressed last is of its end."""
        for at_ns in self._waiting:
            self._example(senses, at_ns)
        self._waiting.clear()

    def _example(self, senses: Senses, at_ns: int) -> None:
        number = len(self.pressed_ns)
        self.pressed_ns.append(at_ns)
        found = [s for s in self._recent if at_ns - BEFORE_NS < s.end_ns and s.start_ns < at_ns]
        if at_ns in self._clapped:
            found = self._before(at_ns - _BEFORE_CLAP_NS)
        for segment in loud(found) if "audio" in self.used and found else found:
            self.examples.add(sensed(senses, segment, self.used), number)
            if self.material is not None:
                self.material.example(number, segment)
            for made in varied(senses, *given(segment), self.used, self._rng):
                self.examples.add(made, number, copy=True)

    def _before(self, end_ns: int) -> list[Segment]:
        """The three seconds that end then, cut anew, each with the pictures of where most of it lies."""
        made: list[Segment] = []
        for last in range(end_ns - BEFORE_NS + NS_PER_S, end_ns + 1, NS_PER_S):
            first = last - NS_PER_S
            parts = [s for s in self._recent if s.start_ns < last and s.end_ns > first]
            if not parts or parts[0].start_ns > first or parts[-1].end_ns < last:
                continue
            at = (first - parts[0].start_ns) * SAMPLE_RATE // NS_PER_S
            sound = np.concatenate([s.audio for s in parts])[at : at + SAMPLE_RATE]
            most = max(parts, key=lambda s: min(last, s.end_ns) - max(first, s.start_ns))
            heard = all(s.sound for s in parts)
            made.append(replace(most, start_ns=first, end_ns=last, audio=sound, sound=heard))
        return made

    @property
    def background(self) -> Seconds:
        """All that is away from every press."""
        into = Gathered()
        for made, _ in self._away():
            into.add(made, 0)
        return into.seconds()

    def kept(self, numbers: Sequence[int]) -> dict[str, np.ndarray[Any, Any]]:
        """Seconds of these examples that can be seen and heard again; none unless `material` is there."""
        if self.material is None:
            return {}
        self.material.choose(numbers)
        for _, small in self._away():
            if small is not None:
                self.material.background(small)
        return self.material.arrays()

    def _away(self) -> Iterator[tuple[Sensation, Small | None]]:
        for start_ns, made, small in self._others:
            end_ns = start_ns + NS_PER_S
            if all(end_ns < at - BEFORE_NS - AWAY_NS or start_ns > at + AWAY_NS for at in self.pressed_ns):
                yield made, small


def watch(
    source: Source,
    senses: Senses,
    used: tuple[Sense, ...],
    presses: Presses,
    tell: Callable[[int], None],
    claps: Claps | None = None,
    material: Material | None = None,
) -> Watched:
    """Watch an open source to its end, or until `presses` raises `StopIteration`.

    Args:
        source: closed when it is over.
        senses: of the profile in use.
        used: which of them.
        presses: when somebody said that it happened.
        tell: is told how many examples there are.
        claps: hears two claps of the hands, which say so, too; None: nobody listens for them.
        material: is given small pictures and sounds of all that counts.

    """
    watched = Watched(used, material=material)
    stream = segments(source)
    try:
        for segment in stream:
            for at_ns in presses():
                if watched.press(at_ns):
                    tell(watched.count)
            for at_ns in () if claps is None else claps.heard(segment):
                if watched.press(at_ns, clapped=True):
                    tell(watched.count)
            watched.second(senses, segment)
    except StopIteration:
        pass
    finally:
        stream.close()  # type: ignore[attr-defined]  # a generator: it closes the source
    watched.finish(senses)
    return watched


class Keys:
    """Lines of standard input in a thread of their own: Enter says now, `q` and Enter says that is all."""

    def __init__(self, clock: Clock, stream_now_ns: Callable[[], int | None]) -> None:
        self._clock, self._stream_now_ns = clock, stream_now_ns
        self._lines: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="keys", daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            if line.strip().lower() in ("q", "quit"):
                break
            self._lines.put(self._clock.now_ns())
        self._lines.put(None)

    def __call__(self) -> Iterable[int]:
        """See `Presses`.

        Raises:
            StopIteration: that was all.

        """
        found: list[int] = []
        while not self._lines.empty():
            at_ns = self._lines.get()
            now_ns = self._stream_now_ns()
            if at_ns is None:
                if not found:
                    raise StopIteration
                self._lines.put(None)
                break
            if now_ns is not None:
                found.append(now_ns - (self._clock.now_ns() - at_ns))
        return found


def teach_live(config: Config, wanted: Wanted) -> None:
    """Watch, teach, tell, install.

    Raises:
        UsageError: too few presses, or what can't work.
        SourceError: the devices are lost for good.

    """
    from ...session.sources import make_source

    mode = wanted.mode
    name = checked_name(wanted.name)
    per_hour_of(wanted.budget)
    check_free(name, replacing=wanted.replace)
    if wanted.examples:
        raise UsageError("--live takes no examples: Enter says when it happens")
    if wanted.clap and config.mic == NONE:
        raise UsageError("--clap needs a microphone; leave --mic none out, or press Enter")
    console = Console(stderr=True)
    with console.status("loading the networks"):
        senses = senses_of(config)
    clock = SystemClock()
    source = make_source(config, clock)
    source.open()
    how = "clap twice or press Enter" if wanted.clap else "press Enter"
    console.print(f"watching {source.info.name}: {how} when it happens, q and Enter when that is all")

    def tell(count: int) -> None:
        enough = (
            f"; {ENOUGH} are plenty" if count >= ENOUGH else "; five to ten are good" if count < 5 else ""
        )
        console.print(f"  {count}{enough}", highlight=False)

    keys = Keys(clock, source.stream_now_ns)
    claps, material = Claps() if wanted.clap else None, Material() if wanted.keep else None
    watched = watch(source, senses, USED[mode], keys, tell, claps, material)
    examples = [Example(Path(f"live, {at / NS_PER_S:.0f} s")) for at in watched.pressed_ns]
    seconds = watched.examples.seconds()
    numbers, seconds = _usable(seconds, USED[mode])
    examples = [examples[k] for k in numbers]
    if len(examples) < LEAST:
        raise UsageError(f"{len(examples)} examples: {LEAST} are the least; press Enter each time it happens")
    own = watched.background
    if wanted.background:
        with console.status("looking at the background") as status:
            recordings = wanted.background
            own = joined(own, background(recordings, senses, USED[mode], status.update, material))
    card = replace(blank(wanted, senses), background=[str(path.resolve()) for path in wanted.background])
    conclude(wanted, senses, examples, seconds, own, card, watched.kept(numbers))


def _usable(seconds: Seconds, used: tuple[Sense, ...]) -> tuple[list[int], Seconds]:
    """Which examples have something for every sense in use, and their seconds, counted anew."""
    some = seconds.with_all(used) if len(seconds) else seconds
    numbers = np.unique(some.of).tolist()
    renamed = np.array([numbers.index(k) for k in some.of.tolist()], np.int64)
    return numbers, Seconds(some.arrays, some.has, renamed, some.copy)
