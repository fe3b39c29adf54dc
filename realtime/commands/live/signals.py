"""Ctrl-C and SIGTERM: the first asks the stream to end, the second ends the process at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType


class Signals:
    """Handlers for the main thread.

    Before `on_stop` the first signal ends whatever is being loaded by a `SystemExit` with code 0: loading
    can take minutes. Whoever lets go of files and screens on its way then calls `leave`.
    """

    def __init__(self) -> None:
        self._stop: Callable[[], None] | None = None
        self._asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def on_stop(self, stop: Callable[[], None]) -> None:
        """From now on the first signal calls `stop`."""
        self._stop = stop
        if self._asked:
            stop()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._asked:
            os._exit(128 + number)
        self._asked = True
        if self._stop is None:
            raise SystemExit(0)
        self._stop()

    def leave(self) -> None:
        """End the process here, with code 0, if a signal came while networks were being loaded.

        A runtime that was left in the middle of loading has threads that know nothing of it, and they do
        not survive the end of the interpreter: it has been seen to crash on its way out.
        """
        if self._asked and self._stop is None:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError):  # its reader may be gone
                    stream.flush()
            os._exit(0)
