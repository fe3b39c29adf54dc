"""All streams of one program: started, stopped and changed while they run.

    box = Box(loaded, SystemClock(), Console(…))
    box.open()                                  networks, port, streams
    box.streams()   box.snapshot("door")   box.subscribe()
    box.add({"name": "yard", "url": "rtsp://…"})   box.change("yard", {"enter": 0.8})   box.remove("yard")
    box.reload()                                reads the file again: what is new starts, what is gone stops
    box.close()                                 every stream ends, with its end written

`changes` does the changing, `fleet` has the streams; here they are put together with what they share.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ..config.load import Loaded
from ..config.streams import streams_of
from ..core.clock import NS_PER_S, Clock, wall_clock_s
from ..core.errors import BackendError, UsageError
from ..core.messages import Status
from ..core.names import slug
from ..core.states import Severity, State
from ..session.open import make_engine, restarting
from ..sinks.base import Report, Sink
from ..sinks.watch import Bell, Setting, StreamState, Subscription
from ..sources.capture import opencv
from ..stream.budget import SharedBudget
from ..stream.queue import StatusQueue
from ..stream.shared import SharedEngine
from .changes import Changes
from .console import Console
from .fleet import Fleet
from .follow import Follow
from .metrics import AllMetrics
from .stream import House, OneStream

_STOP_S: Final = 45.0
"""How long the end waits for streams and their outputs, all together."""
_STUCK_NS: Final = 60 * NS_PER_S


class Box:
    """The streams of one configuration, and what they share.

    Args:
        loaded: the configuration, with its `[[streams]]`.
        clock: the one clock.
        console: standard output of all.
        stop: set when the program is asked to end.
        stays: whether it goes on when all streams are over, or there is none: somebody may add one.

    """

    def __init__(
        self,
        loaded: Loaded,
        clock: Clock,
        console: Console,
        stop: threading.Event | None = None,
        *,
        stays: bool = False,
    ) -> None:
        self._loaded, self._clock, self._console = loaded, clock, console
        self.stopped = stop or threading.Event()
        """Set when all is to end."""
        self._filed = streams_of(loaded)
        self._stays, self._all_over = stays, False
        self._bell = Bell()
        self._reports = StatusQueue()
        self._engine: SharedEngine | None = None
        self._fleet: Fleet | None = None
        self._changes: Changes | None = None
        self._metrics: AllMetrics | None = None
        self._follow: Follow | None = None
        self._error: BaseException | None = None

    # Running --------------------------------------------------------------------------------------

    def open(self) -> None:
        """Load the networks, listen, and start every stream.

        Raises:
            ModelFileError, BackendError: the networks can't be loaded.
            OutputError: the port is taken.

        """
        import av  # noqa: F401 — several threads that import it at the same time break it

        # Each stream has threads of its own; OpenCV's would be one pool for all, that waits in circles.
        opencv().setNumThreads(1)

        config = self._loaded.config
        if config.metrics.port is not None:
            self._metrics = AllMetrics(config.metrics, self._clock)
        loaded = make_engine(config, lambda text: self.say("networks", "loading", text))
        engine = SharedEngine(restarting(loaded, config, self._reports, self._clock), self._clock)
        budget = SharedBudget(lambda: engine.busy_ns)
        self._engine = engine
        house = House(self._clock, engine, budget, self._sinks, self._told, self._broken)
        self._fleet = Fleet(house, self._bell, self.stopped, self._removed)
        self._changes = Changes(self._loaded, self._filed, self._fleet, self.say)
        info = engine.info
        running = f"{info.profile}, {info.backend} {info.precision} on {info.device}, for all streams"
        self.say("networks", "running", running)
        self._changes.begin()
        if config.follow is not None:
            self._follow = Follow(
                config.follow,
                config.mqtt,
                lambda: frozenset(slug(stream.name) for stream in self._present()),
                self._bell,
                memory_of(self._loaded),
                self.say,
                wall_clock_s,
            )

    def beat(self) -> None:
        """Several times a second: what the networks have to say goes to all streams."""
        for status in self._reports.take(0):
            self._console.say(status)
            for stream in self._present():
                if (reports := stream.reports) is not None:
                    reports(status.device, status.state, status.reason, status.severity)
        over, before = self._fleet is not None and self._fleet.over, self._all_over
        self._all_over = over
        if over and not before and self._stays:
            self.say("streams", "ended", "all of them are over; the page stays until it is stopped", "info")

    @property
    def working(self) -> bool:
        """Whether the networks answer; False where a call has been in them for a minute."""
        return self._engine is None or self._engine.oldest_ns < _STUCK_NS

    @property
    def over(self) -> bool:
        """Whether every stream has ended by itself, and nothing is left to wait for."""
        return self._fleet is not None and self._fleet.over and self._follow is None and not self._stays

    def stop(self) -> None:
        """End all streams soon; safe from a signal handler and from any thread."""
        self.stopped.set()
        for stream in self._present():
            stream.stop()

    def close(self) -> None:
        """Stop, wait for every end to be written, and close what is shared; safe to call twice.

        Raises:
            BackendError: the networks had failed for good.

        """
        self.stop()
        until_ns = self._clock.now_ns() + round(_STOP_S * NS_PER_S)
        for stream in self._present():
            left_s = (until_ns - self._clock.now_ns()) / NS_PER_S
            if not stream.join(max(0.1, left_s)):
                self.say("stream", "failed", f"{stream.name} did not end in time")
        if self._follow is not None:
            self._follow.close()
        if self._metrics is not None:
            self._metrics.close()
        if self._engine is not None:
            self._engine.close()
        self._console.close()
        error, self._error = self._error, None
        if error is not None:
            raise error

    def say(self, device: str, state: State, reason: str, severity: Severity | None = None) -> None:
        """Something about the program as a whole; a `Report`."""
        self._console.say(Status(device, state, reason, 0, *(() if severity is None else (severity,))))

    # For whoever looks ------------------------------------------------------------------------------

    def streams(self) -> tuple[StreamState, ...]:
        """Every stream as it is now; those of other boxes after our own."""
        own = tuple(stream.watch.now() for stream in self._present())
        return own if self._follow is None else (*own, *self._follow.states())

    def snapshot(self, name: str) -> bytes | None:
        """The newest picture of a stream as JPEG; None where there is none: of another box, say."""
        if self._is_followed(name):
            return None
        assert self._fleet is not None, "open comes first"
        return self._fleet.named(name).watch.snapshot()

    def subscribe(self) -> Subscription:
        """The records of all streams from now on, each with `stream`; close it when nobody looks any more."""
        return self._bell.subscribe()

    def folders(self) -> tuple[Path, ...]:
        """Where clips of streams lie, also of those that are gone by now."""
        common = None if self._changes is None else self._changes.loaded.config.clips.dir
        own = set() if self._fleet is None else self._fleet.folders()
        return tuple(sorted(own | ({common} if common is not None else set())))

    # Changes ----------------------------------------------------------------------------------------

    def add(self, values: Mapping[str, Any]) -> str:
        """See `Changes.add`."""
        return self._changing().add(values)

    def change(self, name: str, values: Mapping[str, Any]) -> str:
        """See `Changes.change`."""
        return self._changing(name).change(name, values)

    def settings(self, name: str) -> tuple[Setting, ...]:
        """See `Changes.settings`."""
        return self._changing(name).settings(name)

    def remove(self, name: str) -> str:
        """See `Changes.remove`."""
        return self._changing(name).remove(name)

    def reload(self) -> str:
        """See `Changes.reload`."""
        return self._changing().reload()

    # Inside -----------------------------------------------------------------------------------------

    def _present(self) -> tuple[OneStream, ...]:
        return () if self._fleet is None else self._fleet.all()

    def _changing(self, name: str = "") -> Changes:
        """What changes streams.

        Raises:
            UsageError: the stream is another box's.

        """
        assert self._changes is not None, "open comes first"
        if name and self._is_followed(name):
            raise UsageError(f"{name} is a stream of another box; it is changed and ended there")
        return self._changes

    def _is_followed(self, name: str) -> bool:
        return self._follow is not None and any(state.name == name for state in self._follow.states())

    def _removed(self, name: str) -> None:
        if self._metrics is not None:
            self._metrics.remove(name)

    def _sinks(self, name: str, report: Report) -> dict[str, Sink]:
        sinks: dict[str, Sink] = {"console": self._console.sink(name, report)}
        if self._metrics is not None:
            sinks["metrics"] = self._metrics.add(name)
        return sinks

    def _told(self, name: str, status: Status) -> None:
        self._console.say(status, name)

    def _broken(self, error: BaseException) -> None:
        self._error = error if isinstance(error, BackendError) else self._error
        self.stop()


def memory_of(loaded: Loaded) -> Path | None:
    """Where events of other boxes are remembered: as those of ours, unless somebody wants none."""
    memory = loaded.config.memory
    refused = not memory.enabled and loaded.origins.get("memory.enabled", "default") != "default"
    return None if refused else memory.file
