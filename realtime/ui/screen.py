"""The live screen: Rich's `Live` on the alternate screen, drawn by a thread of its own.

Records only change the state and wake the thread, so a slow terminal (a serial line, a busy SSH link)
never holds up the loop. It draws at most ten times a second, and only when something changed.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderResult
from rich.control import Control
from rich.live import Live
from rich.segment import Segment

from ...model.level import level_dbfs
from ..core.clock import NS_PER_S, Clock, SystemClock
from ..core.errors import OutputError
from ..core.messages import Hop, Status, StreamEnd, StreamStart, TimedAudio, TimedFrame
from ..core.text import visible
from ..sinks.base import Sink
from .console import Clean, Console, cleaned
from .layout import compose, meter_line
from .state import ScreenState
from .stderr import HeldStderr
from .summary import summary
from .theme import ASCII, Glyphs, Theme

MAX_RATE = 10
"""Redraws a second at most."""
_LEAVE_S = 4.0
"""How long the terminal may take to be given back."""
_IDLE_NS = NS_PER_S // 2
"""How soon a changed window size is noticed while nothing else happens."""


def theme_for(console: RichConsole) -> Theme:
    """What this terminal can show."""
    color = console.color_system is not None and not console.no_color
    unicode = not console.options.ascii_only
    return Theme(
        color=color,
        fine=console.color_system in ("256", "truecolor"),
        glyphs=Glyphs() if unicode else ASCII,
    )


class Screen(Sink):
    """A sink that shows the stream on a terminal and a summary when it is over.

    `threaded=False` draws nothing by itself: tests call `refresh`.
    """

    def __init__(
        self,
        console: RichConsole,
        clock: Clock | None = None,
        *,
        threaded: bool = True,
        gone: Callable[[], None] | None = None,
    ) -> None:
        self.stuck = False
        """Whether the terminal took nothing any more when the screen was closed."""
        self._gone = gone
        self.state = ScreenState()
        self.drawn = 0
        """Redraws so far."""
        self._console = console
        self._theme = theme_for(console)
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._news = True
        self._level_moved = False
        self._size = console.size
        self._meter_row: int | None = None
        # Beside `Live`, which would draw the whole screen again for one line.
        self._direct = Console(
            file=console.file,
            force_terminal=True,
            color_system=console.color_system,  # type: ignore[arg-type]
            no_color=console.no_color,
            legacy_windows=console.legacy_windows,
        )
        self._closed = False
        self._broken: Exception | None = None
        self._live = Live(
            self,
            console=console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._held = HeldStderr()
        if console.file.isatty():
            self._held.start()
        self._live.start()
        self._thread: threading.Thread | None = None
        if threaded:
            self._thread = threading.Thread(target=self._run, name="screen", daemon=True)
            self._thread.start()

    # Sink -----------------------------------------------------------------------------------------

    def start(self, start: StreamStart) -> None:
        """Show what is being listened to."""
        with self._lock:
            self.state.take_start(start)
        self._changed()

    def hop(self, record: Hop) -> None:
        """Show one more answer."""
        with self._lock:
            self.state.take_hop(record)
        self._changed()

    def status(self, status: Status) -> None:
        """Show the state of a device."""
        with self._lock:
            self.state.take_status(status)
        self._changed()

    def level(self, dbfs: float) -> None:
        """Move the sound meter between hops; cheap, callable from any thread."""
        with self._lock:
            self.state.take_level(dbfs)
        self._level_moved = True
        self._wake.set()

    def media(self, item: TimedFrame | TimedAudio) -> None:
        """Listen along, so that the sound meter moves between hops."""
        if isinstance(item, TimedAudio) and item.samples.size:
            self.level(level_dbfs(item.samples))

    def end(self, end: StreamEnd) -> None:
        """Take the last events and the totals; they are printed by `close`."""
        with self._lock:
            self.state.take_end(end)
        self._changed()

    def close(self) -> None:
        """Give the terminal back as it was and print the summary below; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._stop.set()
        self._wake.set()
        # In a thread of its own: a terminal that was stopped (Ctrl-S, a dead connection) takes nothing, and
        # whoever ends the program shall not wait for it.
        leaving = threading.Thread(target=self._leave, name="screen-leaving", daemon=True)
        leaving.start()
        leaving.join(_LEAVE_S)
        self.stuck = leaving.is_alive()

    def _leave(self) -> None:
        try:
            if self._thread is not None:
                self._thread.join()
            if self._broken is None:
                self._live.stop()
                for line in self._held.stop():
                    print(visible(line), file=sys.stderr)
                if self.state.end is not None:
                    with self._lock:
                        self._console.print(Clean(summary(self.state, self._console.width, self._theme)))
            else:
                self._held.stop()
        except OSError:  # it was closed: nobody is there to be told
            return

    # Drawing --------------------------------------------------------------------------------------

    def __rich_console__(self, console: RichConsole, options: ConsoleOptions) -> RenderResult:
        """The frame at the terminal's present size."""
        width, height = options.max_width, options.height or console.height
        with self._lock:
            lines, self._meter_row = compose(self.state, width, height, self._theme)
        for number, line in enumerate(lines):
            yield from cleaned(line.render(console))
            if number < len(lines) - 1:
                yield Segment.line()

    def refresh(self) -> None:
        """Draw now."""
        self._news = self._level_moved = False
        size = self._console.size
        if size != self._size:
            # Some terminals reflow what is there; begin from nothing.
            self._console.control(Control.clear())
            self._size = size
        self._live.refresh()
        self.drawn += 1

    def refresh_meter(self) -> None:
        """Draw the sound meter's line alone: a twentieth of the work of a whole frame."""
        self._level_moved = False
        if self._meter_row is None:
            return
        width = self._size.width
        with self._lock:
            line = meter_line(self.state, width, self._theme)
        self._direct.print(
            Control.move_to(0, self._meter_row), line, end="", width=width, sep="", soft_wrap=True
        )
        self.drawn += 1

    def _changed(self) -> None:
        if isinstance(self._broken, OSError) and self._gone is not None:
            gone, self._gone = self._gone, lambda: None
            gone()
        elif self._broken is not None:
            what = "terminal is gone" if isinstance(self._broken, OSError) else "screen can't be drawn"
            raise OutputError(f"the {what} ({self._broken}); run with --no-ui or --json in a service")
        self._news = True
        self._wake.set()

    def _run(self) -> None:
        last_ns = self._clock.now_ns() - NS_PER_S
        try:
            while not self._stop.is_set():
                self._clock.wait_until(self._clock.now_ns() + _IDLE_NS, self._wake)
                self._wake.clear()
                if not (self._news or self._level_moved or self._console.size != self._size):
                    continue
                pause_until = last_ns + NS_PER_S // MAX_RATE
                if self._clock.now_ns() < pause_until:
                    self._clock.wait_until(pause_until, self._stop)
                if self._stop.is_set():
                    break
                last_ns = self._clock.now_ns()
                if self._news or self._console.size != self._size:
                    self.refresh()
                else:
                    self.refresh_meter()
        except Exception as error:  # this thread dies; a frozen screen must not look like a quiet room
            # A closed terminal, mostly: the loop hears of it with the next record.
            self._broken = error
