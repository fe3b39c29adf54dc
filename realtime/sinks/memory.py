"""`--memory`: events and states of devices in one SQLite file, for `avel events`.

Rows are made where the record comes by, and kept by a thread: at once where nothing was kept in the last
second, else when it is over. While the file can't be written (a full disk, a lock) rows wait, bounded, and
the stream goes on; it is said once, and again when it works.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from ..core.clock import NS_PER_S
from ..core.errors import OutputError
from ..core.options import OUTPUTS, Option
from .base import About, Clip, Ongoing, Sink, SinkOptions, words
from .room import over

if TYPE_CHECKING:
    from ..core.messages import Event, Hop, Status, StreamEnd, StreamStart
    from ..core.states import State
    from ..memory.write import Row, Run, Writer
    from .clips.store import Budget

COMMIT_NS: Final = NS_PER_S
"""What was said is kept at the latest after this."""
FLUSH_S: Final = 5.0
WAITING: Final = 20_000
"""Rows that wait while the file can't be written; then the oldest are lost, and counted."""
_SEEN_NS: Final = 60 * NS_PER_S
_TEND_NS: Final = 3600 * NS_PER_S


@dataclass(frozen=True)
class MemoryOptions(SinkOptions):
    """The memory of events: where, and for how long."""

    enabled: Annotated[
        bool, Option("--memory", panel=OUTPUTS, help="remember events in the data folder, for `avel events`")
    ] = False
    path: Annotated[
        Path | None,
        Option(
            "--memory-file",
            panel=OUTPUTS,
            metavar="FILE",
            help="remember them in this file instead of the data folder's memory.sqlite",
        ),
    ] = None
    keep: str | None = None
    """Forget events beyond this age or size of the file (`400d`, `2GB`); totals by hour stay."""

    @property
    def wanted(self) -> bool:
        """Whether anything is to be remembered."""
        return self.enabled or self.path is not None

    @property
    def file(self) -> Path:
        """Where it is remembered, if it is."""
        from ..memory import default_path

        return (self.path or default_path()).absolute()

    def build(self, about: About) -> Sink | None:
        """A sink with a thread of its own."""
        if not self.wanted:
            return None
        from .clips.store import Budget

        budget = Budget.parse(self.keep, "memory.keep")
        return MemorySink(self.file, budget, about)


class MemorySink(Sink):
    """Remembers one stream.

    Args:
        path: the file; made where there is none.
        budget: what is forgotten.
        about: the stream. Told when the file can't be written, and when it can again.

    Raises:
        OutputError: the file can't be opened.

    """

    def __init__(self, path: Path, budget: Budget, about: About) -> None:
        from ..memory import MemoryFileError, Writer

        self._path, self._budget, self._about = path, budget, about
        try:
            self._writer: Writer = Writer(path)
        except MemoryFileError as error:
            raise OutputError(f"memory: {error}") from error
        old = about.replaces.sink if about.replaces is not None else None
        self.run: int | None = old.run if isinstance(old, MemorySink) and old._path == path else None
        """Number of the run in the file; in a reload that of the one whose place is taken."""
        self._start: Run | None = None
        self._zero_s = about.wall_s()
        self._waiting: deque[Row] = deque()
        self._began: dict[int, tuple[float, int]] = {}
        """Of open events: the second of the stream and the time of day at which they began."""
        self._changed = threading.Condition()
        self._closing = False
        self._lost = self._lost_told = 0
        self._failing = False
        self._thread = threading.Thread(target=self._work, name="memory", daemon=True)
        self._thread.start()

    # The loop's side --------------------------------------------------------------------------------

    def start(self, start: StreamStart) -> None:
        """A new run. A recording has no time of day: its own begins when it is played."""
        from ..memory.times import zone_name
        from ..memory.write import Run

        self._zero_s = self._about.wall_s() if start.wall_clock is None else start.wall_clock
        with self._changed:
            self._start = Run(
                stream=self._about.name,
                started_us=self._us(0.0),
                source=start.source.name,
                model=f"{start.profile} {start.backend} {start.precision}",
                calibration=start.calibration,
                version=start.version,
                zone=zone_name(),
            )
            self._changed.notify_all()

    def resume(self, ongoing: Ongoing) -> None:
        """Remember what is open."""
        self._events(ongoing.events)

    def hop(self, record: Hop) -> None:
        """Remember its events."""
        self._zero_s = self._zero_s if record.wall_clock is None else record.wall_clock
        if record.events:
            self._events(record.events)

    def status(self, status: Status) -> None:
        """Remember what a device said; `memory` itself says nothing that could be kept."""
        from ..memory.write import StateRow

        if status.device != "memory":
            at_us = self._us(status.t_ns / NS_PER_S)
            self._put(StateRow(status.device, at_us, status.state, status.severity, status.reason))

    def end(self, end: StreamEnd) -> None:
        """Remember what ended with the stream."""
        self._zero_s = self._zero_s if end.wall_clock is None else end.wall_clock
        self._events(end.last_events)

    def clip_written(self, clip: Clip) -> None:
        """Remember where an event can be seen; from the recorder's thread, perhaps after `close`."""
        from ..memory.write import ClipRow

        thumbnail = None if clip.thumbnail is None else str(clip.thumbnail)
        row = ClipRow(str(clip.path), thumbnail, self._us(clip.start_s), self._us(clip.end_s), clip.events)
        if not self._put(row):
            self._thread.join(FLUSH_S)
            self._late(row)

    def close(self) -> None:
        """Keep what waits, at most for `flush_s`; safe to call twice."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if not self._about.flush(over(self._thread), FLUSH_S):
            self._say("failed", f"{self._path}: {len(self._waiting)} records not kept in time")

    def _us(self, stream_s: float) -> int:
        return round((self._zero_s + stream_s) * 1e6)

    def _events(self, events: tuple[Event, ...]) -> None:
        from ..memory.write import EventRow

        for event in events:
            start_us = self._us(event.start_s)
            # The day may be set anew while it lasts: an event keeps the time that it began at.
            known = self._began.pop(event.id, None)
            if known is not None and known[0] == event.start_s:
                start_us = known[1]
            if event.kind in ("start", "update"):
                self._began[event.id] = event.start_s, start_us
            lasted_s = None if event.end_s is None else event.end_s - event.start_s
            self._put(
                EventRow(
                    number=event.id,
                    label=event.name,
                    start_us=start_us,
                    end_us=None if lasted_s is None else start_us + round(lasted_s * 1e6),
                    confidence=event.confidence,
                    retracted=event.kind == "retract",
                    correction=event.kind in ("update", "retract"),
                )
            )

    def _put(self, row: Row) -> bool:
        """Let it wait to be kept; False when nothing is kept any more."""
        with self._changed:
            if self._closing:
                return False
            if len(self._waiting) >= WAITING:
                self._waiting.popleft()
                self._lost += 1
            self._waiting.append(row)
            self._changed.notify_all()
            return True

    # The keeper's own thread -------------------------------------------------------------------------

    def _work(self) -> None:
        replaces = self._about.replaces
        while replaces is not None and not replaces.gone.wait(0.1) and not self._closing:
            pass
        clock = self._about.clock
        kept_ns = seen_ns = tended_ns = clock.now_ns() - _TEND_NS
        while True:
            with self._changed:
                while not self._closing:
                    due_ns = kept_ns + COMMIT_NS if self._waiting or self.run is None else seen_ns + _SEEN_NS
                    wait_s = (due_ns - clock.now_ns()) / NS_PER_S
                    if self._start is not None and wait_s <= 0:
                        break
                    self._changed.wait(wait_s if self._start is not None else None)
                rows, lost, closing = list(self._waiting), self._lost, self._closing
            if self._start is not None:
                kept_ns = seen_ns = clock.now_ns()
                self._keep(self._start, rows, lost)
            if closing:
                if self._waiting and self._start is not None:
                    self._say("failed", f"{self._path}: {len(self._waiting)} records could not be kept")
                break
            if clock.now_ns() - tended_ns >= _TEND_NS:
                tended_ns = clock.now_ns()
                self._tend()
        self._writer.close()

    def _keep(self, start: Run, rows: list[Row], lost: int) -> None:
        from ..memory import MemoryFileError

        try:
            if self.run is None:
                self.run = self._writer.begin(start)
                self._writer.close_open(start.stream, self.run)
            self._writer.add(self.run, rows, round(self._about.wall_s() * 1e6))
        except MemoryFileError as error:
            if not self._failing:
                self._failing = True
                self._say("failing", f"{words(error)}; events wait, and are kept when it works again")
            return
        with self._changed:
            # What had to go since these were looked at went from among them: it is kept all the same.
            kept_too = self._lost - lost
            for _ in range(len(rows) - kept_too):
                self._waiting.popleft()
            lost -= self._lost_told
            self._lost_told = self._lost
        if self._failing or lost:
            self._failing = False
            self._say("running", "works again" + (f"; {lost} records were lost meanwhile" if lost else ""))

    def _tend(self) -> None:
        """Forget what is beyond the budget, and clips that are gone."""
        from ..memory import MemoryFileError
        from ..memory.tend import expire, forget_clips, shrink

        now_us = round(self._about.wall_s() * 1e6)
        try:
            forget_clips(self._path)
            if self._budget.max_age_s is not None:
                expire(self._path, now_us - round(self._budget.max_age_s * 1e6), now_us)
            if self._budget.max_bytes is not None:
                shrink(self._path, self._budget.max_bytes)
        except MemoryFileError as error:
            self._say("failing", f"{words(error)}; nothing was forgotten")

    def _late(self, row: Row) -> None:
        """Keep one more row after the thread has ended."""
        from ..memory import MemoryFileError, Writer

        try:
            if self.run is not None:
                writer = Writer(self._path)
                writer.add(self.run, [row])
                writer.close()
        except MemoryFileError as error:
            self._say("failing", words(error))

    def _say(self, state: State, reason: str) -> None:
        self._about.report("memory", state, reason)
