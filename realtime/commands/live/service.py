"""Running under systemd: ready and watchdog messages, and SIGHUP to read the configuration again.

Under `Type=notify` the service manager is told when answers begin, and (with `WatchdogSec=`) that the
loop is alive; both are silent anywhere else. On SIGHUP thresholds and outputs follow the file and the
environment; what can't change while a stream runs (source, networks) is named and stays as it is.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Mapping

from ...core.clock import Clock
from ...core.states import CONFIGURATION, State
from ...sinks.base import Report


class Notifier:
    """systemd's notification protocol, sd_notify(3): datagrams on the socket it names; silent without one."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._address = environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]
        ours = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        usec = environ.get("WATCHDOG_USEC", "") if ours else ""
        self.watchdog_ns = int(usec) * 1000 if usec.isdigit() else 0
        """How often the manager wants a sign of life; 0 for never."""

    def send(self, text: str) -> bool:
        """Send assignments, one a line; whether there was anybody to send them to."""
        if not self._address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.settimeout(1.0)
                channel.sendto(text.encode(), self._address)
        except OSError:
            return False
        return True


class Service:
    """What the main loop calls at every turn: signs of life, and the reload when it was asked for.

    Args:
        clock: measures the watchdog's interval.
        reload: reads the configuration again and applies it; returns what to say. Its errors are said.
        report: where that goes.
        notifier: the way to the service manager.

    """

    def __init__(
        self,
        clock: Clock,
        reload: Callable[[], str],
        report: Report,
        notifier: Notifier | None = None,
    ) -> None:
        self._clock, self._reload, self._report = clock, reload, report
        self._notifier = notifier or Notifier()
        self._ready = False
        self._asked = False
        self._beat_ns = clock.now_ns()

    def listen(self) -> None:
        """Take SIGHUP from now on (main thread only); where the system has none, do nothing."""
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, lambda _number, _frame: self.ask())

    def ask(self) -> None:
        """Reload at the next turn; safe from a signal handler."""
        self._asked = True

    def beat(self) -> None:
        """One turn of the loop."""
        now_ns = self._clock.now_ns()
        if not self._ready:
            self._ready = True
            self._notifier.send("READY=1\nSTATUS=watching and listening")
        if self._notifier.watchdog_ns and now_ns - self._beat_ns >= self._notifier.watchdog_ns // 3:
            self._beat_ns = now_ns
            self._notifier.send("WATCHDOG=1")
        if self._asked:
            self._asked = False
            self._notifier.send(f"RELOADING=1\nMONOTONIC_USEC={now_ns // 1000}")
            try:
                said = self._reload()
                state: State = "reloaded"
            except Exception as error:  # a typing mistake in a file must not end the stream
                state, said = "failed", f"not reloaded, all stays as it was: {' '.join(str(error).split())}"
            self._report(CONFIGURATION, state, said)
            self._notifier.send("READY=1")

    def stopping(self) -> None:
        """The stream is over; flushing may take a moment."""
        if self._ready:
            self._notifier.send("STOPPING=1\nSTATUS=flushing outputs")
