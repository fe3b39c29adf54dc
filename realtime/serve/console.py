"""Standard output of several streams: plain lines with the stream's name before them, or JSON lines with it.

Each stream has a queue of its own before the one writer: a reader that stops reading costs lines, and delays
nobody.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Final, TextIO

from ..core.clock import Clock
from ..core.messages import Status
from ..core.text import one_line
from ..sinks.base import Report, Sink
from ..sinks.lines import LineWriter
from ..sinks.records import status_record, to_line
from ..sinks.stdout import JsonLines
from ..sinks.thread import SinkThread
from ..ui.plain import PlainLines

_WAIT_S: Final = 2.0
"""How long a line waits for the reader."""
_FLUSH_S: Final = 3.0


class Console:
    """Where all streams write.

    Args:
        json: records instead of words.
        clock: measures waits.
        stop: set when the program is asked to end.
        gone: called once when the reader of standard output is gone.
        stream: stands in for standard output.

    """

    def __init__(
        self,
        *,
        json: bool,
        clock: Clock,
        stop: threading.Event | None = None,
        gone: Callable[[], None] | None = None,
        stream: TextIO | None = None,
    ) -> None:
        self._json, self._clock = json, clock
        self._lines = LineWriter(stream or sys.stdout, clock, wait_s=_WAIT_S, stop=stop, gone=gone)
        self._lock = threading.Lock()

    def sink(self, name: str, report: Report) -> Sink:
        """What a stream of this name writes to; closed by whoever closes the stream's outputs."""
        lines = _Named(self.write, "" if self._json else f"{one_line(name)}: ")
        inner: Sink = JsonLines(lines, name) if self._json else PlainLines(lines)
        return SinkThread("console", inner, report, self._clock, deadline_s=_FLUSH_S)

    def say(self, status: Status, stream: str = "") -> None:
        """Something about the program as a whole, or a stream that is not running."""
        if self._json:
            record = status_record(status)
            self.write(to_line({"type": record["type"], **({"stream": stream} if stream else {}), **record}))
        else:
            reason = f": {status.reason}" if status.reason else ""
            self.write(one_line(f"{stream or 'avel serve'}: {status.device} {status.state}{reason}"))

    def write(self, line: str) -> None:
        """One line; waits a moment for a reader that takes nothing."""
        with self._lock:
            self._lines.write(line)

    def close(self) -> None:
        """Say what was lost; safe to call twice."""
        with self._lock:
            self._lines.close()


class _Named(LineWriter):
    """Lines of one stream, on their way to those of all."""

    def __init__(self, write: Callable[[str], None], before: str) -> None:
        self._write, self._before = write, before

    def write(self, line: str) -> None:
        self._write(self._before + line)

    def close(self) -> None:
        """The lines are everybody's."""
