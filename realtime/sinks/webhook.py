"""Webhook: every event record as an HTTP POST, in order, tried again until it is taken or given up.

Headers a receiver may rely on:

    X-Avel-Delivery     one id per event, the same at every try: drop what you have seen
    X-Avel-Timestamp    Unix seconds of this try; refuse what is too old
    X-Avel-Signature    sha256=HEX, HMAC-SHA256 with the secret over "<timestamp>.<body>"
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import unquote, urlsplit

from annotated_types import Ge, Gt

from ..clock import NS_PER_S
from ..errors import UsageError
from ..messages import State
from ..options import OUTPUTS, Option, Secret
from .base import About, Sink, SinkOptions
from .delivery import DeliveryCounts, DeliveryQueue
from .records import JsonSink, Record

if TYPE_CHECKING:
    import urllib.request

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
    timeout_s: Annotated[float, Gt(0)] = 5.0
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


def _opener() -> urllib.request.OpenerDirector:
    """What posts: a POST that is redirected would arrive as a GET without a body, so that is refused."""
    import urllib.request

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args: object) -> None:
            return None

    return urllib.request.build_opener(NoRedirect)


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """The value of `X-Avel-Signature`."""
    return "sha256=" + hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def _without_login(url: str) -> tuple[str, str]:
    """The address without `user:password@`, and the Authorization header that replaces it (or nothing)."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
        # A line break would end the request's first line; a space is refused only at the first delivery.
        good = good and url.isprintable() and " " not in url
    except ValueError:
        good = False
    if not good:
        raise UsageError("webhook: not an address; expected http://host/path or https://host/path")
    if parts.username is None:
        return url, ""
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host).geturl(), "Basic " + base64.b64encode(login.encode()).decode()


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
        self._opener = _opener()
        self._random = random.Random()
        self._failing = False
        self._queue: DeliveryQueue[_Delivery] = DeliveryQueue(
            "webhook",
            self._deliver,
            capacity=options.buffer,
            on_drop=self._dropped,
            clock=about.clock,
            lossless=about.lossless,
        )

    @property
    def counts(self) -> DeliveryCounts:
        """Taken, given up, dropped and waiting events."""
        return self._queue.counts

    def write(self, record: Record) -> None:
        """Queue an event for delivery; waits only where `lossless`."""
        body = json.dumps({"stream": self._about.name, **record}, ensure_ascii=False).encode()
        self._queue.put(_Delivery(uuid.uuid4().hex, body))

    def close(self) -> None:
        """Deliver what waits, at most for `flush_s`."""
        before = self._queue.counts
        after = self._queue.close(self._about.flush_s(FLUSH_S))
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
        import http.client  # these two cost the command line's start more than all the rest of this file
        import urllib.error
        import urllib.request

        timestamp = int(self._about.wall_s())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "avel-live",
            "X-Avel-Delivery": delivery.id,
            "X-Avel-Timestamp": str(timestamp),
        }
        if self._options.secret:
            headers["X-Avel-Signature"] = signature(self._options.secret, timestamp, delivery.body)
        if self._authorization:
            headers["Authorization"] = self._authorization
        request = urllib.request.Request(self._url, delivery.body, headers, method="POST")
        try:
            with self._opener.open(request, timeout=self._options.timeout_s) as response:
                response.read(1024)
            return "", False, 0.0
        except urllib.error.HTTPError as error:
            error.close()
            asked = error.headers.get("Retry-After", "")
            asked_s = float(asked) if asked.isdigit() else 0.0
            return f"HTTP {error.code}", error.code not in RETRIED, asked_s
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            return str(reason) or type(error).__name__, False, 0.0

    def _dropped(self, count: int) -> None:
        self._say("dropping", f"{self._where} too slow or gone: {count} events dropped so far")

    def _say(self, state: State, reason: str) -> None:
        self._about.report("webhook", state, reason)
