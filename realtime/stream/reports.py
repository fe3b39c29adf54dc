"""What sinks and networks have to say, on its way to everybody."""

from __future__ import annotations

from collections import deque

from ..messages import Status


class Reports:
    """What sinks have to say, from any thread, on its way to all of them; keeps the newest 64."""

    def __init__(self) -> None:
        self._waiting: deque[Status] = deque(maxlen=64)

    def __call__(self, status: Status) -> None:
        """Say something; never blocks."""
        self._waiting.append(status)

    def take(self) -> list[Status]:
        """What was said since the last call."""
        said = []
        while self._waiting:
            said.append(self._waiting.popleft())
        return said
