"""All streams of one program: started, stopped and changed while they run.

    box = Box(loaded, SystemClock(), Console(…))
    box.open()                                  networks, port, streams
    box.streams()   box.snapshot("door")   box.subscribe()
    box.add({"name": "yard", "url": "rtsp://…"})   box.change("yard", {"enter": 0.8})   box.remove("yard")
    box.reload()                                reads the file again: what is new starts, what is gone stops
    box.close()                                 every stream ends, with its end written

What `add`, `change` and `remove` do is kept for the next start (`config.kept`), and a reload agrees with it.
Where it can't be kept that is said, and a reload, which looks only at what is different, leaves it alone.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ..config.keys import keys, value_of
from ..config.load import Loaded, flat
from ..config.schema import Config
from ..config.streams import SHARED, StreamConfig, checked, kept_in, stream_of, streams_of
from ..core.clock import NS_PER_S, Clock, wall_clock_s
from ..core.errors import BackendError, UsageError
from ..core.messages import Status
from ..core.names import slug
from ..core.states import Severity, State
from ..session.open import make_engine, restarting
from ..sinks.base import Report, Sink
from ..sinks.watch import Bell, Setting, StreamState, Subscription, Watch
from ..stream.budget import SharedBudget
from ..stream.queue import StatusQueue
from ..stream.shared import SharedEngine
from .console import Console
from .follow import Follow
from .keeping import Change, changed, keep, say_stale
from .metrics import AllMetrics
from .settings import settings_of
from .stream import House, OneStream

_STOP_S: Final = 45.0
"""How long the end waits for streams and their outputs, all together."""
_GONE_S: Final = 10.0
"""How long a reload waits for streams that go: the next ones may want their devices."""
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
        self._filed = {stream.name: stream for stream in streams_of(loaded)}
        """The streams as the file has them, and what was kept."""
        self._stays, self._all_over = stays, False
        self._streams: dict[str, OneStream] = {}
        self._folders = set[Path]()
        self._lock = threading.RLock()
        self._bell = Bell()
        self._reports = StatusQueue()
        self._house: House | None = None
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
        import cv2  # noqa: F401

        config = self._loaded.config
        if config.metrics.port is not None:
            self._metrics = AllMetrics(config.metrics, self._clock)
        loaded = make_engine(config, lambda text: self.say("networks", "loading", text))
        engine = SharedEngine(restarting(loaded, config, self._reports, self._clock), self._clock)
        budget = SharedBudget(lambda: engine.busy_ns)
        self._house = House(self._clock, engine, budget, self._sinks, self._told, self._broken)
        info = engine.info
        running = f"{info.profile}, {info.backend} {info.precision} on {info.device}, for all streams"
        self.say("networks", "running", running)
        say_stale(self._loaded, self.say)
        with self._lock:
            for stream in self._filed.values():
                self._begin(stream)
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
        over, before = self._over(), self._all_over
        self._all_over = over
        if over and not before and self._stays:
            self.say("streams", "ended", "all of them are over; the page stays until it is stopped", "info")

    @property
    def working(self) -> bool:
        """Whether the networks answer; False where a call has been in them for a minute."""
        return self._house is None or self._house.engine.oldest_ns < _STUCK_NS

    @property
    def over(self) -> bool:
        """Whether every stream has ended by itself, and nothing is left to wait for."""
        return self._over() and self._follow is None and not self._stays

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
        if self._house is not None:
            self._house.engine.close()
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
        if self._follow is not None and name in {state.name for state in self._follow.states()}:
            return None
        return self._named(name).watch.snapshot()

    def subscribe(self) -> Subscription:
        """The records of all streams from now on, each with `stream`; close it when nobody looks any more."""
        return self._bell.subscribe()

    def folders(self) -> tuple[Path, ...]:
        """Where clips of streams lie, also of those that are gone by now."""
        configs = [self._loaded.config, *(stream.wanted.config for stream in self._present())]
        self._folders |= {config.clips.dir for config in configs if config.clips.dir is not None}
        return tuple(sorted(self._folders))

    # Changes ----------------------------------------------------------------------------------------

    def add(self, values: Mapping[str, Any]) -> str:
        """Start one more stream; what was done.

        Args:
            values: its keys as in a table of `[[streams]]`, nested or dotted; `name` is one of them.

        Raises:
            UsageError: a wrong key or value, or the name is taken; nothing has changed.

        """
        with self._lock:
            table = {key: value for key, value in flat(values).items() if value is not None}
            stream = stream_of(self._loaded, table, kept=frozenset({"name"}))
            checked([*(one.wanted for one in self._streams.values()), stream])
            said = self._keep(stream.name, stream, lambda kept, _: kept.with_added(table))
            self._begin(stream)
            return f"{stream.name} started{said}"

    def change(self, name: str, values: Mapping[str, Any]) -> str:
        """Change some keys of a stream, in place where that is possible; what was done.

        Args:
            name: of the stream.
            values: new values, nested or dotted; None takes back what was said for this stream alone.

        Raises:
            UsageError: no such stream, a wrong key or value; nothing has changed.

        """
        with self._lock:
            present = self._named(name)
            keys = flat(values)
            table = {key: v for key, v in (dict(present.wanted.table) | keys).items() if v is not None}
            if table.get("name") != name:
                raise UsageError(f"streams {name!r}: a stream keeps its name; remove it and add another one")
            stream = stream_of(self._loaded, table)
            checked([*(one.wanted for one in self._streams.values() if one is not present), stream])
            present.check(stream)
            keys.pop("name", None)
            said = self._keep(name, stream, changed(table, keys))
            return f"{name} changed ({self._changed(present, stream)}){said}"

    def settings(self, name: str) -> tuple[Setting, ...]:
        """What may be changed of a stream while it runs, and how it is set now.

        Raises:
            UsageError: no such stream.

        """
        with self._lock:
            return settings_of(self._named(name).wanted, self._loaded.config)

    def remove(self, name: str) -> str:
        """End a stream: open events end, the end is written; what was done.

        Raises:
            UsageError: no such stream.

        """
        with self._lock:
            present = self._named(name)
            said = self._keep(name, None, lambda kept, filed: kept.without(name, filed))
            self._end([present])
        return f"{name} stopped{said}"

    def reload(self) -> str:
        """Read the file again and do what is different in it; what was done.

        Raises:
            UsageError: what is wrong with it; nothing has changed.

        """
        if self._loaded.again is None:
            return "reloaded: nothing, the configuration did not come from anywhere"
        new = self._loaded.again()
        filed = {stream.name: stream for stream in streams_of(new)}
        with self._lock:
            # Of those that were added meanwhile, too, none may be in the way.
            others = [one.wanted for name, one in self._streams.items() if name not in {*filed, *self._filed}]
            checked([*filed.values(), *others])
            gone = [
                self._streams[name] for name in self._filed if name not in filed and name in self._streams
            ]
            said = [f"{stream.name} stopped" for stream in gone]
            self._end(gone)
            for name, stream in filed.items():
                before, present = self._filed.get(name), self._streams.get(name)
                if before is not None and before.config == stream.config:
                    continue
                if present is None:
                    self._begin(stream)
                    said.append(f"{name} started")
                else:
                    said.append(f"{name} changed ({self._changed(present, stream)})")
            left = restart_keys(self._loaded.config, new.config)
            self._loaded, self._filed = new, filed
            say_stale(new, self.say)
        text = f"reloaded: {'; '.join(said) or 'nothing is different'}"
        return f"{text}; only a restart of the program changes {', '.join(left)}" if left else text

    # Inside -----------------------------------------------------------------------------------------

    def _over(self) -> bool:
        return bool(self._streams) and not any(stream.alive for stream in self._present())

    def _keep(self, name: str, stream: StreamConfig | None, change: Change) -> str:
        """Keep a change for the next start; what is to be said where that is impossible."""
        try:
            keep(self._loaded, name, change)
        except OSError as error:
            why = error.strerror or str(error)
            path = kept_in(self._loaded.config)
            self.say("streams", "failed", f"{name}: not kept for the next start: {path}: {why}", "warning")
            return f"; not kept for the next start: {path.name} can't be written ({why})"
        if stream is None:
            self._filed.pop(name, None)
        else:
            self._filed[name] = stream
        return ""

    def _present(self) -> tuple[OneStream, ...]:
        return tuple(self._streams.copy().values())

    def _named(self, name: str) -> OneStream:
        if (stream := self._streams.get(name)) is None:
            known = ", ".join(self._streams) or "none"
            raise UsageError(f"no stream is called {name!r}; there are: {known}")
        return stream

    def _begin(self, wanted: StreamConfig) -> None:
        assert self._house is not None, "open comes first"
        if self.stopped.is_set():
            return
        stream = OneStream(wanted, self._house, Watch(wanted.name, self._bell))
        self._streams[wanted.name] = stream
        stream.start()

    def _changed(self, present: OneStream, wanted: StreamConfig) -> str:
        if present.alive:
            return present.change(wanted)
        self._begin(wanted)  # it was over, or had failed: perhaps for the reason that is mended now
        return "begun anew"

    def _end(self, streams: list[OneStream]) -> None:
        self.folders()  # of those that go, too
        for stream in streams:
            stream.stop()
        until_ns = self._clock.now_ns() + round(_GONE_S * NS_PER_S)
        for stream in streams:
            stream.join(max(0.0, (until_ns - self._clock.now_ns()) / NS_PER_S))
            self._streams.pop(stream.name, None)
            self._bell.ring({"type": "stream", "stream": stream.name, "state": "removed", "reason": ""})
            if self._metrics is not None:
                self._metrics.remove(stream.name)

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


def restart_keys(old: Config, new: Config) -> list[str]:
    """Keys of the whole program that differ, and that no reload changes."""
    return [
        key.path
        for key in keys()
        if key.path.split(".")[0] in SHARED and value_of(old, key.path) != value_of(new, key.path)
    ]
