"""A bounded queue of jobs and the threads that do them, for outputs that take their time over one event."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..clock import NS_PER_S, Clock

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
        clock: for the deadline of `close`.
        lossless: `put` waits for room instead of dropping (for recordings, which wait for their reader).

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
    ) -> None:
        self.stopping = threading.Event()
        """Set when the time to finish is over."""
        self._do, self._capacity, self._on_drop, self._lossless = do, capacity, on_drop, lossless
        self._clock = clock
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
            while self._lossless and len(self._jobs) >= self._capacity and not self._closing:
                self._changed.wait()
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

    def close(self, timeout_s: float) -> DeliveryCounts:
        """Finish what waits, at most for `timeout_s`; what is left then counts as dropped."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        deadline_ns = self._clock.now_ns() + round(timeout_s * NS_PER_S)
        for thread in self._threads:
            thread.join(max(0.0, (deadline_ns - self._clock.now_ns()) / NS_PER_S))
        with self._changed:
            self._dropped += len(self._jobs)
            self._jobs.clear()
        self.stopping.set()
        for thread in self._threads:
            thread.join(1.0)
        return self.counts

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._jobs and not self._closing:
                    self._changed.wait()
                if not self._jobs:
                    return
                job = self._jobs.popleft()
                self._busy += 1
                if self._lossless:
                    self._changed.notify_all()
            good = False
            try:
                good = self._do(job)
            finally:
                with self._changed:
                    self._busy -= 1
                    self._done += good
                    self._failed += not good
