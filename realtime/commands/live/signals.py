"""Ctrl-C and SIGTERM: the first asks the stream to end, the second ends the process at once.

SIGHUP means two things. Whose terminal was closed is to end, as by Ctrl-C; a service has none, and is to
read its configuration again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final

from ..early import EarlyHangUp, has_terminal

_HANG_UP: Final = getattr(signal, "SIGHUP", None)


class Signals:
    """Handlers for the main thread.

    Before `on_stop` the first signal ends whatever is being loaded by a `SystemExit` with code 0: loading
    can take minutes. Whoever lets go of files and screens on its way then calls `leave`. A SIGHUP that comes
    so early is kept for `on_reload`.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        """Set by the first signal: outputs that wait look at it."""
        self._stop: Callable[[], None] | None = None
        self._reload: Callable[[], None] | None = None
        self._asked = self._reload_asked = False
        self._terminal = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)
        if _HANG_UP is not None:
            before = signal.getsignal(_HANG_UP)
            early = before if isinstance(before, EarlyHangUp) else EarlyHangUp()
            # With `nohup` a closed terminal is to change nothing.
            self._terminal = before is not signal.SIG_IGN and early.terminal
            signal.signal(_HANG_UP, self._hang_up)
            if early.came:
                self._hang_up(_HANG_UP, None)

    def on_stop(self, stop: Callable[[], None]) -> None:
        """From now on the first signal calls `stop`."""
        self._stop = stop
        if self._asked:
            stop()

    def on_reload(self, reload: Callable[[], None]) -> None:
        """From now on SIGHUP calls `reload`; at once, if one has come before."""
        self._reload = reload
        if self._reload_asked:
            reload()

    def reader_gone(self) -> None:
        """Nobody reads what we print any more: end, as if a signal had come.

        Raises:
            BrokenPipeError: before there is a stream that could end.

        """
        if self._stop is None:
            raise BrokenPipeError
        self._ask()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._asked:
            os._exit(128 + number)
        self._ask()

    def _hang_up(self, _number: int, _frame: FrameType | None) -> None:
        if self._terminal and not has_terminal():
            # Several processes say so, one after another: the second is no reason to hurry.
            if not self._asked:
                self._ask()
        elif self._reload is None:
            self._reload_asked = True
        else:
            self._reload()

    def _ask(self) -> None:
        self._asked = True
        self.stop.set()
        if self._stop is None:
            raise SystemExit(0)
        self._stop()

    def leave(self) -> None:
        """End the process here, with code 0, if a signal came while networks were being loaded.

        A runtime that was left in the middle of loading has threads that know nothing of it, and they do
        not survive the end of the interpreter: it has been seen to crash on its way out.
        """
        if self._asked and self._stop is None:
            quit_now()


def quit_now() -> None:
    """End the process with code 0, without waiting for anything."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # its reader may be gone
            stream.flush()
    os._exit(0)
