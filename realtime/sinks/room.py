"""Waiting for an output: how long it may hold up the loop, and how long it may take at the end.

A live stream never waits for an output. A recording does, and loses nothing; but not for ever (`wait_s`,
then what has no room is counted as lost), and not once it is asked to stop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..core.clock import NS_PER_S, Clock

_LOOK_S = 0.1
"""How often a wait looks whether it is still worth while. Short: a signal asks the main thread to stop, and
that is the thread that waits."""


class Room:
    """Waits until a queue has room, at most for `longest_s`; once that was in vain, not at all until it has.

    Args:
        longest_s: the longest wait.
        stop: set when the stream is asked to end; no wait outlives it.
        clock: measures the wait.

    """

    def __init__(self, longest_s: float, stop: threading.Event | None, clock: Clock) -> None:
        self._longest_s, self._stop, self._clock = longest_s, stop, clock
        self._in_vain = False

    def wait(self, changed: threading.Condition, free: Callable[[], bool]) -> bool:
        """Wait for `free`, with `changed` held; False where the caller has to make room itself."""
        if free():
            self._in_vain = False
            return True
        until_ns = self._clock.now_ns() + self._longest_s * NS_PER_S
        while not self._in_vain and not (self._stop is not None and self._stop.is_set()):
            changed.wait(_LOOK_S)
            if free():
                return True
            self._in_vain = self._clock.now_ns() >= until_ns
        return False


def patient(done: Callable[[float], bool], allowed_s: Callable[[], float]) -> bool:
    """Call `done` (which waits for so many seconds, and says whether it is) until it is, or time is over.

    Args:
        done: as `Event.wait`.
        allowed_s: seconds from the beginning of this call; asked again and again, for a stop shortens them.

    """
    waited_s = 0.0
    while True:
        slice_s = min(_LOOK_S, max(0.0, allowed_s() - waited_s))
        if done(slice_s):
            return True
        waited_s += slice_s
        if waited_s >= allowed_s():
            return False


def over(thread: threading.Thread) -> Callable[[float], bool]:
    """`done` of `patient` for the end of a thread."""

    def done(wait_s: float) -> bool:
        thread.join(wait_s)
        return not thread.is_alive()

    return done
