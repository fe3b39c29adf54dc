"""A desktop notification when an event begins, through `notify-send` where there is a desktop."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from ..clock import NS_PER_S, Clock, SystemClock
from ..messages import Status
from .records import Record, RecordSink
from .runner import Report
from .worker import Worker, WorkerCounts


@dataclass(frozen=True)
class DesktopSettings:
    """How often a person may be disturbed."""

    name: str = "avel"
    pause_s: float = 10.0
    """Not more than one notification per class in this time."""
    timeout_s: float = 5.0


class DesktopSink(RecordSink):
    """Notifies. Where there is no desktop or no `notify-send` it says so once and stays quiet.

    Args:
        settings: how often.
        report: told once when there is nothing to notify with.
        clock: measures the pauses.
        environ: stands in for `os.environ` in tests.

    """

    events_only = True

    def __init__(
        self,
        settings: DesktopSettings,
        report: Report,
        clock: Clock | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        environ = os.environ if environ is None else environ
        self._settings, self._report = settings, report
        self._clock = clock or SystemClock()
        self._last_ns: dict[str, int] = {}
        self._failing = False
        self._program = shutil.which("notify-send", path=environ.get("PATH"))
        screen = any(environ.get(key) for key in ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY"))
        if self._program is None:
            self._say("failed", "no notify-send here (Debian: libnotify-bin); no notifications will be shown")
        elif not screen:
            self._say("failed", "no desktop session here; no notifications will be shown")
            self._program = None
        self._worker: Worker[list[str]] = Worker(
            "notify", self._notify, capacity=16, on_drop=lambda _n: None, clock=self._clock
        )

    @property
    def counts(self) -> WorkerCounts:
        """Notifications shown, failed, dropped and waiting."""
        return self._worker.counts

    def write(self, record: Record) -> None:
        """Notify when an event begins."""
        if self._program is None or record["event"] != "start":
            return
        label, now_ns = record["label"], self._clock.now_ns()
        last_ns = self._last_ns.get(label)
        if last_ns is not None and now_ns - last_ns < self._settings.pause_s * NS_PER_S:
            return
        self._last_ns[label] = now_ns
        body = f"{record['confidence']:.0%} sure, at {_clock_face(record['start_s'])}"
        self._worker.put(
            [self._program, "--app-name=avel-live", "--", f"{label} — {self._settings.name}", body]
        )

    def close(self) -> None:
        """Nothing is worth waiting for."""
        self._worker.close(1.0)

    def _notify(self, argv: list[str]) -> bool:
        try:
            subprocess.run(
                argv,
                check=True,
                timeout=self._settings.timeout_s,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except (OSError, subprocess.SubprocessError):
            if not self._failing:
                self._failing = True
                self._say("failing", "the desktop does not take notifications")
            return False
        return True

    def _say(self, state: str, reason: str) -> None:
        self._report(Status("notify", state, reason, self._clock.now_ns()))


def _clock_face(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
