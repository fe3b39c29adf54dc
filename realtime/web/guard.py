"""Before anything is answered: from where a request comes, whether it may, and how large it is.

A request passes that shows the token (`Authorization: Bearer …`), or the cookie of a session; where the page
listens on loopback and no password is set, any does whose `Host` is this machine's (a page of somebody else
whose name was bent to 127.0.0.1 has another). What changes something needs, besides a session, its
`X-CSRF-Token`, and an `Origin` of ours where a browser sends one.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from ..core.clock import Clock
from ..sinks.metrics_http import is_loopback
from .sessions import Attempts, Passwords, Session, Sessions

COOKIE: Final = "avel_session"
LARGEST: Final = 64 * 1024
"""Bytes of a request's body at most."""
_UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_OPEN: Final = frozenset({"/api/session", "/api/login"})
"""Answered without knowing who asks, beside the page itself, which says nothing of anybody."""
HEADERS: Final = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
        b"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        b"frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Doors:
    """Who is let in, and what is known of them."""

    open: bool
    """Loopback without password: everybody on this machine."""
    passwords: Passwords | None
    token: bytes | None
    sessions: Sessions
    attempts: Attempts

    @classmethod
    def of(cls, host: str, user: str, password: str | None, token: str | None, clock: Clock) -> Doors:
        """As configured."""
        return cls(
            open=is_loopback(host) and not password and not token,
            passwords=Passwords(user, password) if password else None,
            token=token.encode("utf-8", "surrogateescape") if token else None,
            sessions=Sessions(clock),
            attempts=Attempts(clock),
        )


class RefusedError(Exception):
    """Why a request is not answered."""

    def __init__(self, status: int, detail: str, wait_s: int = 0) -> None:
        super().__init__(detail)
        self.status, self.detail, self.wait_s = status, detail, wait_s


class Guard:
    """Wraps an application; see above."""

    def __init__(self, app: App, doors: Doors) -> None:
        self._app, self._doors = app, doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no WebSockets here
        began = False

        async def guarded(message: MutableMapping[str, Any]) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                headers = [h for h in message.get("headers", []) if h[0].lower() != b"server"]
                if not any(h[0] == b"cache-control" for h in headers):
                    kept = b"no-store" if scope["path"].startswith("/api/") else b"no-cache"
                    headers.append((b"cache-control", kept))
                message["headers"] = [*headers, *HEADERS]
            await send(message)

        try:
            headers = {
                key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]
            }
            scope.setdefault("state", {})["session"] = self._admit(scope, headers)
            await self._app(scope, self._bounded(headers, receive), guarded)
        except RefusedError as refusal:
            if not began:
                await _refuse(refusal, guarded)

    def _admit(self, scope: Scope, headers: dict[str, str]) -> Session | None:
        doors, path, method = self._doors, scope["path"], scope["method"]
        if doors.open and not is_loopback(_host(headers.get("host", ""))):
            raise RefusedError(403, "this page is for this machine alone: ask for it as localhost")
        origin = headers.get("origin")
        ours = origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
        if method in _UNSAFE and not ours:
            raise RefusedError(403, "sent by a page from elsewhere")
        if not path.startswith("/api/") and path != "/openapi.json":
            return None
        if (given := headers.get("authorization")) is not None:
            self._by_token(scope, given)
            return None
        session = doors.sessions.find(_cookie(headers.get("cookie", "")))
        if path in _OPEN:
            return session
        if session is None and not doors.open:
            raise RefusedError(401, "log in, or show a token")
        if method in _UNSAFE:
            shown = headers.get("x-csrf-token", "")
            if session is None or not hmac.compare_digest(shown.encode(), session.csrf.encode()):
                raise RefusedError(403, "X-CSRF-Token is missing or wrong; /api/session says it")
        return session

    def _by_token(self, scope: Scope, given: str) -> None:
        address = scope["client"][0] if scope.get("client") else ""
        if wait_s := self._doors.attempts.wait_s(address):
            raise RefusedError(429, "too many wrong tokens or passwords", wait_s)
        token = self._doors.token
        if token is None or not hmac.compare_digest(given.encode("latin-1"), b"Bearer " + token):
            self._doors.attempts.wrong(address)
            raise RefusedError(401, "the token is wrong")

    def _bounded(self, headers: dict[str, str], receive: Receive) -> Receive:
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > LARGEST:
            raise RefusedError(413, f"the body is larger than {LARGEST} bytes")
        got = 0

        async def bounded() -> MutableMapping[str, Any]:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > LARGEST:
                raise RefusedError(413, f"the body is larger than {LARGEST} bytes")
            return message

        return bounded


def _host(given: str) -> str:
    """The name in a `Host` header, without port and brackets."""
    try:
        return urlsplit(f"//{given}").hostname or ""
    except ValueError:
        return ""


def _cookie(header: str) -> str:
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


async def _refuse(refusal: RefusedError, send: Send) -> None:
    body = json.dumps({"detail": refusal.detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if refusal.wait_s:
        headers.append((b"retry-after", str(refusal.wait_s).encode()))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
