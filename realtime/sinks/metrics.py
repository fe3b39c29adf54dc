"""Prometheus metrics and `/healthz` over HTTP, on loopback unless told otherwise.

Every series exists from the moment the stream starts, at 0: `increase()` and `rate()` see the first event
only if they saw the nothing before it. OpenMetrics is spoken with whoever asks for it.

`/healthz` answers 200 while answers keep coming and every device is there, else 503, with the reasons as
JSON. A device that was lost is there again when it delivers again, not when it is being reopened.
On any other address than loopback both want `Authorization: Bearer TOKEN`.
"""

import json
import threading
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Annotated, Final, get_args

from ..core.clock import NS_PER_S, Clock
from ..core.errors import OutputError
from ..core.options import OUTPUTS, Ge, Gt, Le, Option, Secret
from ..core.states import DeviceState
from .base import About, Ongoing, Sink, SinkOptions
from .metrics_http import Page, PageServer
from .presence import Presence
from .records import as_bytes

if TYPE_CHECKING:
    from ..core.messages import Event, Hop, Status, StreamEnd, StreamStart

_LATENCY_BUCKETS_S: Final = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_VITAL: Final = frozenset({"camera", "microphone", "stream", "networks"})
"""Without which the stream is not healthy. An output in trouble does not count: restarting would not help."""
_STATES: Final[dict[tuple[str, ...], tuple[str, ...]]] = {
    ("camera", "microphone", "stream"): get_args(DeviceState),
    ("stream", "sound"): ("damaged", "truncated"),
    ("machine",): ("running", "late", "overloaded", "effort"),
    ("clock",): ("adjusted",),
    ("networks",): ("running", "recovering", "failed"),
    ("mqtt", "webhook", "exec", "clips", "notify", "log", "csv"): (
        "running",
        "failing",
        "failed",
        "dropping",
        "lost",
    ),
}
"""Devices and what they may say: series that exist before anything was said."""


@dataclass(frozen=True)
class MetricsOptions(SinkOptions):
    """Prometheus metrics and /healthz: where to listen."""

    port: Annotated[
        Annotated[int, Ge(0), Le(65535)] | None,
        Option(
            "--metrics",
            panel=OUTPUTS,
            metavar="PORT",
            help="serve Prometheus metrics and /healthz on this port",
        ),
    ] = None
    host: str = "127.0.0.1"
    token: Secret | None = field(default=None, repr=False)
    """Bearer token that readers must show; needed on any other address than loopback."""
    stale_s: Annotated[float, Gt(0)] = 10.0
    """Without an answer for this long (or five hops, if that is longer) `/healthz` is 503."""

    def build(self, about: About) -> Sink | None:
        """A sink with a small server in threads of its own."""
        return MetricsSink(self, about) if self.port is not None else None


def serve_pages(options: MetricsOptions, page: Page, beside: PageServer | None = None) -> PageServer:
    """A server for `/metrics` and `/healthz` where the options say; see `PageServer`."""
    token = as_bytes(options.token) if options.token else None
    return PageServer((options.host, options.port or 0), token, page, beside)


class StreamMetrics(Sink):
    """Counts of one stream, in a registry of its own. Every method only touches numbers in memory.

    Args:
        options: when an answer is overdue.
        clock: the stream's.

    Raises:
        OutputError: prometheus-client is missing.

    """

    def __init__(self, options: MetricsOptions, clock: Clock) -> None:
        try:
            import prometheus_client as prom
        except ImportError as error:
            raise OutputError(
                "metrics: the package prometheus-client is missing; `pip install 'avel-live[metrics]'`"
            ) from error
        self._clock = clock
        self._stale_ns = round(options.stale_s * NS_PER_S)
        self._last_hop_ns: int | None = None
        self._born_ns = self._clock.now_ns()
        self._ended = ""
        self._presence = Presence()
        self._active: dict[int, str] = {}
        self._seen = (0, 0)
        self._lock = threading.Lock()

        self.registry = registry = prom.CollectorRegistry()
        self._info = prom.Info("avel_stream", "What runs here", registry=registry)
        self._hops = prom.Counter("avel_hops", "Answers given", registry=registry)
        self._skipped = prom.Counter("avel_hops_skipped", "Hops the machine was late for", registry=registry)
        self._dropped = prom.Counter("avel_dropped", "Frames and blocks of sound dropped", registry=registry)
        self._events = prom.Counter("avel_events", "Events begun", ["label"], registry=registry)
        self._retracted = prom.Counter(
            "avel_events_retracted", "Events taken back", ["label"], registry=registry
        )
        self._active_now = prom.Gauge(
            "avel_event_active", "1 while an event lasts", ["label"], registry=registry
        )
        self._seconds = prom.Counter("avel_settled_seconds", "Settled seconds", ["label"], registry=registry)
        self._confidence = prom.Gauge("avel_confidence", "Of the newest second's label", registry=registry)
        self._latency = prom.Histogram(
            "avel_latency_seconds",
            "End of a second to its answer",
            buckets=_LATENCY_BUCKETS_S,
            registry=registry,
        )
        self._frames = prom.Gauge("avel_segment_frames", "Pictures in the newest second", registry=registry)
        self._audio = prom.Gauge("avel_segment_audio_ratio", "Share of its sound received", registry=registry)
        self._level = prom.Gauge("avel_audio_dbfs", "Level of its sound", registry=registry)
        self._skew = prom.Gauge("avel_skew_seconds", "Camera minus microphone time", registry=registry)
        self._trouble = prom.Counter(
            "avel_status", "State changes of devices and sinks", ["device", "state"], registry=registry
        )
        for devices, states in _STATES.items():
            for device, state in product(devices, states):
                self._trouble.labels(device, state)
        self._healthy = prom.Gauge("avel_healthy", "What /healthz says", registry=registry)
        self._healthy.set_function(lambda: float(not self.troubles()))

    def start(self, start: "StreamStart") -> None:
        """Note the labels, and what runs here; another start counts on."""
        self._ended, self._seen = "", (0, 0)
        self._active.clear()
        self._stale_ns = max(self._stale_ns, round(5 * start.hop_s * NS_PER_S))
        self._info.info(
            {
                "version": start.version,
                "profile": start.profile,
                "backend": start.backend,
                "precision": start.precision,
                "source": start.source.kind,
            }
        )
        for label in start.labels:
            self._seconds.labels(label)
        for label in start.labels[:-1]:
            for family in (self._events, self._retracted):
                family.labels(label)
            self._active_now.labels(label).set(0.0)

    def resume(self, ongoing: Ongoing) -> None:
        """Take over open events; counters begin anew, as after a restart."""
        for event in ongoing.events:
            self._active[event.id] = event.name
            self._active_now.labels(event.name).set(1.0)

    def hop(self, record: "Hop") -> None:
        """Count an answer."""
        self._last_hop_ns = self._clock.now_ns()
        self._hops.inc()
        self._totals(record)
        self._latency.observe(record.latency_ms / 1000)
        self._confidence.set(record.confidence)
        self._frames.set(
            len(record.segment.frame_weights) or record.frames_per_segment * record.segment.video
        )
        self._audio.set(record.segment.audio_fraction)
        self._level.set(record.audio_level_dbfs)
        if record.skew_ms is not None:
            self._skew.set(record.skew_ms / 1000)
        for second in record.settled:
            self._seconds.labels(second.name).inc()
        for event in record.events:
            self._event(event)

    def status(self, status: "Status") -> None:
        """Count a change of state; note what is in trouble."""
        self._trouble.labels(status.device, status.state).inc()
        with self._lock:
            if status.device in _VITAL:
                self._presence.take(status)

    def end(self, end: "StreamEnd") -> None:
        """Count the last seconds and events."""
        for second in end.last_settled:
            self._seconds.labels(second.name).inc()
        for event in end.last_events:
            self._event(event)
        self._ended = end.reason or "ended"

    def troubles(self) -> dict[str, str]:
        """Why the stream is not healthy; empty when it is."""
        with self._lock:
            troubles = {d: f"{s.state}: {s.reason}" for d, s in self._presence.all.items()}
        since_ns = self._clock.now_ns() - (self._last_hop_ns or self._born_ns)
        if self._ended:
            troubles["stream"] = f"over: {self._ended}"
        elif since_ns > self._stale_ns:
            silent = f"no answer for {since_ns / NS_PER_S:.0f} s"
            troubles["stream"] = f"{silent}; {troubles['stream']}" if "stream" in troubles else silent
        return troubles

    def _event(self, event: "Event") -> None:
        label = event.name
        if event.kind == "start":
            self._events.labels(label).inc()
            self._active[event.id] = label
        elif event.kind in ("end", "retract"):
            self._active.pop(event.id, None)
            if event.kind == "retract":
                self._retracted.labels(label).inc()
        self._active_now.labels(label).set(float(label in self._active.values()))

    def _totals(self, record: "Hop") -> None:
        # The records carry totals; a counter only takes what was added.
        self._skipped.inc(max(0, record.skipped - self._seen[0]))
        self._dropped.inc(max(0, record.dropped - self._seen[1]))
        self._seen = (record.skipped, record.dropped)


class MetricsSink(StreamMetrics):
    """The counts of one stream, and a server for them.

    Raises:
        UsageError: another address than loopback without a token.
        OutputError: the port is taken, or prometheus-client is missing.

    """

    def __init__(self, options: MetricsOptions, about: About) -> None:
        super().__init__(options, about.clock)
        old = about.replaces.sink if about.replaces is not None else None
        beside = old._server if isinstance(old, MetricsSink) else None
        self._server: PageServer = serve_pages(options, self._page, beside)

    @property
    def port(self) -> int:
        """The port it listens on (chosen by the system when 0 was asked for)."""
        return self._server.port

    def close(self) -> None:
        """Stop listening; safe to call twice."""
        self._server.close()

    def _page(self, path: str, accept: str) -> tuple[int, str, bytes]:
        """Status, content type and body of one page, in the form that suits `accept`, a header's value."""
        from prometheus_client.exposition import choose_encoder

        if path == "/metrics":
            encode, kind = choose_encoder(accept)
            return 200, kind, encode(self.registry)
        if path == "/healthz":
            troubles = self.troubles()
            body = json.dumps({"healthy": not troubles, "troubles": troubles}).encode()
            return (503 if troubles else 200), "application/json", body
        return 404, "text/plain", b"/metrics or /healthz\n"
