"""Webhook: every event record as an HTTP POST, in order, tried again until it is taken or given up.

Headers a receiver may rely on:

    X-Avel-Delivery     one id per event, the same at every try: drop what you have seen
    X-Avel-Timestamp    Unix seconds of this try; refuse what is too old
    X-Avel-Signature    sha256=HEX, HMAC-SHA256 with the secret over "<timestamp>.<body>"
"""

import base64
import re
import uuid
from dataclasses import dataclass, field
from typing import Annotated, Final
from urllib.parse import quote, unquote, urlsplit

from ..core.clock import NS_PER_S
from ..core.errors import UsageError
from ..core.options import OUTPUTS, Ge, Gt, Le, Option, Secret
from ..core.states import State
from .base import About, Sink, SinkOptions, words
from .delivery import DeliveryCounts, DeliveryQueue
from .records import JsonSink, Record, as_bytes, to_bytes

RETRIED: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP states that mean "later"; any other refusal is final."""


FIRST_WAIT_S: Final = 0.5
"""Longest wait before the second try; doubles with every try. Each wait is drawn from its upper half."""
LONGEST_WAIT_S: Final = 30.0
FLUSH_S: Final = 5.0


@dataclass(frozen=True)
class WebhookOptions(SinkOptions):
    """HTTP POST of every event."""

    url: Annotated[
        str | None, Option("--webhook", panel=OUTPUTS, metavar="URL", help="POST every event as JSON")
    ] = field(default=None, repr=False)
    secret: Secret | None = field(default=None, repr=False)
    """Key of the HMAC-SHA256 signature."""
    timeout_s: Annotated[float, Gt(0), Le(3600)] = 5.0
    """Time for a whole try, from looking for the address to the end of the answer."""
    retries: Annotated[int, Ge(0)] = 8
    """Tries after the first. With the waits between them, eight last about two minutes."""
    buffer: Annotated[int, Ge(1)] = 1_000
    """Events that may wait; beyond it the oldest are dropped, counted and reported."""

    def build(self, about: About) -> Sink | None:
        """A sink with a queue and a thread of its own."""
        return WebhookSink(self, about) if self.url is not None else None


@dataclass(frozen=True, slots=True)
class _Delivery:
    id: str
    body: bytes


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """The value of `X-Avel-Signature`."""
    import hmac

    return "sha256=" + hmac.new(as_bytes(secret), f"{timestamp}.".encode() + body, "sha256").hexdigest()


def _without_login(url: str) -> tuple[str, str]:
    """The address in ASCII without `user:password@`, and the Authorization header in place of that."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
        # A line break would end the request's first line; a space is refused only at the first delivery.
        good = good and url.isprintable() and " " not in url
        host = parts.netloc.rpartition("@")[2].encode("idna").decode("ascii")
    except ValueError:
        good = False
    if not good:
        raise UsageError("webhook: not an address; expected http://host/path or https://host/path")
    # What browsers do with letters outside ASCII; what is escaped already stays.
    path, query = (re.sub(r"[^!-~]+", lambda m: quote(m[0]), part) for part in (parts.path, parts.query))
    bare = parts._replace(netloc=host, path=path, query=query, fragment="").geturl()
    if parts.username is None:
        return bare, ""
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return bare, "Basic " + base64.b64encode(login.encode()).decode()


def _asked_s(retry_after: str, now_s: float) -> float:
    """How long a receiver asks to be left alone: seconds, or a date; 0 where it says neither."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now_s)
    except (ValueError, TypeError, OverflowError):
        return 0.0


class WebhookSink(JsonSink):
    """Posts events. `write` only queues (and where `lossless` waits for room); one thread delivers in order.

    Args:
        options: where and how; `url` is set.
        about: the stream. Told when the receiver fails, works again, or an event is given up.

    Raises:
        UsageError: not an http(s) address.

    """

    events_only = True

    def __init__(self, options: WebhookOptions, about: About) -> None:
        super().__init__()
        self._url, self._authorization = _without_login(options.url or "")
        parts = urlsplit(self._url)
        self._where = f"{parts.scheme}://{parts.netloc}"
        self._options, self._about = options, about
        import random

        self._random = random.Random()
        self._failing = False
        self._queue: DeliveryQueue[_Delivery] = DeliveryQueue(
            "webhook",
            self._deliver,
            capacity=options.buffer,
            on_drop=self._dropped,
            clock=about.clock,
            room=about.room(),
            on_error=self._crashed,
        )

    @property
    def counts(self) -> DeliveryCounts:
        """Taken, given up, dropped and waiting events."""
        return self._queue.counts

    def write(self, record: Record) -> None:
        """Queue an event for delivery; waits only where `lossless`."""
        self._queue.put(_Delivery(uuid.uuid4().hex, to_bytes({"stream": self._about.name, **record})))

    def close(self) -> None:
        """Deliver what waits, at most for `flush_s`."""
        before = self._queue.counts
        after = self._queue.close(lambda: self._about.flush_s(FLUSH_S))
        if after.dropped > before.dropped:
            self._say("failed", f"{after.dropped - before.dropped} events not delivered at the end")

    def _deliver(self, delivery: _Delivery) -> bool:
        wait_s = FIRST_WAIT_S
        for tries_left in range(self._options.retries, -1, -1):
            problem, final, asked_s = self._post(delivery)
            if not problem:
                if self._failing:
                    self._failing = False
                    self._say("running", f"{self._where} takes events again")
                return True
            if final or not tries_left:
                self._say("failed", f"{self._where}: {problem}; event given up")
                self._failing = True
                return False
            if not self._failing:
                self._failing = True
                self._say("failing", f"{self._where}: {problem}; trying again")
            pause_s = asked_s or wait_s * self._random.uniform(0.5, 1.0)
            until_ns = self._about.clock.now_ns() + round(min(pause_s, LONGEST_WAIT_S) * NS_PER_S)
            if self._about.clock.wait_until(until_ns, self._queue.stopping):
                return False
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
        return False

    def _post(self, delivery: _Delivery) -> tuple[str, bool, float]:
        """One try → what went wrong (empty: nothing), whether for good, seconds the receiver asks for."""
        from .posting import post  # urllib and TLS cost the command line's start more than all the rest

        now_s = self._about.wall_s()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "avel-live",
            "X-Avel-Delivery": delivery.id,
            "X-Avel-Timestamp": str(int(now_s)),
        }
        if self._options.secret:
            headers["X-Avel-Signature"] = signature(self._options.secret, int(now_s), delivery.body)
        if self._authorization:
            headers["Authorization"] = self._authorization
        problem, code, retry_after = post(
            self._url, delivery.body, headers, self._options.timeout_s, self._about.clock
        )
        return problem, bool(code) and code not in RETRIED, _asked_s(retry_after, now_s)

    def _crashed(self, error: BaseException) -> None:
        self._failing = True
        self._say("failed", f"{self._where}: {words(error)}; event given up")

    def _dropped(self, count: int) -> None:
        self._say("dropping", f"{self._where} too slow or gone: {count} events dropped so far")

    def _say(self, state: State, reason: str) -> None:
        self._about.report("webhook", state, reason)
