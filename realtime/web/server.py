"""Listens, in threads of its own; and the sink that shows the one stream of `avel-live`."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import uvicorn

from ..core.clock import Clock
from ..core.errors import OutputError, UsageError
from ..core.messages import StreamEnd
from ..memory import Memory
from ..sinks.base import About
from ..sinks.metrics_http import is_loopback
from ..sinks.watch import Bell, Watch
from ..sinks.web import WebOptions
from .app import make_app
from .box import Box, OneStream
from .guard import Doors
from .live import Live
from .parts import Parts

_LEAVE_S: Final = 2
"""How long the end waits for answers that are on their way."""
_CONNECTIONS: Final = 100


class Page:
    """The page of a box, from now on.

    Args:
        options: where to listen, and who may; `listen` is set.
        box: what it shows.
        memory: what was remembered; None = nothing.
        folders: says where clips may lie; asked every time.
        clock: for sessions.
        beside: the page whose place this one takes; they share the address for a moment.

    Raises:
        UsageError: an address that is none; one that others can reach, without token or password.
        OutputError: the address is taken, a file of TLS can't be read.

    """

    def __init__(
        self,
        options: WebOptions,
        box: Box,
        memory: Memory | None,
        folders: Callable[[], tuple[Path, ...]],
        clock: Clock,
        beside: Page | None = None,
    ) -> None:
        host, port = options.address
        if not is_loopback(host) and not options.password and not options.token:
            raise UsageError(
                f"web: {host} can be reached from other machines; set web.password (or web.token), "
                f"or listen on 127.0.0.1:{port}"
            )
        doors = Doors.of(host, options.user, options.password, options.token, clock)
        self.address = host, port
        self._over = threading.Event()
        self._socket = _listening(host, port, beside)
        self._port = int(self._socket.getsockname()[1])
        self._live = Live(box, self._over)
        parts = Parts(box, memory, folders, doors, self._live, options.cert is not None)
        settings = uvicorn.Config(
            make_app(parts),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=bool(options.proxies),
            forwarded_allow_ips=list(options.proxies),
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=_LEAVE_S,
            ssl_certfile=options.cert,
            ssl_keyfile=options.key,
        )
        try:
            settings.load()
        except (OSError, ssl.SSLError) as error:
            self._socket.close()
            raise OutputError(
                f"web: {options.cert}, {options.key}: no certificate and key ({error})"
            ) from error
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._thread.start()
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http{'s' if options.cert else ''}://{shown}:{self.port}/"
        """What to open."""

    @property
    def port(self) -> int:
        """The port it listens on (chosen by the system when 0 was asked for)."""
        return self._port

    def share(self) -> socket.socket:
        """Its listening socket once more, for the page that takes its place."""
        return self._socket.dup()

    def close(self) -> None:
        """Stop listening; safe to call twice."""
        self._over.set()
        self._live.close()
        self._server.should_exit = True
        self._thread.join(_LEAVE_S + 2)
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])


class PageSink(Watch):
    """The page of one stream: `avel-live --web`.

    Raises:
        UsageError, OutputError: as `Page`.

    """

    def __init__(
        self, options: WebOptions, about: About, memory: Memory | None, folders: tuple[Path, ...]
    ) -> None:
        bell = Bell()
        super().__init__(about.name, bell)
        old = about.replaces.sink if about.replaces is not None else None
        beside: Page | None = old.page if isinstance(old, PageSink) else None
        self.page: Page = Page(options, OneStream(self, bell), memory, lambda: folders, about.clock, beside)
        about.report("web", "running", f"the page is at {self.page.url}", "info")

    def end(self, end: StreamEnd) -> None:
        """What the end settled, and that it is over."""
        super().end(end)
        self.life("ended", end.reason)

    def close(self) -> None:
        """Stop listening; safe to call twice."""
        self.page.close()


def _listening(host: str, port: int, beside: Page | None) -> socket.socket:
    """A socket that listens; in a reload another one of the same, so that nobody is turned away."""
    if beside is not None and beside.address == (host, port):
        return beside.share()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(128)
    except (OSError, OverflowError) as error:
        made.close()
        why = getattr(error, "strerror", None) or error
        raise OutputError(f"web: {host}:{port} can't be listened on ({why}); choose another port") from error
    return made
