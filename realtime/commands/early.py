"""SIGHUP while the program is still being imported: remembered, where it would be deadly."""

from __future__ import annotations

import os
import signal
from types import FrameType


class EarlyHangUp:
    """A handler that only remembers; `live.signals` takes over from it."""

    def __init__(self) -> None:
        self.came = False
        self.terminal = has_terminal()
        """Whether there was a terminal to begin with: if it is gone later, it was closed."""

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """The signal."""
        self.came = True


def hold_hang_ups() -> None:
    """From now on SIGHUP is kept; not where the caller wants it ignored (`nohup`)."""
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, EarlyHangUp())


def has_terminal() -> bool:
    """Whether this process has a controlling terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))
    except (OSError, AttributeError):
        return False
    return True
