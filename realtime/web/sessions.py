"""Who somebody is: passwords (argon2), tokens, sessions in memory, and how often one may try."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ..core.clock import NS_PER_S, Clock
from ..core.errors import UsageError

SESSION_S: Final = 12 * 3600
MOST_SESSIONS: Final = 500
TRIES: Final = 5
TRIES_S: Final = 60
_ADDRESSES: Final = 2000


@dataclass(frozen=True)
class Session:
    """Somebody who is logged in; or, where nobody needs to, a browser."""

    id: str
    csrf: str
    """What every request that changes something has to show."""
    user: str
    until_ns: int


class Sessions:
    """Sessions, the newest `MOST_SESSIONS`; they end with the program."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._all: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, user: str) -> Session:
        """A new one."""
        until_ns = self._clock.now_ns() + SESSION_S * NS_PER_S
        session = Session(secrets.token_urlsafe(32), secrets.token_urlsafe(32), user, until_ns)
        with self._lock:
            self._all[session.id] = session
            while len(self._all) > MOST_SESSIONS:
                self._all.popitem(last=False)
        return session

    def find(self, identifier: str) -> Session | None:
        """The one of a cookie; None where it is over or was never."""
        with self._lock:
            session = self._all.get(identifier)
            if session is not None and session.until_ns <= self._clock.now_ns():
                del self._all[identifier]
                return None
            return session

    def end(self, identifier: str) -> None:
        """Log out."""
        with self._lock:
            self._all.pop(identifier, None)


class Attempts:
    """Wrong passwords and tokens by address: after `TRIES` in `TRIES_S` seconds nothing is looked at."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, list[int]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, address: str) -> int:
        """How long an address has to wait; 0 = not at all."""
        now_ns = self._clock.now_ns()
        with self._lock:
            recent = [t for t in self._wrong.get(address, []) if now_ns - t < TRIES_S * NS_PER_S]
            if len(recent) < TRIES:
                return 0
            return max(1, -(-(recent[-TRIES] + TRIES_S * NS_PER_S - now_ns) // NS_PER_S))

    def wrong(self, address: str) -> None:
        """One more."""
        now_ns = self._clock.now_ns()
        with self._lock:
            recent = [t for t in self._wrong.pop(address, []) if now_ns - t < TRIES_S * NS_PER_S]
            self._wrong[address] = [*recent, now_ns][-TRIES:]
            while len(self._wrong) > _ADDRESSES:
                self._wrong.popitem(last=False)

    def forgive(self, address: str) -> None:
        """It was right, after all."""
        with self._lock:
            self._wrong.pop(address, None)


class Passwords:
    """One user and a password, given as it is or as an argon2 hash; only the hash is kept.

    Raises:
        UsageError: a hash that is none.

    """

    def __init__(self, user: str, password: str) -> None:
        self._hasher = PasswordHasher()
        self._user = user
        self._hash = password if password.startswith("$argon2") else self._hasher.hash(password)
        self._one = threading.Lock()
        try:
            self._hasher.check_needs_rehash(self._hash)
        except InvalidHashError as error:
            raise UsageError("web.password: begins like an argon2 hash, and is none") from error

    def right(self, user: str, password: str) -> bool:
        """Whether both are right. As slow for a wrong name as for a wrong password; one at a time."""
        with self._one:
            good = self._verified(password)
        return hmac.compare_digest(user.encode(), self._user.encode()) and good

    def _verified(self, password: str) -> bool:
        try:
            return self._hasher.verify(self._hash, password)
        except VerificationError:
            return False
