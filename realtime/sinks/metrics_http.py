"""The small HTTP server behind metrics and `/healthz`: pages by path, a token, no client that holds it up."""

from __future__ import annotations

import errno
import ipaddress
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ..core.errors import OutputError, UsageError

if TYPE_CHECKING:
    import socket
    from http.server import ThreadingHTTPServer

_REQUEST_S: Final = 10.0
"""Time for a whole request, however its bytes come."""

Page = Callable[[str, str], tuple[int, str, bytes]]
"""Path and `Accept` → status, content type, body."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def serve(
    address: tuple[str, int], token: bytes | None, page: Page, beside: socket.socket | None = None
) -> ThreadingHTTPServer:
    """A server that listens, to be run by `serve_forever`.

    Args:
        address: host and port; port 0 takes one that is free.
        token: what readers must show, in UTF-8; None on loopback lets everybody read.
        page: makes a page.
        beside: a listening socket of ours that may hold the same port, and is about to be closed.

    Raises:
        OutputError: it can't be listened on.

    """
    import hmac
    import socket
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    wanted = None if is_loopback(address[0]) and token is None else b"Bearer " + (token or b"")

    class Handler(BaseHTTPRequestHandler):
        timeout = _REQUEST_S  # a client that connects and says nothing must not keep a thread

        def setup(self) -> None:
            # Nor one that sends a byte now and then.
            self._late = threading.Timer(_REQUEST_S, self._cut)
            self._late.daemon = True
            self._late.start()
            super().setup()

        def finish(self) -> None:
            self._late.cancel()
            super().finish()

        def _cut(self) -> None:
            try:
                self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # it is over
                return

        def do_GET(self) -> None:
            self._answer(whole=True)

        def do_HEAD(self) -> None:
            self._answer(whole=False)

        def _answer(self, *, whole: bool) -> None:
            # Headers are read as Latin-1: byte by byte what was sent.
            given = self.headers.get("Authorization", "").encode("latin-1", "replace")
            if wanted is not None and not hmac.compare_digest(given, wanted):
                answer = 401, "text/plain", b"a bearer token is needed\n"
            else:
                answer = page(self.path.split("?")[0], ",".join(self.headers.get_all("Accept", [])))
            status, kind, body = answer
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            if status == 401:
                self.send_header("WWW-Authenticate", "Bearer")
            self.end_headers()
            if whole:
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads an access log of a health check."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def get_request(self) -> tuple[socket.socket, Any]:
            connection, peer = super().get_request()
            connection.setblocking(True)  # some systems hand on what the listening socket is
            return connection, peer

        def server_bind(self) -> None:
            if beside is None:
                super().server_bind()
                return
            if beside.getsockname() == self.server_address:
                # One queue for both: nobody who waits in it is turned away when the other leaves. What the
                # other took in the meantime is no longer there to be accepted: that must not be waited for.
                self.socket.close()
                self.socket = beside.dup()
                self.socket.setblocking(False)
                self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
                return
            try:
                super().server_bind()
            except OSError as error:
                if error.errno != errno.EADDRINUSE or not hasattr(socket, "SO_REUSEPORT"):
                    raise
                # Both agree to share it, for the moment that both are there; a stranger's socket does not.
                for one in (beside, self.socket):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                super().server_bind()

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that hung up is no trouble of ours."""

    try:
        return Server(address, Handler)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise OutputError(
            f"metrics: {address[0]}:{address[1]} can't be listened on ({why}); choose another port"
        ) from error


class PageServer:
    """Pages over HTTP, from a thread of its own; on loopback unless there is a token.

    Args:
        address: host and port; port 0 takes one that is free.
        token: what readers must show.
        page: makes a page.
        beside: one that leaves when this one is there (a reload), and may listen at the same place.

    Raises:
        UsageError: another address than loopback without a token.
        OutputError: it can't be listened on.

    """

    def __init__(
        self, address: tuple[str, int], token: bytes | None, page: Page, beside: PageServer | None = None
    ) -> None:
        if not is_loopback(address[0]) and token is None:
            raise UsageError(
                f"metrics: {address[0]} can be reached from other machines; set metrics.token, "
                "or leave metrics.host at 127.0.0.1"
            )
        self._server: ThreadingHTTPServer = serve(
            address, token, page, beside._server.socket if beside is not None else None
        )
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on (chosen by the system when 0 was asked for)."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening; safe to call twice."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(2)
