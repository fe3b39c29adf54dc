"""Routes of who may: sessions, logging in and out."""

from __future__ import annotations

from anyio import to_thread
from fastapi import Request, Response

from .answers import Done, Login, SessionView
from .box import Changing
from .guard import COOKIE, RefusedError
from .parts import Parts
from .sessions import SESSION_S


class Access:
    """Handlers; see `api.routes` for what each is for."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def session(self, request: Request, response: Response) -> SessionView:
        """Who the reader is, and what changes of theirs have to show."""
        doors, session = self._parts.doors, request.scope["state"]["session"]
        if session is None and doors.open:
            session = doors.sessions.begin("")
            self._cookie(response, session.id)
        changing = isinstance(self._parts.box, Changing)
        if session is None:
            by_token = "authorization" in request.headers  # a wrong one did not come as far as here
            return SessionView(None, None, not by_token and not doors.open, changing)
        return SessionView(session.user or None, session.csrf, False, changing)

    async def login(self, given: Login, request: Request, response: Response) -> SessionView:
        """Begin a session with a name and a password."""
        doors = self._parts.doors
        address = request.client.host if request.client else ""
        if wait_s := doors.attempts.wait_s(address):
            raise RefusedError(429, "too many wrong passwords", wait_s)
        if len(given.password) > 1024 or doors.passwords is None:
            raise RefusedError(401, "no password is asked for here" if doors.passwords is None else "wrong")
        # Counted before it is looked at: many at a time are no way around it.
        doors.attempts.wrong(address)
        if not await to_thread.run_sync(doors.passwords.right, given.user, given.password):
            raise RefusedError(401, "name or password is wrong")
        doors.attempts.forgive(address)
        session = doors.sessions.begin(given.user)
        self._cookie(response, session.id)
        return SessionView(session.user, session.csrf, False, isinstance(self._parts.box, Changing))

    def logout(self, request: Request, response: Response) -> Done:
        """End the session."""
        session = request.scope["state"]["session"]
        if session is not None:
            self._parts.doors.sessions.end(session.id)
        response.delete_cookie(COOKIE, path="/")
        return Done("logged out")

    def _cookie(self, response: Response, value: str) -> None:
        response.set_cookie(
            COOKIE,
            value,
            max_age=SESSION_S,
            path="/",
            httponly=True,
            samesite="strict",
            secure=self._parts.secure,
        )
