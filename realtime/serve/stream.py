"""One of several streams: a thread that opens it, runs it, and opens it again when it was lost.

    opening ──▶ running ──▶ ended                a recording is over, or it was stopped
       ▲  │        │
       │  ▼        ▼
      waiting ◀────┘──────▶ failed               what no waiting mends: a wrong key, a missing recording

A source that can't be opened is tried again after 0.5, 1, 2 … at most 15 s, as devices are; its outputs stand
meanwhile, and say so. A stream that fails while it runs is closed with its outputs, and begun anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..config.load import STREAMS, Loaded
from ..config.schema import Config
from ..config.streams import StreamConfig
from ..core.clock import NS_PER_S, Clock
from ..core.errors import BackendError, ModelFileError, SourceError, UsageError
from ..core.messages import Status
from ..core.states import CONFIGURATION, State
from ..session.outputs import make_outputs
from ..session.reload import plan_reload
from ..session.sources import make_source
from ..session.wired import Wired, wired
from ..sinks.base import Report, Sink, words
from ..sinks.switchboard import Switchboard
from ..sources.base import Source
from ..sources.health import Backoff, HealthOptions
from ..stream.budget import SharedBudget
from ..stream.queue import StatusQueue

if TYPE_CHECKING:
    from ..sinks.watch import Watch
    from ..stream.shared import SharedEngine

_STEADY_NS: Final = 60 * NS_PER_S
"""A run this long is no failed attempt: the next pause is the shortest again."""


@dataclass(frozen=True)
class House:
    """What all streams have in common."""

    clock: Clock
    engine: SharedEngine
    budget: SharedBudget
    sinks: Callable[[str, Report], Mapping[str, Sink]]
    """Outputs that belong to the program, for a stream of this name; closed after every run."""
    say: Callable[[str, Status], None]
    """Told by name what happens to a stream that is not running."""
    broken: Callable[[BaseException], None]
    """The networks failed for good."""


class OneStream:
    """A stream, from its configuration on.

    Args:
        wanted: what it runs by.
        house: what it shares with others.
        watch: what is known of it.

    """

    def __init__(self, wanted: StreamConfig, house: House, watch: Watch) -> None:
        self.name = wanted.name
        self.wanted = wanted
        """What it runs by, or is about to."""
        self.watch = watch
        self._house = house
        self._backoff = Backoff(HealthOptions().backoff_s, HealthOptions().backoff_max_s)
        self._lock = threading.Lock()
        self._over = threading.Event()
        """Set when it is to end for good."""
        self._run_over = threading.Event()
        """Set when this run is to end; outputs look at it."""
        self._source: Source | None = None
        self._running: Wired | None = None
        self._change: StreamConfig | None = None
        self.reports: StatusQueue | None = None
        """What it is to be told while it runs."""
        self._thread = threading.Thread(target=self._live, name=f"stream-{self.name}", daemon=True)

    def start(self) -> None:
        """Open it soon."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it runs, or will."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End it soon: open events end, the end is written; safe from any thread."""
        self._over.set()
        self._end_run()

    def join(self, timeout_s: float) -> bool:
        """Wait for its end and its outputs; whether they came."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def check(self, wanted: StreamConfig) -> None:
        """See that it could go on by another configuration, as far as that can be told now.

        Raises:
            UsageError: a class that the networks do not know, thresholds that contradict each other.

        """
        with self._lock:
            running = self._running
        if running is not None:
            try:
                running.reload.check(wanted.config)
            except UsageError as error:
                raise UsageError(f"{STREAMS} {self.name!r}: {error}") from error

    def change(self, wanted: StreamConfig) -> str:
        """Go on by another configuration, and say how: `thresholds`, outputs, or `begun anew`."""
        plan = plan_reload(self.wanted.config, wanted.config)
        with self._lock:
            self.wanted = wanted
            if self._running is not None and not plan.restart:
                self._change = wanted
                return ", ".join([*(["thresholds"] if plan.decoding else []), *plan.outputs]) or "nothing"
        self._end_run()
        return "begun anew"

    def _end_run(self) -> None:
        with self._lock:
            self._run_over.set()
            running, source = self._running, self._source
        if running is not None:
            running.stream.stop()
        elif source is not None:
            source.close()

    # Its own thread -------------------------------------------------------------------------------

    def _live(self) -> None:
        attempt = 0
        while not self._over.is_set():
            with self._lock:
                self._run_over = threading.Event()
                if self._over.is_set():  # it was said to the run before
                    break
                self._change, wanted = None, self.wanted
            began_ns = self._house.clock.now_ns()
            try:
                reason = self._run(wanted.config, wanted.origins)
            except BackendError as error:
                self._told("failed", "networks", words(error))
                self._house.broken(error)
                return
            except (UsageError, ModelFileError) as error:
                self._told("failed", CONFIGURATION, words(error))
                return
            except Exception as error:  # whatever it is, the other streams go on, and so may this one
                if not wanted.config.is_live:  # begun anew it would say everything a second time
                    self._told("failed", "stream", words(error))
                    return
                if self._run_over.is_set():
                    continue
                attempt = 0 if self._house.clock.now_ns() - began_ns > _STEADY_NS else attempt
                pause_s = self._backoff.pause_s(attempt)
                self._told("lost", "stream", f"{words(error)}; again in {pause_s:g} s")
                attempt += 1
                self._pause(pause_s)
            else:
                if not self._run_over.is_set():
                    self.watch.life("ended", reason)
                    self._house.say(self.name, Status("stream", "ended", reason, 0))
                    return
        self.watch.life("ended", "stopped")

    def _told(self, state: State, device: str, reason: str) -> None:
        self.watch.life("failed" if state == "failed" else "waiting", reason)
        self._house.say(self.name, Status(device, state, reason, 0))

    def _pause(self, seconds: float) -> None:
        clock = self._house.clock
        clock.wait_until(clock.now_ns() + round(seconds * NS_PER_S), self._run_over)

    def _run(self, config: Config, origins: Mapping[str, str]) -> str:
        """One run, from its outputs to its end; why it ended."""
        clock, reports = self._house.clock, StatusQueue()
        self.watch.life("opening")
        with ExitStack() as stack:
            common = {**self._house.sinks(self.name, reports), "watch": self.watch}
            for sink in common.values():
                stack.callback(sink.close)
            outputs = make_outputs(config, reports, clock, stop=self._run_over, several=True)
            switchboard = Switchboard(outputs, reports)
            stack.callback(switchboard.close)
            tellers = [*common.values(), switchboard]
            source = self._opened(config, tellers)
            if source is None:
                return "stopped"
            stack.callback(source.close)
            running = wired(
                Loaded(config, origins),
                source,
                self._house.engine.lane(),
                outputs,
                switchboard,
                clock,
                reports,
                heartbeat=self._beat,
                stop=self._run_over,
                shared=self._house.budget,
            )
            with self._lock:
                self._running, self._source, self.reports = running, None, reports
                if self._run_over.is_set():
                    running.stream.stop()
            try:
                return running.stream.run(*tellers).reason
            finally:
                with self._lock:
                    self._running, self.reports = None, None

    def _opened(self, config: Config, tellers: list[Sink]) -> Source | None:
        """The source, open; None where the run is to end before it could be.

        Raises:
            UsageError, SourceError: of a recording, and what waiting does not mend.

        """
        attempt = 0
        while not self._run_over.is_set():
            source = make_source(config, self._house.clock)
            with self._lock:
                self._source = source
            try:
                source.open()
            except SourceError as error:
                source.close()
                if not config.is_live:
                    raise
                if self._run_over.is_set():
                    break
                pause_s = self._backoff.pause_s(attempt)
                attempt += 1
                reason = f"{words(error)}; again in {pause_s:g} s"
                self.watch.life("waiting", reason, source.info.name)
                for sink in tellers:
                    sink.status(Status("stream", "lost", reason, 0))
                self._pause(pause_s)
            except BaseException:
                source.close()
                raise
            else:
                if attempt:
                    for sink in tellers:
                        sink.status(Status("stream", "running", f"opened at attempt {attempt + 1}", 0))
                return source
        return None

    def _beat(self) -> None:
        """A turn of the loop: what has changed is taken over here, on the loop's thread."""
        if self._change is None or self._running is None:
            return
        with self._lock:
            wanted, self._change = self._change, None
        assert wanted is not None
        state: State = "reloaded"
        try:
            said = self._running.reload.take(Loaded(wanted.config, wanted.origins))
        except Exception as error:  # a folder that can't be written must not end the stream
            state, said = "failed", f"not reloaded, all stays as it was: {words(error)}"
        if self.reports is not None:
            self.reports(CONFIGURATION, state, said)
