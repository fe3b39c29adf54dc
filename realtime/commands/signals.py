"""Ctrl-C and SIGTERM: the first asks the stream to end, the second ends the process at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType


class Signals:
    """Handlers for the main thread; before `on_stop` a signal ends whatever is being loaded, with code 0."""

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
