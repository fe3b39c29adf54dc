"""What camera and microphone have in common: a thread that works, a watchdog that starts another.

A thread that hangs inside a driver can't be killed. It is abandoned instead: it holds an old generation
number, and nothing that carries an old number changes anything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from ..core.clock import NS_PER_S, Clock
from ..core.errors import SourceError
from ..core.messages import Status
from .health import Backoff, DeviceHealth, HealthOptions

S = TypeVar("S")


class WatchedDevice(Generic[S]):
    """A device that is opened, worked, watched and reopened; `S` is one opening of it.

    Args:
        name: `camera` or `microphone`.
        what: what it delivers, for messages.
        clock: stamps and waits.
        on_status: called on every change of state.
        health: when it is stalled, lost, given up.

    """

    def __init__(
        self,
        name: str,
        what: str,
        clock: Clock,
        on_status: Callable[[Status], None],
        health: HealthOptions | None,
    ) -> None:
        self.health = DeviceHealth(name, clock, on_status, health or HealthOptions())
        self._name, self._what = name, what
        self._clock = clock
        self._backoff = Backoff(self.health.options.backoff_s, self.health.options.backoff_max_s)
        self._guard = threading.RLock()
        self._generation = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lost_at_ns: int | None = None

    # What a device fills in.

    def _open_session(self) -> S:
        """Open it, or raise SourceError."""
        raise NotImplementedError

    def _work(self, generation: int, session: S) -> str:
        """Deliver while `_current(generation)`; return why it ended."""
        raise NotImplementedError

    def _release(self, session: S) -> None:
        """Close one opening."""
        raise NotImplementedError

    # What the owner calls.

    def start(self) -> None:
        """Open it and begin to deliver.

        Raises:
            SourceError: it can't be opened.

        """
        try:
            session = self._open_session()
        except SourceError:
            self.health.to("failed", "can't be opened")
            raise
        self._spawn(session)

    def watch(self) -> None:
        """One look of the watchdog; call it about ten times a second, from one thread."""
        with self._guard:
            if self._stop.is_set() or self.health.watch() != "reopen":
                return
            reason = f"no {self._what} for {self.health.age_s:.0f} s"
            self._lose(self._generation, reason)
            self._generation += 1
            self._spawn(None)

    def close(self) -> None:
        """Stop and release the device; waits up to three seconds for the driver."""
        self._stop.set()
        with self._guard:  # the watchdog may be about to open it anew
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=3.0)
        with self._guard:
            if self.health.state not in ("failed", "ended"):
                self.health.to("ended", "closed")

    # What `_work` uses.

    def _current(self, generation: int) -> bool:
        return generation == self._generation and not self._stop.is_set()

    def _delivered(self, generation: int, t_ns: int, note: str) -> bool:
        """Data came at `t_ns`; False when it came from an abandoned thread and must not be used."""
        with self._guard:
            if not self._current(generation):
                return False
            self._lost_at_ns = None
            self.health.data(t_ns, note)
            return True

    # The life of a thread.

    def _spawn(self, session: S | None) -> None:
        thread = threading.Thread(
            target=self._run,
            args=(self._generation, session),
            name=f"{self._name}-{self._generation}",
            daemon=True,
        )
        thread.start()
        self._thread = thread

    def _lose(self, generation: int, reason: str) -> None:
        with self._guard:
            if not self._current(generation):
                return
            if self._lost_at_ns is None:
                self._lost_at_ns = self._clock.now_ns()
            self.health.to("lost", reason)

    def _run(self, generation: int, session: S | None) -> None:
        attempt = 0
        while self._current(generation):
            if session is None:
                session = self._reopen(generation, attempt)
                attempt += 1
                if session is None:
                    continue
            try:
                reason = self._work(generation, session)
            finally:
                self._release(session)
                session = None
            if self.health.state in ("running", "stalled"):
                attempt = 0
            self._lose(generation, reason)
        if session is not None:
            self._release(session)

    def _reopen(self, generation: int, attempt: int) -> S | None:
        """Wait, then try once."""
        wait_ns = round(self._backoff.pause_s(attempt) * NS_PER_S)
        self._clock.wait_until(self._clock.now_ns() + wait_ns, self._stop)
        give_up_s = self.health.options.give_up_s
        with self._guard:
            if not self._current(generation):
                return None
            gone_ns = self._clock.now_ns() - (self._lost_at_ns or self._clock.now_ns())
            if give_up_s is not None and gone_ns > give_up_s * NS_PER_S:
                self.health.to("failed", f"not back within {give_up_s:g} s")
                self._generation += 1
                return None
            self.health.to("recovering", f"attempt {attempt + 1}")
        try:
            session = self._open_session()
        except SourceError as error:
            self._lose(generation, str(error))
            return None
        if not self._current(generation):
            self._release(session)
            return None
        return session
