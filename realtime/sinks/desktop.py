"""A desktop notification when an event begins, through `notify-send` where there is a desktop."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from ..core.clock import NS_PER_S
from ..core.options import OUTPUTS, Gt, Le, Option, Seconds
from ..core.states import State
from ..core.text import one_line
from .base import About, Sink, SinkOptions
from .delivery import DeliveryCounts, DeliveryQueue
from .environment import clean_environment
from .records import JsonSink, Record


@dataclass(frozen=True)
class NotifyOptions(SinkOptions):
    """Desktop notifications: how often a person may be disturbed."""

    enabled: Annotated[
        bool, Option("--notify", panel=OUTPUTS, help="desktop notification when an event begins")
    ] = False
    pause_s: Seconds = 10.0
    """Not more than one notification per class in this time."""
    timeout_s: Annotated[float, Gt(0), Le(3600)] = 5.0

    def build(self, about: About) -> Sink | None:
        """Nobody reads hundreds of notifications: the newest few are enough, of a recording too."""
        return DesktopSink(self, about) if self.enabled else None


class DesktopSink(JsonSink):
    """Notifies. Where there is no desktop or no `notify-send` it says so once and stays quiet.

    Args:
        options: how often.
        about: the stream. Told once when there is nothing to notify with.
        environ: stands in for `os.environ` in tests.

    """

    events_only = True

    def __init__(
        self, options: NotifyOptions, about: About, environ: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        environ = os.environ if environ is None else environ
        self._environment = clean_environment(environ=environ)
        self._options, self._about = options, about
        self._last_ns: dict[str, int] = {}
        self._failing = False
        self._program = shutil.which("notify-send", path=environ.get("PATH"))
        screen = any(environ.get(key) for key in ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY"))
        if self._program is None:
            self._say("failed", "no notify-send here (Debian: libnotify-bin); no notifications will be shown")
        elif not screen:
            self._say("failed", "no desktop session here; no notifications will be shown")
            self._program = None
        self._queue: DeliveryQueue[list[str]] = DeliveryQueue(
            "notify",
            self._notify,
            capacity=16,
            on_drop=lambda _n: None,
            clock=about.clock,
            on_error=lambda _error: self._refused(),
        )

    @property
    def counts(self) -> DeliveryCounts:
        """Notifications shown, failed, dropped and waiting."""
        return self._queue.counts

    def write(self, record: Record) -> None:
        """Notify when an event begins."""
        if self._program is None or record["event"] != "start":
            return
        label, now_ns = record["label"], self._about.clock.now_ns()
        last_ns = self._last_ns.get(label)
        if last_ns is not None and now_ns - last_ns < self._options.pause_s * NS_PER_S:
            return
        self._last_ns[label] = now_ns
        body = f"{record['confidence']:.0%} sure, at {_clock_face(record['start_s'])}"
        title = one_line(f"{label} — {self._about.name}")
        self._queue.put([self._program, "--app-name=avel-live", "--", title, body])

    def close(self) -> None:
        """Nothing is worth waiting for."""
        self._queue.close(1.0)

    def _notify(self, argv: list[str]) -> bool:
        try:
            subprocess.run(
                argv,
                check=True,
                timeout=self._options.timeout_s,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except (OSError, subprocess.SubprocessError):
            return self._refused()
        self._failing = False
        return True

    def _refused(self) -> bool:
        if not self._failing:
            self._failing = True
            self._say("failing", "the desktop does not take notifications")
        return False

    def _say(self, state: State, reason: str) -> None:
        self._about.report("notify", state, reason)


def _clock_face(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
