"""Records as they come, as server-sent events; a beat where nothing comes, so that silence means trouble."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator
from typing import Any, Final

from anyio import CapacityLimiter, to_thread

from ..core.text import finite, json_safe
from ..sinks.watch import Subscription
from .box import Box
from .guard import RefusedError

WATCHERS: Final = 24
"""Browsers that may watch at the same time: each waits in a thread."""
BEAT_S: Final = 3.0
PREVIEW_S: Final = 0.5


class Live:
    """Streams of bytes for whoever watches, until they leave or the program ends.

    Args:
        box: whose records.
        over: set when the program ends.

    """

    def __init__(self, box: Box, over: threading.Event) -> None:
        self._box, self._over = box, over
        self._limiter: CapacityLimiter | None = None
        self._watching = 0
        self._subscriptions = set[Subscription]()

    def seat(self) -> None:
        """See that there is room for one more watcher.

        Raises:
            RefusedError: there are enough.

        """
        if self._watching >= WATCHERS:
            raise RefusedError(503, f"{WATCHERS} browsers are watching already", 10)

    def close(self) -> None:
        """Let everybody go, once `over` is set: nobody waits for a record that does not come."""
        for subscription in tuple(self._subscriptions):
            subscription.close()

    async def records(self) -> AsyncIterator[bytes]:
        """`data:` with a record each, or `event: beat`."""
        self._watching += 1
        subscription = self._box.subscribe()
        self._subscriptions.add(subscription)
        try:
            yield b"retry: 1000\nevent: beat\ndata: {}\n\n"
            while not self._over.is_set():
                record = await self._aside(subscription.get, BEAT_S)
                yield b"event: beat\ndata: {}\n\n" if record is None else _event(record)
        finally:
            subscription.close()
            self._subscriptions.discard(subscription)
            self._watching -= 1

    async def pictures(self, name: str) -> AsyncIterator[bytes]:
        """The picture of a stream twice a second, as `multipart/x-mixed-replace`."""
        self._watching += 1
        try:
            while not self._over.is_set():
                picture = await self._aside(self._box.snapshot, name)
                if picture is not None:
                    head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                    yield head.encode() + picture + b"\r\n"
                await self._aside(self._over.wait, PREVIEW_S)
        finally:
            self._watching -= 1

    async def _aside(self, call: Any, value: Any) -> Any:
        if self._limiter is None:
            self._limiter = CapacityLimiter(WATCHERS)
        return await to_thread.run_sync(call, value, abandon_on_cancel=True, limiter=self._limiter)


def _event(record: dict[str, Any]) -> bytes:
    line = json_safe(json.dumps(finite(record), ensure_ascii=False))
    return f"data: {line}\n\n".encode()
