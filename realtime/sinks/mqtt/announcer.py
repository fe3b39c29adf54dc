"""When Home Assistant is told what: the announcement, and the removal of entities that are no more.

Home Assistant removes an entity whose component is announced with its platform alone, but not one that is
disabled, as those of classes are until somebody wants them; these go only with their device. So where an
earlier announcement had classes that these networks do not have, the device is taken away first (an empty
announcement) and announced anew some seconds later: while it removes entities Home Assistant clears the
topic itself, and whatever it is sent meanwhile it drops. Its registry gives back what users had set.
"""

from __future__ import annotations

import json
from typing import Any, Final

from ...core.clock import NS_PER_S
from ..base import About
from .broker import Message
from .discovery import discovery_payload, discovery_topic, former_components, removals

SETTLE_NS: Final = 3 * NS_PER_S
"""Home Assistant needs far less for a device; a small machine with many, perhaps, more than a second."""
CLEARING_NS: Final = 30 * NS_PER_S
"""How long after a removal an announcement that disappears is taken for cleared by it, and said again."""


class Announcer:
    """The announcement of one stream. Methods return what has to be sent, in order.

    `later` belongs to the thread that writes records, the others to that of the link; they share plain
    values only.
    """

    def __init__(self, prefix: str, base: str, about: About) -> None:
        self.topic = discovery_topic(prefix, about.name)
        self._base, self._about = base, about
        self._labels: tuple[str, ...] = ()
        self._version = ""
        self._former: dict[str, dict[str, Any]] = {}
        """What the broker kept of earlier announcements."""
        self._removed = self._announced = False
        self._empties = 0
        self._empty_at_ns: int | None = None
        self._announce_at_ns: int | None = None
        self._cleared_until_ns = 0

    def know(self, labels: tuple[str, ...], version: str) -> None:
        """The networks are loaded: from now on there is something to announce."""
        self._labels, self._version = labels, version

    def announcement(self) -> list[Message]:
        """What is to be said now: after a connection, when the classes become known."""
        if not self._labels or self._announce_at_ns is not None:
            return []
        if self._stale() and not self._removed:
            return self._remove()
        self._announced = True
        payload = discovery_payload(self._base, self._about.name, self._labels, self._version)
        payload["components"] |= removals(self._former, payload)
        text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        return [Message(self.topic, text.encode(), retain=True)]

    def heard(self, payload: bytes, retained: bool) -> list[Message]:
        """Something was said on the topic of the announcement."""
        now_ns = self._about.clock.now_ns()
        if not payload and self._empty_at_ns is None and now_ns < self._cleared_until_ns:
            self._empties += 1
            self._announce_at_ns = now_ns + SETTLE_NS  # Home Assistant is still clearing
        if not payload or not retained:
            return []
        self._former |= {k: v for k, v in former_components(payload).items() if k not in self._former}
        return self.announcement() if self._labels and self._stale() and not self._removed else []

    def born(self) -> None:
        """Home Assistant was restarted: what was removed while it was away has to be removed once more.

        It was there if, beside our own empty message, some of its own came.
        """
        if self._removed and self._empties < 2 and self._announce_at_ns is None:
            self._removed, self._announced, self._empties = False, True, 2

    def later(self, *, now: bool = False) -> list[Message]:
        """What waited for its time; with `now` there is no later: what was taken away has to come back."""
        now_ns, due = self._about.clock.now_ns(), list[Message]()
        if now and self._empty_at_ns is not None:
            return []  # too late to take anything away
        if self._empty_at_ns is not None and now_ns >= self._empty_at_ns:
            self._empty_at_ns = None
            due.append(Message(self.topic, b"", retain=True))
        if self._announce_at_ns is not None and (now or now_ns >= self._announce_at_ns):
            self._announce_at_ns = None
            due += self.announcement()
        return due

    def _remove(self) -> list[Message]:
        """Take the device away; announce it later."""
        now_ns = self._about.clock.now_ns()
        self._removed = True
        gone = [str(one.get("state_topic", "")) for one in self._stale().values()]
        left = [
            Message(topic, b"", retain=True) for topic in gone if topic.startswith(f"{self._base}/active/")
        ]
        # Of an announcement that is still being worked on only a part would be removed.
        wait_ns = SETTLE_NS if self._announced else 0
        self._announce_at_ns = now_ns + wait_ns + SETTLE_NS
        self._cleared_until_ns = now_ns + wait_ns + CLEARING_NS
        if wait_ns:
            self._empty_at_ns = now_ns + wait_ns
            return left
        return [*left, Message(self.topic, b"", retain=True)]

    def _stale(self) -> dict[str, dict[str, Any]]:
        """Components that were announced in full and are no more."""
        payload = discovery_payload(self._base, self._about.name, self._labels, self._version)
        full = {key: one for key, one in self._former.items() if len(one) > 1}
        return {key: full[key] for key in removals(full, payload)}
