"""What the page needs of whoever runs streams: `serve.box.Box`, or one stream by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from ..sinks.watch import Bell, Setting, StreamState, Subscription, Watch


class Box(Protocol):
    """Streams, as they are now and as they go on. Called from several threads."""

    def streams(self) -> Sequence[StreamState]:
        """Every stream as it is now."""

    def snapshot(self, name: str) -> bytes | None:
        """The newest picture of a stream as JPEG; None where there is none.

        Raises:
            UsageError: no such stream.

        """

    def subscribe(self) -> Subscription:
        """The records of all streams from now on, each with `stream`."""


@runtime_checkable
class Changing(Protocol):
    """A box whose streams come and go. Each call says what was done, or raises `UsageError`."""

    def add(self, values: Mapping[str, Any]) -> str:
        """Start one more stream."""

    def change(self, name: str, values: Mapping[str, Any]) -> str:
        """Change some keys of a stream."""

    def remove(self, name: str) -> str:
        """End a stream."""

    def settings(self, name: str) -> Sequence[Setting]:
        """What may be changed of a stream while it runs."""


class OneStream:
    """The box of `avel-live`: its one stream."""

    def __init__(self, watch: Watch, bell: Bell) -> None:
        self._watch, self._bell = watch, bell

    def streams(self) -> Sequence[StreamState]:
        """It alone."""
        return (self._watch.now(),)

    def snapshot(self, name: str) -> bytes | None:
        """Its newest picture; it is the only one there is."""
        return self._watch.snapshot()

    def subscribe(self) -> Subscription:
        """Its records."""
        return self._bell.subscribe()
