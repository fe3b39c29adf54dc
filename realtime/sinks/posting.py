"""HTTP requests that are over in time, whatever the other end does.

The timeout of a socket counts from byte to byte: a receiver that sends one every few seconds would hold a
delivery, and all that wait behind it, for as long as it likes. Here the connection is cut when the time for
the whole try is over: looking for the address, TLS, headers and answer.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import urllib.error
import urllib.request
from functools import partial
from typing import Any, Final

from ..core.clock import NS_PER_S, Clock

_ANSWER_BYTES: Final = 1024
"""More of an answer is not read."""


class _Try:
    """The sockets of one try, and the end of its time."""

    def __init__(self, timeout_s: float, clock: Clock) -> None:
        self.over = False
        self._clock = clock
        self._until_ns = clock.now_ns() + timeout_s * NS_PER_S
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(timeout_s, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def connect(
        self, address: tuple[str, int], _timeout: object = None, source: Any = None, **_more: Any
    ) -> socket.socket:
        """As `socket.create_connection`; all its addresses together get what is left of the time."""
        problem: OSError = TimeoutError("timed out")
        for family, kind, protocol, _, target in socket.getaddrinfo(*address, 0, socket.SOCK_STREAM):
            left_s = (self._until_ns - self._clock.now_ns()) / NS_PER_S
            if left_s <= 0:
                break
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(left_s)
                if source:
                    connection.bind(source)
                connection.connect(target)
                # A copy: TLS takes the socket itself away, and a handshake can be drawn out, too.
                self._keep(connection.dup())
            except OSError as error:
                connection.close()
                problem = error
            else:
                return connection
        raise problem

    def close(self) -> None:
        """The try is over, one way or the other."""
        self._timer.cancel()
        with self._lock:
            for kept in self._sockets:
                kept.close()
            self._sockets.clear()

    def _keep(self, copy: socket.socket) -> None:
        with self._lock:
            self._sockets.append(copy)
            if self.over:
                self._shut(copy)

    def _cut(self) -> None:
        with self._lock:
            self.over = True
            for kept in self._sockets:
                self._shut(kept)

    @staticmethod
    def _shut(kept: socket.socket) -> None:
        try:
            kept.shutdown(socket.SHUT_RDWR)
        except OSError:  # it is gone already
            return


def _connection(kind: type[http.client.HTTPConnection], attempt: _Try, host: str, **options: Any) -> Any:
    made = kind(host, **options)
    made._create_connection = attempt.connect  # type: ignore[attr-defined]
    return made


class _Http(urllib.request.HTTPHandler):
    def __init__(self, attempt: _Try) -> None:
        super().__init__()
        self._attempt = attempt

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_connection, http.client.HTTPConnection, self._attempt), request)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, attempt: _Try) -> None:
        super().__init__()
        self._attempt = attempt

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_connection, http.client.HTTPSConnection, self._attempt), request)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: object) -> None:
        """A POST that is redirected would arrive as a GET without a body."""


def post(
    url: str, body: bytes, headers: dict[str, str], timeout_s: float, clock: Clock
) -> tuple[str, int, str]:
    """One POST → what went wrong (empty: nothing), HTTP state (0 without one), its `Retry-After`."""
    request = urllib.request.Request(url, body, headers, method="POST")
    attempt = _Try(timeout_s, clock)
    try:
        opener = urllib.request.build_opener(_Http(attempt), _Https(attempt), _NoRedirect)
        with opener.open(request, timeout=timeout_s) as response:
            if attempt.over:  # headers that were cut off look like short ones
                raise TimeoutError
            with contextlib.suppress(OSError, http.client.HTTPException):  # it was taken, whatever follows
                response.read(_ANSWER_BYTES)
    except urllib.error.HTTPError as error:
        error.close()
        return f"HTTP {error.code}", error.code, error.headers.get("Retry-After") or ""
    except (OSError, http.client.HTTPException) as error:
        if attempt.over:
            return f"no whole answer within {timeout_s:g} s", 0, ""
        reason = getattr(error, "reason", error)
        return str(reason) or type(error).__name__, 0, ""
    finally:
        attempt.close()
    return "", response.status, ""
