"""One engine for many streams: calls wait in one line, in which no stream stands more than once.

    stream ─ Lane.visual ──┐
    stream ─ Lane.audio  ──┼──▶ line ──▶ workers, as many as the engine takes calls at a time ──▶ engine
    stream ─ Lane.head   ──┘

A stream's loop asks for one thing and waits for it, so first come, first served is one call of each stream in
turn: whoever has a backlog keeps it before its own lane, where its own queue gives it up. Where the engine
gains by it (a GPU), pictures that wait go through the network together, whosever they are; on a CPU each goes
by itself, on as many threads as the engine has, and no number depends on what else was in the line.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...model.profiles import Profile
from ...model.runtime.base import Engine, EngineInfo, HeadOutput, Shareable
from ..core.clock import Clock
from ..core.errors import UsageError

_JOIN_S: Final = 5.0


class _Request:
    """A call on its way: `run` fills in `result` or `error`, then `done` is set."""

    def __init__(self, run: Callable[[], object], frames: NDArray[np.uint8] | None = None) -> None:
        self.run, self.frames = run, frames
        self.result: object = None
        self.error: BaseException | None = None
        self.done = threading.Event()


class SharedEngine:
    """An engine with a line before it. `lane` gives each stream what it takes for its own engine.

    Args:
        engine: the networks, warm. Closed by `close`.
        clock: measures how busy they are.

    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock
        shareable = engine if isinstance(engine, Shareable) else None
        self.lanes: int = shareable.lanes if shareable else 1
        """Calls at a time."""
        self._most_pictures = shareable.most_pictures if shareable else 1
        self._line: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._busy_ns = 0
        self._since: dict[int, int] = {}
        """Worker → since when it has been in a call."""
        self.most_together = 0
        """Pictures that went through one call, at most so far."""
        self._workers = [
            threading.Thread(target=self._work, args=(k,), name=f"networks-{k}", daemon=True)
            for k in range(self.lanes)
        ]
        for worker in self._workers:
            worker.start()

    @property
    def info(self) -> EngineInfo:
        """Of the engine behind it."""
        return self._engine.info

    @property
    def profile(self) -> Profile:
        """Of the engine behind it."""
        return self._engine.profile

    @property
    def busy_ns(self) -> int:
        """Time spent computing so far, as if all of the engine had been busy."""
        with self._changed:
            return self._busy_ns // self.lanes

    @property
    def oldest_ns(self) -> int:
        """How long the oldest call has been in the engine; 0 where there is none."""
        with self._changed:
            return max((self._clock.now_ns() - since_ns for since_ns in self._since.values()), default=0)

    def lane(self) -> Lane:
        """The engine of one stream; to be used from one thread at a time."""
        return Lane(self, self._engine.view() if isinstance(self._engine, Shareable) else self._engine)

    def close(self) -> None:
        """Finish what is being computed, refuse the rest, and close the engine; safe to call twice."""
        with self._changed:
            closed, self._closed = self._closed, True
            refused = list(self._line)
            self._line.clear()
            self._changed.notify_all()
        if closed:
            return
        for request in refused:
            _refuse(request)
        for worker in self._workers:
            worker.join(_JOIN_S)
        self._engine.close()

    def ask(self, run: Callable[[], object], frames: NDArray[np.uint8] | None = None) -> object:
        """Stand in the line, and wait; what `run` gives, or raises.

        Args:
            run: the call.
            frames: pictures that may go through the network with those of others in place of `run`.

        """
        request = _Request(run, frames)
        with self._changed:
            if self._closed:
                _refuse(request)
            else:
                self._line.append(request)
                self._changed.notify()
        request.done.wait()
        if request.error is not None:
            raise request.error
        return request.result

    def _work(self, number: int) -> None:
        while True:
            with self._changed:
                while not self._line and not self._closed:
                    self._changed.wait()
                if not self._line:
                    return
                together = self._next()
                before_ns = self._since[number] = self._clock.now_ns()
            try:
                self._serve(together)
            except BaseException as error:  # each of them asked for it
                for request in together:
                    request.error = error
            with self._changed:
                self._busy_ns += self._clock.now_ns() - before_ns
                del self._since[number]
            for request in together:
                request.done.set()

    def _next(self) -> list[_Request]:
        """The first in the line; with pictures, those of others that go along."""
        together = [self._line.popleft()]
        if together[0].frames is None or self._most_pictures == 1:
            return together
        pictures, stay = len(together[0].frames), deque[_Request]()
        for request in self._line:
            if request.frames is not None and pictures + len(request.frames) <= self._most_pictures:
                pictures += len(request.frames)
                together.append(request)
            else:
                stay.append(request)
        self._line = stay
        return together

    def _serve(self, together: list[_Request]) -> None:
        frames = [request.frames for request in together if request.frames is not None]
        self.most_together = max(self.most_together, sum(map(len, frames)))
        if len(together) == 1:
            together[0].result = together[0].run()
            return
        grids = self._engine.visual(np.concatenate(frames))
        at = 0
        for request, own in zip(together, frames, strict=True):
            request.result = grids[at : at + len(own)]
            at += len(own)


class Lane:
    """An `Engine` for one stream, in front of a `SharedEngine`."""

    def __init__(self, shared: SharedEngine, engine: Engine) -> None:
        self._shared, self._engine = shared, engine
        self.info: EngineInfo = shared.info
        self.profile: Profile = shared.profile

    def visual(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Engine.visual`."""
        grids = self._shared.ask(lambda: self._engine.visual(frames), frames)
        assert isinstance(grids, np.ndarray)
        return grids

    def audio(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Engine.audio`."""
        sound = self._shared.ask(lambda: self._engine.audio(samples))
        assert isinstance(sound, np.ndarray)
        return sound

    def head(
        self,
        visual: NDArray[np.float32],
        audio: NDArray[np.float32],
        visual_mask: NDArray[np.bool_],
        audio_mask: NDArray[np.bool_],
    ) -> HeadOutput:
        """See `Engine.head`."""
        out = self._shared.ask(lambda: self._engine.head(visual, audio, visual_mask, audio_mask))
        assert isinstance(out, HeadOutput)
        return out

    def warm_up(self) -> None:
        """Nothing to do: the engine is warm."""

    def close(self) -> None:
        """The engine is everybody's; nothing is held for one stream."""


def _refuse(request: _Request) -> None:
    request.error = UsageError("the networks are closed; a stream can't outlive them")
    request.done.set()
