"""Networks that come back: a runtime that fails in the middle of a stream is opened again, a few times.

A driver that was reset, a GPU that fell off the bus or ran out of memory, an answer that is no number: on a
box that nobody looks at for a month each of them happens. The second at hand is computed again by the
reopened runtime, so that nothing is lost but time. One that keeps failing is an error: a service manager
starts the whole program anew, and somebody should look.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ...model.errors import BackendError, first_line
from ...model.profiles import Profile
from ...model.runtime.base import Engine, EngineInfo, HeadOutput, Shareable
from ..core.clock import NS_PER_S, Clock
from ..sinks.base import Report

LIMIT = 3
WITHIN_S = 3600.0
"""More than `LIMIT` failures within so many seconds are too many."""

Result = TypeVar("Result")


class _Called:
    """The three networks, each reached through `_call`, whatever is open behind it; answers are numbers."""

    profile: Profile

    def _call(self, compute: Callable[[Engine], Result]) -> Result:
        raise NotImplementedError

    def visual(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features of pictures, as of the runtime behind it."""
        return self._call(lambda engine: _finite(engine.visual(frames)))

    def audio(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features of sound, as of the runtime behind it."""
        return self._call(lambda engine: _finite(engine.audio(samples)))

    def head(
        self,
        visual: NDArray[np.float32],
        audio: NDArray[np.float32],
        visual_mask: NDArray[np.bool_],
        audio_mask: NDArray[np.bool_],
    ) -> HeadOutput:
        """The look at a window, as of the runtime behind it."""

        def judge(engine: Engine) -> HeadOutput:
            out = engine.head(visual, audio, visual_mask, audio_mask)
            return HeadOutput(_finite(out.logits), out.attention)

        return self._call(judge)

    def warm_up(self) -> None:
        """Run once, so that the first answer is not late."""
        self._call(lambda engine: engine.warm_up())


class RestartingEngine(_Called):
    """An `Engine` that reopens the runtime behind it when a call fails; may be called from several threads.

    Args:
        engine: the runtime, open and warm.
        reopen: makes another one, warm; may choose another backend than before.
        report: told what happened.
        clock: for counting failures per hour.

    """

    def __init__(self, engine: Engine, reopen: Callable[[], Engine], report: Report, clock: Clock) -> None:
        self._engine: Engine | None = engine
        self._reopen, self._report, self._clock = reopen, report, clock
        self._failures: deque[int] = deque(maxlen=LIMIT + 1)
        self._changing = threading.RLock()
        self.profile: Profile = engine.profile
        self.info: EngineInfo = engine.info
        """Of the runtime that is open, or was last."""
        shareable = engine if isinstance(engine, Shareable) else None
        self.lanes = shareable.lanes if shareable else 1
        self.most_pictures = shareable.most_pictures if shareable else 1

    def view(self) -> Engine:
        """See `Shareable.view`; it goes over to a runtime that was opened again by itself."""
        return _View(self)

    def close(self) -> None:
        """Close the runtime behind it."""
        with self._changing:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _call(self, compute: Callable[[Engine], Result]) -> Result:
        while True:
            engine: Engine | None = None
            try:
                engine = self._open()
                return compute(engine)
            # Runtimes raise classes of their own, and MemoryError; all mean that no answer came.
            except Exception as error:
                with self._changing:
                    # Of several calls that were in one runtime when it failed, the first one opens the next.
                    if engine is self._engine:
                        self._count(error)

    def _open(self) -> Engine:
        with self._changing:
            if self._engine is None:
                self._engine = self._reopen()
                self.info = self._engine.info
                running = f"{self.info.backend} {self.info.precision} on {self.info.device}"
                self._report("networks", "running", f"opened again: {running}")
            return self._engine

    def _count(self, error: Exception) -> None:
        """Note a failure and close what failed.

        Raises:
            BackendError: there were too many.

        """
        now_ns = self._clock.now_ns()
        self._failures.append(now_ns)
        reason = f"{self.info.backend} {self.info.precision} failed: {first_line(error)}"
        often = len(self._failures) > LIMIT and now_ns - self._failures[0] <= WITHIN_S * NS_PER_S
        if often:
            raise BackendError(
                f"{reason}; {LIMIT + 1} failures within {WITHIN_S / 60:.0f} minutes; "
                "try another --backend, and see `avel doctor`"
            ) from error
        self._report("networks", "recovering", f"{reason}; opening them again")
        failed, self._engine = self._engine, None
        if failed is not None:
            try:
                failed.close()
            except Exception as second:  # what is broken may not close, either
                self._report("networks", "recovering", f"closing failed, too: {first_line(second)}")
        if (again := len(self._failures) - 2) >= 0:  # the first time at once; a driver may need a moment
            self._clock.wait_until(now_ns + 2**again * NS_PER_S)


class _View(_Called):
    """One stream's view of a `RestartingEngine`: of whichever runtime is open."""

    def __init__(self, whole: RestartingEngine) -> None:
        self._whole = whole
        self.profile: Profile = whole.profile
        self._seen: tuple[Engine, Engine] | None = None
        """A runtime, and our view of it."""

    @property
    def info(self) -> EngineInfo:
        """Of the runtime that is open, or was last."""
        return self._whole.info

    @info.setter
    def info(self, info: EngineInfo) -> None:
        self._whole.info = info

    def close(self) -> None:
        """The runtime is whoever's who made it."""

    def _call(self, compute: Callable[[Engine], Result]) -> Result:
        return self._whole._call(lambda engine: compute(self._of(engine)))

    def _of(self, engine: Engine) -> Engine:
        if self._seen is None or self._seen[0] is not engine:
            self._seen = engine, engine.view() if isinstance(engine, Shareable) else engine
        return self._seen[1]


def _finite(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The values themselves.

    Raises:
        BackendError: some are NaN or infinite.

    """
    if not np.isfinite(values).all():
        raise BackendError("an answer that is no number (NaN or infinite)")
    return values
