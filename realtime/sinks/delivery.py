"""A bounded queue of jobs and the threads that do them, for outputs that take their time over one event."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..core.clock import Clock
from .room import Room, patient

Job = TypeVar("Job")


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """What became of the jobs so far."""

    done: int
    failed: int
    dropped: int
    waiting: int


class DeliveryQueue(Generic[Job]):
    """Does jobs in order of arrival, `threads` at a time; the oldest waiting one goes when full.

    Args:
        name: of the threads.
        do: does one job; True when it succeeded. Should return soon after `stopping` is set.
        capacity: jobs that may wait.
        on_drop: told the number dropped so far, at the first and then at every tenfold.
        threads: how many jobs at a time; with more than one, order of completion is not kept.
        clock: measures how long `put` waits.
        lossless: `put` waits for room instead of dropping (for recordings, which wait for their reader).
        room: how it waits; for ever without one.
        on_error: told what `do` raised. Such a job counts as failed, and the next one is done.

    """

    def __init__(
        self,
        name: str,
        do: Callable[[Job], bool],
        *,
        capacity: int,
        on_drop: Callable[[int], None],
        clock: Clock,
        threads: int = 1,
        lossless: bool = False,
        room: Room | None = None,
        on_error: Callable[[BaseException], object] = lambda _error: None,
    ) -> None:
        self.stopping = threading.Event()
        """Set when the time to finish is over."""
        self._do, self._capacity, self._on_drop, self._on_error = do, capacity, on_drop, on_error
        self._lossless, self._room = lossless or room is not None, room or Room(math.inf, None, clock)
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._busy = self._done = self._failed = self._dropped = 0
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{n}", daemon=True) for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def counts(self) -> DeliveryCounts:
        """Done, failed, dropped, and waiting or being done."""
        with self._changed:
            return DeliveryCounts(self._done, self._failed, self._dropped, len(self._jobs) + self._busy)

    def put(self, job: Job) -> None:
        """Queue a job; waits only where `lossless`."""
        dropped = 0
        with self._changed:
            if self._lossless:
                self._room.wait(self._changed, lambda: self._closing or len(self._jobs) < self._capacity)
            if self._closing:
                return
            if len(self._jobs) >= self._capacity:
                self._jobs.popleft()
                self._dropped += 1
                dropped = self._dropped
            self._jobs.append(job)
            self._changed.notify_all()
        if dropped and str(dropped).strip("0") == "1":
            self._on_drop(dropped)

    def close(self, timeout_s: float | Callable[[], float]) -> DeliveryCounts:
        """Finish what waits, at most for `timeout_s`; what is left then counts as dropped."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        patient(self._finished, timeout_s if callable(timeout_s) else lambda: timeout_s)
        with self._changed:
            self._dropped += len(self._jobs)
            self._jobs.clear()
        self.stopping.set()
        for thread in self._threads:
            thread.join(1.0)
        return self.counts

    def _finished(self, wait_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._jobs and not self._busy, wait_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._jobs and not self._closing:
                    self._changed.wait()
                if not self._jobs:
                    return
                job = self._jobs.popleft()
                self._busy += 1
                self._changed.notify_all()
            good = False
            try:
                good = self._do(job)
            except BaseException as error:  # whatever it is: a thread that died would lose all that follow
                self._on_error(error)
            with self._changed:
                self._busy -= 1
                self._done += good
                self._failed += not good
                self._changed.notify_all()
