"""Plain lines for logs, pipes and services: one per change and nothing else."""

from __future__ import annotations

from typing import TextIO

from ..core.messages import Event, Hop, Status, StreamEnd, StreamStart
from ..core.text import one_line
from ..sinks.base import Sink
from ..sinks.lines import LineWriter
from .theme import clock_text


class PlainLines(Sink):
    """A sink that writes one line when an event begins, changes or ends, or a device changes state.

    No colours, no control characters; every line is flushed, so that a pipe sees it at once.
    """

    def __init__(self, stream: TextIO | LineWriter) -> None:
        self._lines = stream if isinstance(stream, LineWriter) else LineWriter(stream)
        self._labels: tuple[str, ...] = ()
        self._devices: dict[str, tuple[str, str]] = {}
        self._shown: dict[int, tuple[float, str]] = {}

    def start(self, start: StreamStart) -> None:
        """Say what is being listened to."""
        self._labels = start.labels
        calibrated = f", calibration {start.calibration}" if start.calibration else ""
        self._line(
            f"avel-live {start.version}: {start.source.name}, {start.profile}, "
            f"{start.backend} {start.precision} on {start.device}{calibrated}"
        )

    def hop(self, record: Hop) -> None:
        """Say what changed; most hops change nothing."""
        for event in record.events:
            self._event(event)

    def status(self, status: Status) -> None:
        """Say the new state of a device, once."""
        now = (status.state, status.reason)
        if self._devices.get(status.device) != now:
            self._devices[status.device] = now
            reason = f": {status.reason}" if status.reason else ""
            self._line(f"{status.device} {status.state}{reason}")

    def end(self, end: StreamEnd) -> None:
        """Say the last events and the totals."""
        for event in end.last_events:
            self._event(event)
        reason = f" ({end.reason})" if end.reason else ""
        latency = f", latency p95 {end.latency_ms['p95']:.0f} ms" if end.latency_ms else ""
        self._line(
            f"over after {clock_text(end.seconds)}{reason}: {end.events} events, {end.hops} hops, "
            f"{end.skipped} skipped, {end.dropped} dropped{latency}"
        )

    def close(self) -> None:
        """Say what was lost; safe to call twice."""
        self._lines.close()

    def _event(self, event: Event) -> None:
        name = event.name or str(event.label)
        start, sure = clock_text(event.start_s), f"{event.confidence:.2f}"
        if event.kind == "start":
            self._line(f"{start} {name} begins ({sure})")
        elif event.kind == "update":
            # The confidence alone is no news for a log; a corrected beginning is.
            if self._shown.get(event.id, (event.start_s, ""))[0] != event.start_s:
                self._line(f"{start} {name} began then ({sure})")
        elif event.kind == "end" and event.end_s is not None:
            seconds = event.end_s - event.start_s
            self._line(f"{clock_text(event.end_s)} {name} ended: since {start}, {seconds:g} s ({sure})")
        else:
            self._line(f"{start} {name} retracted")
        if event.kind in ("start", "update"):
            self._shown[event.id] = (event.start_s, name)
        else:
            self._shown.pop(event.id, None)

    def _line(self, text: str) -> None:
        self._lines.write(one_line(text))
